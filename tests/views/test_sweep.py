"""Sweep: several runs of one query, what each dropped, and the plane of the one that was clicked."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.views.recorded import recorded


@pytest.fixture(scope="module")
def runs():
    def run(every):
        flights = sn.data.landings("JFK", "2013-02-08", every=f"{every} min").with_watermark("dep", "3 hours")
        return flights.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query().run()

    return {every: run(every) for every in (240, 30, 60)}


@pytest.fixture
def sweep(runs):
    return sn.sweep(runs, "minutes between batches").subject


def crosses(sheet):
    plane = sheet.parts[-1]
    return sum(shape["kind"] == "cross" for shape in plane.shapes)


def test_a_click_opens_the_plane_of_a_run(sweep, runs):
    assert sweep.sheet().title == "30 minutes between batches: 23 rows dropped."
    assert crosses(sweep.sheet()) == len(runs[30].late)
    sweep.hear("pick", "240")
    assert sweep.sheet().title == "240 minutes between batches: 1 row dropped."
    assert crosses(sweep.sheet()) == len(runs[240].late)


def test_marks_stand_at_their_numbers_on_a_logarithmic_scale(sweep):
    dots = {s["pick"]: (s["x"], s["y"]) for s in sweep.sheet().parts[1].shapes if s["kind"] == "dot" and "pick" in s}
    assert list(dots) == ["30", "60", "240"]
    assert dots["240"][0] - dots["60"][0] == pytest.approx(2 * (dots["60"][0] - dots["30"][0]), abs=0.3)
    assert dots["30"][1] < dots["60"][1] < dots["240"][1]


def test_what_is_no_run_changes_nothing(sweep):
    sweep.hear("pick", "17")
    assert sweep.chosen == 30


def test_a_page_steps_through_the_runs(sweep):
    kept = recorded(sweep)
    assert kept.stops == {"run": ["30", "60", "240"]}
    assert [crosses(sheet) for sheet in kept.sheets] == [sweep.dropped[n] for n in (30, 60, 240)]


@pytest.mark.parametrize("given", [{}, {0: None}, {-5: None}])
def test_runs_without_numbers_are_refused(given):
    with pytest.raises(sn.PlanError, match="keyed by numbers above 0"):
        sn.sweep(given, "minutes")
