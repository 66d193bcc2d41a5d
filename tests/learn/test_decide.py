"""Decisions: asked about each payment in order of arrival, in time or not, and what they cost."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import count

import pandas as pd
import pytest

import streamnb as sn
from streamnb.learn.check import exercise
from streamnb.learn.exercise import judge
from streamnb.views.decisions import Decided, decisions_sheet, outcome, thresholds
from streamnb.views.shapes import Figure
from streamnb.views.sheet_svg import sheet_svg

EVIL = "<img src=x onerror=alert(1)>"
PAID = pd.DataFrame({
    "id": list("abcd"),
    "card": ["x", "y", "x", "x"],
    "amount": [10.0, 20.0, 500.0, 30.0],
    "at": pd.to_datetime(["2026-01-01 09:00:00", "2026-01-01 09:00:01", "2026-01-01 09:00:02", "2026-01-01 09:01:00"]),
    "arrived": pd.to_datetime(
        ["2026-01-01 09:00:00.100", "2026-01-01 09:00:01.900", "2026-01-01 09:00:02", "2026-01-01 09:01:00"],
        format="ISO8601",
    ),
})  # fmt: skip
TRUTH = pd.DataFrame({"id": ["c", "d"]})


def seen(_, __, state):
    state.update((state.get_option or 0) + 1)
    return state.get


@pytest.fixture
def decided():
    ticks = count()
    stream = sn.from_pandas(PAID, arrival="arrived", every="1 second")
    return sn.decisions(stream, seen, TRUTH, threshold=2, clock=lambda: next(ticks) / 100)


def test_each_card_has_a_state_of_its_own(decided):
    assert dict(zip(decided.table["id"], decided.table["score"], strict=True)) == {"a": 1, "b": 1, "c": 2, "d": 3}


def test_an_answer_waits_for_its_batch_and_then_for_the_work(decided):
    waited = dict(zip(decided.table["id"], decided.table["waited"].round(3), strict=True))
    assert waited == {"a": 0.91, "b": 0.11, "c": 0.01, "d": 0.01}
    assert decided.slow == 0.25


def test_a_threshold_has_two_prices(decided):
    assert (decided.caught, decided.lost, decided.stopped, decided.cost) == (2, 0, 0, 0)
    decided.subject.hear("threshold", 3)
    assert (decided.caught, decided.lost, decided.stopped, decided.cost) == (1, 500, 0, 500)
    decided.subject.hear("threshold", 1)
    assert (decided.caught, decided.stopped, decided.cost) == (2, 2, 20)


def test_rows_that_come_without_a_replay_wait_for_nothing():
    source = sn.MemorySource({"id": "string", "card": "string", "amount": "float64", "at": "datetime"})
    source.add(PAID.drop(columns="arrived"))
    ticks = count()
    found = sn.decisions(sn.stream(source), seen, TRUTH, clock=lambda: next(ticks) / 100)
    assert set(found.table["waited"].round(3)) == {0.01}


def test_the_thresholds_are_the_scores_and_one_above_all(decided):
    assert thresholds(decided.subject.decided) == [1, 2, 3, 4]
    assert [outcome(decided.subject.decided, t).lost for t in (1, 2, 3, 4)] == [0, 0, 500, 530]


def test_marks_tell_what_became_of_a_payment(decided):
    lanes = next(part for part in decided.subject.sheet().parts if isinstance(part, Figure))
    kinds = {shape["tip"].split(": ")[1]: shape["kind"] for shape in lanes.shapes if "tip" in shape}
    assert kinds == {"honest, allowed": "dot", "fraud, blocked": "cross"}
    decided.subject.hear("threshold", 1)
    lanes = next(part for part in decided.subject.sheet().parts if isinstance(part, Figure))
    assert {shape["kind"] for shape in lanes.shapes if "tip" in shape} == {"diamond", "cross"}


def test_the_sheet_is_plain_json_and_inert():
    sheet = decisions_sheet([Decided(EVIL, 0.0, 5.0, True, 0.0, 0.3)], 1.0, 0.2)
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    assert sheet.title == "0 of 1 frauds are blocked, and 0 honest payments; 5 € are lost."
    picture = sheet_svg(sheet)
    assert EVIL not in picture
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314  our own


def test_what_is_no_payment_is_refused():
    with pytest.raises(sn.ColumnNotFoundError, match="card"):
        sn.decisions(sn.data.landings().rename({"flight_id": "id"}), seen, TRUTH)
    with pytest.raises(sn.PlanError, match="no payment"):
        sn.decisions(sn.from_pandas(PAID.head(0)), seen, TRUTH)


def test_a_state_without_an_end_is_right_but():
    def leaky(_, payment, state):
        old = state.get_option or []
        state.update([*old, payment])
        recent = [one for one in old if payment["at"] - one["at"] < pd.Timedelta("10 min")]
        travels = (
            bool(old) and old[-1]["city"] != payment["city"] and payment["at"] - old[-1]["at"] < pd.Timedelta("1h")
        )
        return len(recent) >= 3 or travels or payment["amount"] > 500

    said = str(judge(exercise("11.A"), leaky))
    assert said == "right, but: after a month a card has 3600 values in its state: forget what is too old"


def test_a_rule_that_is_too_dear_is_told_the_price():
    said = str(judge(exercise("11.A"), lambda _, payment, __: payment["amount"] > 200))
    assert "half of what the rule over 300 € costs is asked: 875 € (on the payments of seed 11" in said


def test_payments_are_a_table_with_the_truth():
    rows, truth = sn.simulate.payment_table(3), sn.simulate.truth("payments", 3)
    assert rows.loc[rows["fraud"] != "", "id"].tolist() == truth["id"].tolist()
    rows["fraud"] = ""
    assert (sn.simulate.payment_table(3)["fraud"] != "").any()
