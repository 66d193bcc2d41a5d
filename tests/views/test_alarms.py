"""Alarms by threshold: when they ring, how late, and how often in vain."""

from __future__ import annotations

import json

import pandas as pd
import pytest

import streamnb as sn
from streamnb.views.alarms import MOST, Alarms, Lane, cost, rung
from streamnb.views.recorded import recorded
from streamnb.views.shapes import Figure

HOUR, MINUTE = 3_600_000.0, 60_000.0


def test_an_alarm_rings_once_a_run_at_the_event_that_makes_it_long_enough():
    events = [0, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, 3 * HOUR, 3 * HOUR + MINUTE]
    assert rung(events, 1, HOUR) == [0, 3 * HOUR]
    assert rung(events, 2, HOUR) == [10 * MINUTE, 3 * HOUR + MINUTE]
    assert rung(events, 4, HOUR) == [30 * MINUTE]
    assert rung(events, 5, HOUR) == []


def test_a_pause_that_is_just_as_long_does_not_end_a_run():
    assert rung([0, HOUR], 2, HOUR) == [HOUR]
    assert rung([0, HOUR + 1], 2, HOUR) == []


def test_what_a_threshold_costs():
    calm = (0.0, 5 * MINUTE)
    storm = tuple(10 * HOUR + n * 10 * MINUTE for n in range(6))
    lane = Lane("JFK", (*calm, *storm), ((10 * HOUR, 12 * HOUR),))
    eager, wise, deaf = (cost([lane], n, HOUR) for n in (2, 3, 7))
    assert (eager.wolf, eager.late, eager.missed) == (1, (10.0,), 0)
    assert (wise.wolf, wise.mean_late, wise.missed) == (0, 20.0, 0)
    assert (deaf.wolf, deaf.mean_late, deaf.missed) == (0, None, 1)


@pytest.fixture
def view():
    at = pd.to_datetime(["2024-01-01 01:00", *(f"2024-01-01 10:{m}0" for m in range(6))])
    events = pd.DataFrame({"origin": "JFK", "at": at})
    truth = pd.DataFrame({"origin": ["JFK"], "begins": at[1:2], "ends": at[-1:]})
    subject = sn.alarms(events, "origin", "at", truth=truth, threshold=3).subject
    assert isinstance(subject, Alarms)
    return subject


def test_the_title_states_what_the_threshold_brings(view):
    assert view.sheet().title == "Ring at the 3rd: 0 false alarms, 20 minutes late."
    view.hear("threshold", 1)
    assert view.sheet().title == "Ring at the 1st: 1 false alarm, 0 minutes late."
    view.hear("threshold", 12)
    assert view.sheet().title == "Ring at the 12th: 0 false alarms, never, 1 missed."


def test_the_line_is_pulled_to_a_threshold_within_the_limits(view):
    figure = [part for part in view.sheet().parts if isinstance(part, Figure)][1]
    left, right = (next(s["x"] for s in figure.shapes if s.get("drag") == which) for which in "01")
    for which, x in (("0", left), ("1", right)):
        view.hear("drag", [which, x + 5, 100.0])
        assert view.threshold == 3
    view.hear("drag", ["0", 99_999.0, 0.0])
    assert view.threshold == MOST


def test_a_page_without_a_kernel_steps_through_thresholds(view):
    kept = recorded(view)
    assert kept.stops == {"threshold": list(range(1, MOST + 1))}
    assert len({sheet.title for sheet in kept.sheets}) > 3
    assert (view.threshold, kept.settings[kept.start]) == (3, {"threshold": 3})
    assert json.dumps(kept.sheets[0].to_json())


@pytest.mark.parametrize(
    ("change", "said"), [({"by": "airport"}, "no column 'airport'"), ({"threshold": 41}, "1 to 40")]
)
def test_what_is_wrong_is_said(change, said):
    events = pd.DataFrame({"origin": ["JFK"], "at": pd.to_datetime(["2024-01-01"])})
    truth = pd.DataFrame({"origin": [], "begins": [], "ends": []})
    given = {"events": events, "by": "origin", "at": "at", "truth": truth} | change
    with pytest.raises(sn.StreamnbError, match=said):
        sn.alarms(**given)
