"""Online learning: when each way asks and learns, and how it is scored."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

import streamnb as sn
from streamnb.learn.exercise import judge
from streamnb.learn.exercises.lesson_12 import EXERCISES
from streamnb.views.shapes import Figure
from streamnb.views.sheet_svg import sheet_svg

ASKED = pd.to_datetime([f"2026-01-01 09:0{minute}" for minute in range(6)])
ROWS = pd.DataFrame({
    "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    "label": [True, False, True, True, False, True],
    "asked": ASKED,
    "known": ASKED + pd.to_timedelta([150, 0, 600, 90, 30, 30], unit="s"),
})  # fmt: skip


class Notes:
    """A model that notes what happens to it, and says how many labels it has learned."""

    def __init__(self, log=None):
        self.log, self.learned = [] if log is None else log, 0

    def clone(self):
        return Notes(self.log)

    def predict_proba_one(self, x):
        self.log.append(("asked", x["x"], self.learned))
        return {True: 0.25}

    def learn_one(self, x, y):
        self.learned += 1
        self.log.append(("taught", x["x"], y))


def log_of(way, **options):
    notes = Notes()
    sn.score(notes, ROWS, ["x"], "label", asked="asked", known="known", ways=[way], **options)
    return notes.log


def test_cheating_learns_each_label_before_the_next_question():
    assert [learned for what, _, learned in log_of("cheating") if what == "asked"] == [0, 1, 2, 3, 4, 5]


def test_honest_learns_when_the_label_is_known():
    told = [(what, x) for what, x, _ in log_of("honest")]
    assert told.index(("taught", 1.0)) > told.index(("asked", 3.0))
    assert told.index(("taught", 1.0)) < told.index(("asked", 4.0))
    assert told[-1] == ("taught", 3.0)
    assert [x for what, x in told if what == "asked"] == [1, 2, 3, 4, 5, 6]


def test_frozen_learns_what_was_known_before():
    log = log_of("frozen", freeze="2026-01-01 09:03:00")
    assert [x for what, x, _ in log if what == "taught"] == [2.0, 1.0]


def test_the_score_is_log_loss():
    found = sn.score(Notes(), ROWS, ["x"], "label", asked="asked", known="known", ways=["honest"])
    assert found.mean["honest"] == pytest.approx((4 * -math.log(0.25) + 2 * -math.log(0.75)) / 6)
    assert found.by_day["honest"].tolist() == [pytest.approx(found.mean["honest"])]
    assert found.under_way == 3


def test_being_sure_and_wrong_is_bounded():
    from river import dummy

    rows = ROWS.assign(label=[True, False, False, False, False, False])
    found = sn.score(dummy.PriorClassifier(), rows, ["x"], "label", asked="asked", known="known", ways=["cheating"])
    assert found.table["cheating"].max() == pytest.approx(-math.log(1e-4))


def test_rows_may_come_in_any_order():
    from river import linear_model

    def table(rows):
        model, times = linear_model.LogisticRegression(), {"asked": "asked", "known": "known"}
        return sn.score(model, rows, ["x"], "label", **times, freeze="2026-01-01 09:02", band=None).table

    pd.testing.assert_frame_equal(table(ROWS), table(ROWS.sample(frac=1, random_state=1)))


def test_the_sheet_is_plain_json_and_a_picture():
    from river import linear_model

    many = pd.concat([ROWS] * 10, ignore_index=True)
    band = ("2026-01-01 09:01", "2026-01-01 09:02", "<script>")
    found = sn.score(
        linear_model.LogisticRegression(), many, ["x"], "label", asked="asked", known="known", freeze="2027", band=band
    )
    sheet = found.subject.sheet()
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    picture = sheet_svg(sheet)
    assert "<script>" not in picture
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314  our own
    (figure,) = (part for part in sheet.parts if isinstance(part, Figure))
    assert {shape.get("dash") for shape in figure.shapes if "mean" in shape.get("tip", "")} == {"6 3", None, "2 3"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"ways": ["clairvoyant"]}, "clairvoyant"),
        ({"ways": []}, "cheating"),
        ({"ways": ["frozen"]}, "freeze="),
        ({"known": "landed"}, "no column 'landed'"),
    ],
)
def test_what_cannot_be_scored_is_refused(asked, said):
    with pytest.raises(sn.PlanError, match=said):
        sn.score(Notes(), ROWS, ["x"], "label", **{"asked": "asked", "known": "known", **asked})


def test_news_is_heard_in_order_and_tells_each_thing_once():
    heard = sn.data.news("JFK", "2013-02-08").collect()
    assert heard["at"].is_monotonic_increasing
    leaves, lands = (heard[heard["news"] == what] for what in ("leaves", "lands"))
    assert leaves["late"].isna().all()
    assert lands[["dep_delay", "distance", "hour", "origin", "dest"]].isna().all().all()
    assert set(lands["flight_id"]) <= set(leaves["flight_id"])
    flights = sn.data.flights().set_index("flight_id")
    assert (flights.loc[lands["flight_id"], "arr_delay"] > 15).tolist() == lands["late"].tolist()


def test_a_loop_that_gives_out_something_else_is_told():
    def only_numbers(model, events):
        return (p for _, p in EXERCISES[0].solution(model, events))

    said = str(judge(EXERCISES[0], only_numbers))
    assert said.startswith("not yet: the first that comes out is 0.")
    assert "a pair of flight_id and the probability" in said
