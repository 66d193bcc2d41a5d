"""Answers that have a figure: findings, settings side by side, a delay that is suggested."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import combinations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.views import notice
from streamnb.views.doctor import Diagnosed, Doctor, Watch
from streamnb.views.frontier import Frontier
from streamnb.views.labels import box_of, meet
from streamnb.views.poster import Poster
from streamnb.views.shapes import Choice, Figure, Remedies, Shape, Sheet, Words
from streamnb.views.share import Share
from streamnb.views.sheet_svg import sheet_html, sheet_svg
from streamnb.views.shown import subject_of

EVIL = "<img src=x onerror=alert(1)>"
SCHEMA = {"at": "datetime", EVIL: "string"}


@pytest.fixture(scope="module")
def hourly() -> sn.StreamFrame:
    flights = sn.data.landings("JFK", "2013-02-08")
    return flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())


def drawn(sheet: Sheet, kind: str) -> list[Shape]:
    return [s for part in sheet.parts if isinstance(part, Figure) for s in part.shapes if s["kind"] == kind]


def over_each_other(sheet: Sheet) -> list[tuple[str, str]]:
    words = [s for s in drawn(sheet, "text") if not s.get("turn")]
    return [(a["text"], b["text"]) for a, b in combinations(words, 2) if meet(box_of(a), box_of(b))]


# -- the doctor


def growing(mode: str = "update") -> sn.Query:
    """A query whose state grows for ever, over a column whose name tries to be markup."""
    source = sn.MemorySource(SCHEMA)
    return sn.stream(source).group_by(EVIL).agg(n=sn.count()).query(mode, name="test-growing")


def test_a_finding_is_a_card_with_what_why_way_out_and_lesson():
    query = growing()
    sheet = Doctor(query).sheet(-1)
    assert sheet.title == "1 thing in this query will surprise."
    (cards,) = sheet.parts
    assert isinstance(cards, Remedies)
    (card,) = cards.remedies
    assert (card.code, card.what, card.lesson) == (
        "STATE_GROWS",
        f"group_by {EVIL} → n=count()",
        "05 Memory that must end",
    )
    assert "state grows" in card.why
    assert "sn.window" in card.way_out
    assert json.loads(json.dumps(sheet.to_json()))["parts"][0]["remedies"][0]["code"] == "STATE_GROWS"
    query.stop()


def test_a_healthy_query_has_nothing_to_show(hourly):
    query = hourly.query(name="test-healthy").run()
    assert Doctor(query).sheet(len(query.trace) - 1).title == "Nothing in this query will surprise."
    assert Watch(query).number(3, playing=False) == 0
    query.stop()


def test_what_the_batches_show_is_shown_as_of_the_batch_looked_at():
    rows = sn.MemorySource({"ts": "datetime"})
    window = sn.window("ts", "1 hour")
    query = sn.stream(rows).with_watermark("ts", "1 hour").group_by(window).agg(n=sn.count()).query(name="test-future")
    for at in ("2024-01-01 10:00", "2124-01-01"):
        rows.add([{"ts": at}])
        query.run()
    view = Doctor(query)
    assert view.sheet(0).title.startswith("Nothing")
    (cards,) = view.sheet(len(query.trace) - 1).parts
    assert isinstance(cards, Remedies)
    assert [card.code for card in cards.remedies] == ["FUTURE_CLOCK"]
    query.stop()


def test_while_a_query_plays_the_doctor_is_asked_seldom(monkeypatch):
    asked: list[int] = []

    def findings_of(_: object, at: int) -> list[object]:
        asked.append(at)
        return []

    monkeypatch.setattr("streamnb.views.doctor.findings_of", findings_of)
    query = growing()
    watch = Watch(query)
    for at in range(1_000):
        watch.number(at, playing=True)
    assert len(asked) < 80
    assert watch.number(500, playing=False) == 0
    assert asked[-1] == 500
    query.stop()


def test_a_cell_tells_of_a_finding_once_and_again_when_it_runs_again(monkeypatch):
    told: list[str] = []
    cell = ["one", "first run"]
    monkeypatch.setattr(notice, "_told", {})
    monkeypatch.setattr(notice, "running_cell", lambda: tuple(cell))
    monkeypatch.setattr(notice, "put", lambda bundle: told.append(bundle["text/html"]))
    monkeypatch.setattr("streamnb.display.opened", notice.show_findings)
    growing(), growing().stop()
    assert len(told) == 1
    assert EVIL not in told[0]
    assert "state grows" in told[0]
    cell[:] = ["two", "second run"]
    growing().stop()
    assert len(told) == 1
    cell[:] = ["one", "third run"]
    growing().stop()
    assert len(told) == 2


def test_outside_a_notebook_nothing_is_told(capsys):
    growing().stop()
    assert capsys.readouterr().out == ""


def test_a_lesson_is_linked_where_it_lies_near(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notice.lesson_file("05") == ""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "05_memory.ipynb").touch()
    assert notice.lesson_file("05") == "notebooks/05_memory.ipynb"


# -- settings side by side


@pytest.fixture(scope="module")
def told(hourly):
    query = hourly.query(name="test-settings").run()
    yield sn.what_if(query, delay=["0 seconds", "1 hour", "3 hours", "5 hours", "12 hours"])
    query.stop()


def test_the_frontier_tells_of_the_querys_own_setting_first(told):
    sheet = Frontier(told).sheet()
    assert sheet.title == "A delay of 3 hours drops 23 of 145 rows: all arrived 5 hours or more after they happened."
    words = next(part.text for part in sheet.parts if isinstance(part, Words))
    assert words.startswith("The query as it is: 84.1% of the rows counted; worst hit: ")


def test_every_setting_is_a_mark_with_its_name_and_a_row_of_the_table(told):
    sheet = Frontier(told).sheet()
    marks = [s for s in drawn(sheet, "dot") if "pick" in s]
    assert {mark["pick"] for mark in marks} == {"0", "1", "2", "3", "4"}
    words = [s["text"] for s in drawn(sheet, "text")]
    assert {"0 seconds", "1 hour", "3 hours", "5 hours", "12 hours: in no result yet"} <= set(words)
    figure = next(part for part in sheet.parts if isinstance(part, Figure))
    assert figure.table is not None
    assert [row.cells[0] for row in figure.table.rows] == ["0 seconds", "1 hour", "3 hours", "5 hours", "12 hours"]


def test_the_higher_the_more_is_counted_and_the_larger_the_more_is_kept(told):
    marks = sorted((int(s["pick"]), s["y"], s["r"]) for s in drawn(Frontier(told).sheet(), "dot") if "pick" in s)
    heights, sizes = [y for _, y, _ in marks], [r for _, _, r in marks]
    assert heights == sorted(heights, reverse=True)
    assert sizes == sorted(sizes)


def test_a_click_or_a_choice_asks_about_another_setting(told):
    subject = Frontier(told)
    subject.hear("pick", "1")
    assert subject.sheet().title.startswith("A delay of 1 hour drops 52 of 145 rows")
    subject.hear("setting", "4")
    assert subject.sheet().title == "A delay of 12 hours drops none of 145 rows."
    choice = next(part for part in subject.sheet().parts if isinstance(part, Choice))
    assert choice.value == "4"


def test_several_things_varied_are_named_by_their_values(hourly):
    several = sn.what_if(hourly, delay=["1 hour", "3 hours"], output_mode=["append", "update"], trigger="1 hour")
    names = [several.name(result) for result in several.results]
    assert names[0] == "1 hour, append, every 1 hour"
    assert several.own is None
    assert Frontier(several).sheet().title


def test_no_words_of_an_answer_lie_over_others(told, hourly):
    many = sn.what_if(hourly, delay=["1 hour", "3 hours"], output_mode=["append", "update"], trigger=["1 h", "2 h"])
    share = sn.suggest_watermark(sn.data.landings("JFK", "2013-02-08").collect(), "dep", "arr")
    for subject in (Frontier(told), Frontier(many), Share(share)):
        assert over_each_other(subject.sheet()) == []


# -- a delay that is suggested


def test_a_suggestion_marks_the_proposed_delay_on_the_line():
    found = sn.suggest_watermark(sn.data.landings("JFK", "2013-02-08").collect(), "dep", "arr", keep=0.95)
    sheet = Share(found).sheet()
    assert sheet.title == found.title
    words = [s["text"] for s in drawn(sheet, "text")]
    assert any(text.startswith("proposed: 5 h") for text in words)
    assert {"90 %", "95 %", "100 %"} <= set(words)
    figure = next(part for part in sheet.parts if isinstance(part, Figure))
    assert figure.table is not None
    assert figure.table.rows


def test_the_curve_of_a_suggestion_is_what_each_delay_keeps():
    at = pd.Timestamp("2024-01-01")
    seconds = [0, 9, 1, 20, 12]
    rows = pd.DataFrame(
        {"at": [at + pd.Timedelta(s, "s") for s in seconds], "got": pd.date_range(at, periods=5, freq="min")}
    )
    found = sn.suggest_watermark(rows, "at", "got", keep=1.0)
    assert found.curve["kept"].is_monotonic_increasing
    for delay, kept in found.curve.itertuples(index=False):
        late = [max(seconds[:n], default=s) - s for n, s in enumerate(seconds)]
        assert kept == sum(behind < 0 or pd.Timedelta(behind, "s") < max(delay, pd.Timedelta(0)) for behind in late) / 5


def test_one_row_and_equal_times_can_be_drawn():
    for rows in (1, 3):
        same = pd.DataFrame({"at": [pd.Timestamp("2024-01-01")] * rows, "got": [pd.Timestamp("2024-01-01")] * rows})
        sheet = Share(sn.suggest_watermark(same, "at", "got")).sheet()
        ET.fromstring(sheet_svg(sheet))  # noqa: S314  our own


# -- all of them


def test_a_figure_that_fails_says_so_in_its_place():
    class Broken:
        def sheet(self) -> Sheet:
            return Sheet("whole", ())

        def hear(self, name: str, value: object) -> None:
            raise ZeroDivisionError("no ink")

    poster = Poster(Broken())
    poster.paper.hear({"type": "gesture", "name": "pick", "value": "1"}, [])
    assert poster.paper.shown["sheet"]["title"] == "ZeroDivisionError: no ink"
    poster.close()


def test_figures_are_told_not_to_move_when_motion_is_off(told):
    poster = Poster(Frontier(told))
    assert poster.paper.shown["moves"]
    sn.set_motion(False)
    poster.paper.hear({"type": "gesture", "name": "pick", "value": "1"}, [])
    sn.set_motion(True)
    assert not poster.paper.shown["moves"]
    poster.close()


def test_answers_with_a_figure_are_inert_and_can_be_saved(tmp_path, told):
    query = growing()
    for answer in (query.findings, told):
        subject = subject_of(answer)
        assert subject is not None
        sheet = subject.sheet()
        ET.fromstring(sheet_svg(sheet))  # noqa: S314  our own
        assert EVIL not in sheet_html(sheet)
        assert EVIL not in sn.save_html(answer, tmp_path / "answer.html").read_text()
    assert isinstance(subject_of(query.findings), Diagnosed)
    assert subject_of("no answer") is None
    query.stop()
