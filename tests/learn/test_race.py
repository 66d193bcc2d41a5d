"""A race: both APIs over the same rows, what each handled, and what it took."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import count

import pytest

import streamnb as sn
from streamnb import col
from streamnb.learn.exercise import judge
from streamnb.learn.exercises.lesson_01 import EXERCISES
from streamnb.optimize import columns_read
from streamnb.views.shapes import Figure
from streamnb.views.sheet_svg import sheet_svg

FLIGHTS = sn.data.landings("JFK", "2013-02-08", every="6 hours")


def chain():
    return sn.objects(FLIGHTS).map(lambda row: (row["dest"], 1)).reduce_by_key(lambda a, b: a + b)


def counted():
    return FLIGHTS.filter(col("carrier") == "B6").group_by("dest").agg(n=sn.count())


@pytest.fixture(scope="module")
def race():
    ticks = count()
    return sn.race(chain(), counted(), clock=lambda: next(ticks) / 10)


def test_the_clock_is_read_around_the_work(race):
    pulls = len(FLIGHTS.query().run().progress) + 1
    assert race.ratio == pytest.approx((2 * pulls + 1) / 1)


def test_the_columns_that_a_plan_needs_are_named(race):
    assert race.needed == ["carrier", "dest"]
    assert "it needs 2 of 12 columns, carrier, dest." in race.subject.sheet().lead


def test_each_operator_tells_what_came_out(race):
    trees = race.subject.sheet().parts[0]
    rows = [row.cells for row in trees.table.rows]
    assert rows[0] == ("objects", "objects", "145")
    assert [row[2] for row in rows if row[1].startswith("read")] == ["145"]
    assert [row[1] for row in rows if row[0] == "objects"] == ["objects", "map", "reduce_by_key"]


def test_the_sheet_is_plain_json_and_a_picture(race):
    sheet = race.subject.sheet()
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title == repr(race)
    assert all(part.table and part.table.rows for part in sheet.parts if isinstance(part, Figure))
    assert ET.fromstring(sheet_svg(sheet)).tag.endswith("svg")  # noqa: S314  our own


def test_objects_that_were_fed_are_refused():
    fed = chain()
    fed.run()
    for objects in (fed, sn.batches()):
        with pytest.raises(sn.PlanError, match="build the chain anew"):
            sn.race(objects, counted())


def test_after_a_race_the_nodes_below_are_as_they_were():
    objects = chain()
    sn.race(objects, counted())
    assert list(objects.downstreams) == []


def test_each_source_tells_which_columns_are_read():
    planes = sn.from_pandas(sn.data.planes())
    joined = FLIGHTS.join(planes, on="tailnum", within=None).select("tailnum", "seats")
    assert columns_read(joined.node) == [{"tailnum"}, {"tailnum", "seats"}]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            lambda rows: (
                rows.map_batches(lambda r: r, rows.schema)
                .filter(col("origin") == "LGA")
                .group_by("carrier")
                .agg(miles=sn.sum("distance"))
            ),
            "right, but: the planner cannot look inside map_batches: your function is handed every column",
        ),
        (
            lambda rows: (
                rows.with_columns(there=col("origin") == "LGA")
                .filter(col("there"))
                .group_by("carrier")
                .agg(miles=sn.sum("distance"))
            ),
            "right, but: with_columns stands below the filter, and sees every row",
        ),
    ],
)
def test_a_right_answer_that_hides_its_filter_is_told(answer, said):
    assert str(judge(EXERCISES[0], answer)) == said
