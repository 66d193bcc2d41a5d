"""Recorded: what a page keeps of a figure is what the figure shows, under settings whose number is bounded."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest

import streamnb as sn
from streamnb.views import recorded as recording
from streamnb.views.plan import WrittenPlan
from streamnb.views.recorded import MOST, recorded
from streamnb.views.shapes import Choice, Figure, Sheet, Slider, Words, dot
from streamnb.views.shown import subject_of

LANDINGS = sn.data.landings("JFK", "2013-02-08")
HOURLY = LANDINGS.group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
TO_BOSTON = sn.col("dest") == "BOS"
CARDS = ["ann", "bob", "ann", "eve", "ann", "eve"]


def decisions():
    rows = [{"id": n, "card": card, "amount": 10.0 * n, "at": f"2024-01-01 09:0{n}"} for n, card in enumerate(CARDS)]
    payments = sn.MemorySource({"id": "int64", "card": "string", "amount": "float64", "at": "datetime"})
    payments.add(rows)
    truth = pd.DataFrame({"id": [2, 5]})
    return sn.decisions(sn.stream(payments), lambda _card, payment, _state: payment["amount"], truth, threshold=30)


FIGURES = {
    "clocks": lambda: sn.clocks(LANDINGS.collect().head(9), "dep", "arr").subject,
    "decisions": lambda: decisions().subject,
    "playground": lambda: sn.playground().subject,
    "what if": lambda: subject_of(sn.what_if(LANDINGS.with_watermark("dep", "1 hour"), delay=["1 hour", "9 hours"])),
    "workers": lambda: sn.workers(CARDS, n=3, slow={1: 2.5}).subject,
    "written plan": lambda: WrittenPlan(LANDINGS.with_columns(late=sn.col("arr_delay") > 9).filter(TO_BOSTON).node),
}


def shown(sheet):
    return {part.name: part.value for part in sheet.parts if isinstance(part, Choice | Slider)}


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_kept_is_what_the_figure_shows(name):
    subject = FIGURES[name]()
    before = subject.sheet()
    kept = recorded(subject)
    assert subject.sheet() == before == kept.sheets[kept.start]
    assert 1 < len(kept.sheets) == len(kept.settings) <= MOST
    for setting, sheet in list(zip(kept.settings, kept.sheets, strict=True))[:: max(1, len(kept.sheets) // 12)]:
        assert {n: value for n, value in setting.items() if n != "pick"}.items() <= shown(sheet).items()
        assert all(value in kept.stops[n] for n, value in setting.items() if n in kept.stops)
    last = kept.settings[-1]
    for control, value in last.items():
        if value != kept.settings[0][control]:
            subject.hear(control, value)
    assert subject.sheet() == kept.sheets[-1]


def test_every_setting_offered_can_be_reached_from_every_other():
    kept = recorded(sn.workers(CARDS, n=8).subject)
    axes = [kept.stops[name] for name in ("n", "salt", "factor", "backup")]
    there = {tuple(setting[name] for name in ("n", "salt", "factor", "backup")) for setting in kept.settings}
    assert there == set(itertools.product(*axes))
    assert kept.left_out.startswith(f"{len(kept.sheets)} settings of this figure are recorded")


def test_a_machine_that_was_measured_is_not_asked_again(monkeypatch):
    monkeypatch.setattr(recording, "MOST", 12)
    ticks = itertools.count()
    measured = sn.load(HOURLY, 40, clock=lambda: next(ticks) / 100)
    asked = next(ticks)
    kept = recorded(measured.subject)
    assert next(ticks) == asked + 1
    assert kept.sheets[0] == measured.subject.sheet()
    assert len(kept.sheets) == 12
    assert "Batches take what the curve says." in kept.sheets[1].lead


class Marks:
    """A figure with a slider of a thousand places, and as many marks as it is told, every one elsewhere each time."""

    def __init__(self, marks):
        self.marks, self.at = marks, 0

    def sheet(self):
        shapes = tuple(dot(self.at + n / 7, n, 2, "ink", drag="mark") for n in range(self.marks))
        slider = Slider("at", "at", 0, 999, 1, self.at, str(self.at))
        return Sheet(f"at {self.at}", (slider, Figure("marks", 100, shapes)))

    def hear(self, name, value):
        self.at = value


def test_a_slider_is_sampled_and_the_page_says_so(tmp_path):
    kept = recorded(Marks(1))
    assert (len(kept.stops["at"]), kept.stops["at"][0], kept.stops["at"][-1]) == (MOST, 0, 999)
    assert kept.left_out == (
        f"{MOST} settings of this figure are recorded; in a notebook it takes any. "
        "Marks can be pulled in a notebook only."
    )
    page = sn.save_html(sn.workers(CARDS), tmp_path / "page.html").read_text()
    assert "in a notebook it takes any." in page


def test_of_many_marks_the_first_can_be_clicked_whatever_is_chosen_besides(monkeypatch):
    monkeypatch.setattr(recording, "MOST", 9)
    kept = recorded(sn.clocks(LANDINGS.collect().head(50), "dep", "arr").subject)
    assert kept.stops == {"by": ["event", "processing"], "pick": ["", "0", "1", "2"]}
    assert (len(kept.sheets), kept.left_out[:20]) == (8, "8 settings of this f")


def test_large_sheets_are_fewer(monkeypatch):
    monkeypatch.setattr(recording, "MOST_TEXT", 300_000)
    kept = recorded(Marks(200))
    text = sum(len(str(sheet.to_json()["parts"][1]["shapes"])) for sheet in kept.sheets)
    assert 150_000 < text < 600_000
    assert 1 < len(kept.sheets) < MOST


def test_a_picture_without_a_choice_stays_still():
    class Still:
        def sheet(self):
            return Sheet("one", (Words("all there is"),))

        def hear(self, name, value):
            raise AssertionError

    kept = recorded(Still())
    assert (len(kept.sheets), kept.settings, kept.stops, kept.steps, kept.left_out) == (1, ({},), {}, "", "")
