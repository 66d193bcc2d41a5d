"""The figures of the lessons: words can be read on whatever they stand, and each figure tells itself without colour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd
import pytest

import streamnb as sn
from streamnb.views.decisions import Decided, decisions_sheet
from streamnb.views.display import show_poster
from streamnb.views.inspectors import Exhibit
from streamnb.views.labels import box_of, meet
from streamnb.views.poster import Poster
from streamnb.views.score import Known, Line, score_sheet
from streamnb.views.shapes import Figure, Shape, Sheet, upon
from streamnb.views.theme import PALETTE
from tests.views.test_theme import MARKS, WORDS, contrast

HOUR = 3.6e6
KEYS = ["JFK"] * 6 + ["LGA"] * 5 + ["EWR"] * 4 + ["BOS"] * 3


def flights() -> sn.StreamFrame:
    return sn.data.landings("JFK", "2013-02-08", every="4 hours")


def swept() -> Sheet:
    runs = {
        every: flights().with_watermark("dep", "1 hour").query(name=f"every {every}").run() for every in (1.0, 60.0)
    }
    try:
        return sn.sweep(runs, "minutes between batches").subject.sheet()
    finally:
        for run in runs.values():
            run.stop()


def decided() -> Sheet:
    told = itertools.product(("card 1", "card 2"), (0.0, 3.0), (True, False))
    return decisions_sheet([Decided(key, at, 90 + at, bad, at + bad, 0.01 + at) for key, at, bad in told], 3.0, 0.2)


def scored() -> Sheet:
    lines = [Line(name, tuple((n * HOUR, 0.3 + 0.1 * n) for n in range(9)), 0.4) for name in ("cheating", "honest")]
    return score_sheet(lines, Known(((-HOUR, 1.0), (HOUR, 9.0)), (HOUR, 3 * HOUR, "a storm")), 200)


def raced() -> Sheet:
    old = sn.objects(flights()).map(lambda row: row["dest"]).count_by_value()
    return sn.race(old, flights().group_by("dest").agg(n=sn.count()), clock=itertools.count().__next__).subject.sheet()


def counted() -> sn.StreamFrame:
    return flights().group_by("dest").agg(n=sn.count())


def loaded(limit: int | None = None) -> Sheet:
    return sn.load(counted(), 10_000, burst=5, machine=("40 ms", 25), limit=limit).subject.sheet()


def copied() -> Sheet:
    return sn.workers([f"key {n % 30}" for n in range(900)], n=4, slow={1: 6.0}, backup=True).subject.sheet()


def worked() -> Sheet:
    return sn.workers(KEYS, n=3).subject.sheet()


def between() -> Sheet:
    return sn.clocks(flights().collect(), "dep", "arr").subject.sheet()


FIGURES: dict[str, Callable[[], Sheet]] = {
    "race": raced,
    "load": loaded,
    "too little": partial(loaded, 500),
    "workers": worked,
    "copies": copied,
    "decisions": decided,
    "score": scored,
    "clocks": between,
    "sweep": swept,
}


@pytest.fixture(scope="module", params=FIGURES)
def sheet(request: pytest.FixtureRequest) -> Sheet:
    return FIGURES[request.param]()


def figures(sheet: Sheet) -> list[Figure]:
    return [part for part in sheet.parts if isinstance(part, Figure)]


def words(figure: Figure) -> list[Shape]:
    return [shape for shape in figure.shapes if shape["kind"] == "text"]


def blend(top: str, alpha: float, below: str) -> str:
    both = ([int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (top, below))
    return "#" + "".join(f"{round(alpha * a + (1 - alpha) * b):02x}" for a, b in zip(*both, strict=True))


def behind(text: Shape, figure: Figure, palette: dict[str, str]) -> str:
    """The colour on which a text stands: the boxes under its middle, one over the other."""
    left, top, right, bottom = box_of(text)
    x, y = (left + right) / 2, (top + bottom) / 2
    ground = palette["ground"]
    for box in figure.shapes:
        if box is text:
            return ground
        inside = box["kind"] == "rect" and box["x"] <= x <= box["x"] + box["w"] and box["y"] <= y <= box["y"] + box["h"]
        if inside and "fill" in box:
            ground = blend(palette[box["fill"]], box.get("alpha", 1.0), ground)
    raise AssertionError(text)


@pytest.mark.parametrize("theme", sorted(PALETTE))
def test_words_can_be_read_on_whatever_they_stand(sheet: Sheet, theme: str):
    palette = PALETTE[theme]
    told = [(text, figure) for figure in figures(sheet) for text in words(figure)]
    found = {text["text"]: contrast(palette[text["role"]], behind(text, figure, palette)) for text, figure in told}
    assert {name: ratio for name, ratio in found.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", sorted(PALETTE))
@pytest.mark.parametrize("role", [*MARKS, "muted"])
def test_words_on_a_mark_can_be_read(role: str, theme: str):
    assert contrast(PALETTE[theme][upon(role)], PALETTE[theme][role]) >= 4.5


def test_colours_are_roles_whose_contrast_is_tested(sheet: Sheet):
    drawn = [shape for figure in figures(sheet) for shape in figure.shapes]
    drawn += [shape for shape, _ in sheet.key]
    assert {s["role"] for s in drawn if s["kind"] == "text"} <= {*WORDS, "ground", "deep", "now"}
    painted = {s.get(name) for s in drawn if s["kind"] != "text" for name in ("fill", "line", "role", "hatch")} - {None}
    assert painted <= {*MARKS, "ground", "strip", "ink", "muted", "faint", "now", "closed"}


def test_no_words_lie_over_others_or_outside(sheet: Sheet):
    for figure in figures(sheet):
        boxes = [(text["text"], box_of(text)) for text in words(figure) if not text.get("turn")]
        assert [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if meet(one, other)] == []
        outside = [name for name, box in boxes if box[0] < -2 or box[2] > figure.width + 12 or box[3] > figure.height]
        assert outside == []


def test_behind_every_figure_is_a_table_and_the_sheet_says_itself(sheet: Sheet):
    assert sheet.spoken
    assert all(figure.label and figure.table and figure.table.rows for figure in figures(sheet))


def test_every_figure_is_painted_by_the_one_that_speaks_and_keeps_still(monkeypatch: pytest.MonkeyPatch):
    shown: list[Poster] = []
    monkeypatch.setattr("streamnb.views.display._running_cell", lambda: ("cell", "run"))
    monkeypatch.setattr(Poster, "show", lambda poster: shown.append(poster))  # noqa: PLW0108  a method
    sn.set_motion(False)
    try:
        for exhibit in (sn.workers(KEYS, n=3), sn.clocks(flights().collect(), "dep", "arr")):
            assert isinstance(exhibit, Exhibit)
            show_poster(exhibit.subject)
        for poster in shown:
            assert poster.paper.shown["sheet"]["spoken"] == poster.subject.sheet().spoken
            assert poster.paper.shown["moves"] is False
    finally:
        sn.set_motion(True)
        for poster in shown:
            poster.close()


def texts(sheet: Sheet) -> Iterator[str]:
    return (text["text"] for figure in figures(sheet) for text in words(figure))


def test_a_copy_and_what_it_ended_are_in_the_key():
    assert [told for _, told in FIGURES["copies"]().key] == [
        "a copy, begun by a worker that waited",
        "ended: its copy was done first",
    ]
    assert FIGURES["workers"]().key == ()


def test_the_end_of_the_input_is_told_where_the_queue_outlasts_it():
    assert "no more rows come" in texts(FIGURES["too little"]())
    assert "no more rows come" not in texts(FIGURES["load"]())
    assert "while rows come, the queue never empties" in FIGURES["too little"]().title


def test_one_of_something_is_not_several():
    rows = pd.DataFrame({"at": pd.to_datetime(["2024-01-01"])})
    query = sn.from_pandas(rows, rows=1).query(name="one")
    assert sn.sweep({1: query}, "minutes between batches").subject.sheet().title == (
        "1 minute between batches: 0 rows dropped."
    )
    query.stop()
