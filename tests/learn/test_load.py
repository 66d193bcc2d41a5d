"""Load: what a batch costs, who waits how long, and what a limit does to a burst."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import count

import pytest

import streamnb as sn
from streamnb.learn.queueing import arrived, drive, emptied, latencies
from streamnb.views.load import DSTREAM, Pace
from streamnb.views.shapes import Figure
from streamnb.views.sheet_svg import sheet_svg

PAPER = ("40 ms", 25)
HOURLY = sn.data.landings().group_by(sn.window("dep", "1 hour"), "origin").agg(n=sn.count())
CALM = Pace(rate=1000, burst=1, during=(1, 2), seconds=4, trigger=0.1)


def cost(rows):
    return 0.02 + rows / 10_000


def test_what_has_come_is_the_area_under_the_rate():
    burst = Pace(rate=1000, burst=5, during=(1, 2), seconds=4, trigger=0.1)
    assert [arrived(burst, at) for at in (0.5, 1, 1.5, 2, 4, 9)] == [500, 1000, 3500, 6000, 8000, 8000]


@pytest.mark.parametrize("model", ["one bigger batch", DSTREAM])
def test_every_row_is_taken_once(model):
    pace = Pace(rate=1000, burst=5, during=(1, 2), seconds=4, trigger=0.1, model=model)
    assert sum(run.rows for run in drive(pace, cost)) == 8000


def test_calm_rows_wait_for_the_trigger_and_their_batch():
    waits = latencies(CALM, drive(CALM, cost))
    assert waits.max() == pytest.approx(0.1 + cost(100), abs=2e-3)
    assert waits.min() == pytest.approx(cost(100), abs=2e-3)


def test_a_batch_that_is_late_is_followed_at_once_by_one_that_takes_all():
    slow = Pace(rate=1000, burst=1, during=(1, 2), seconds=1, trigger=0.1)
    second = drive(slow, lambda rows: 0.25 if rows == 100 else 0.01)[1]
    assert (round(second.start, 2), second.rows, second.waiting) == (0.35, 250, 0)


def test_in_a_dstream_batches_wait_in_line():
    slow = Pace(rate=1000, burst=1, during=(0.2, 0.5), seconds=1, trigger=0.1, model=DSTREAM)
    runs = drive(slow, lambda _: 0.15)
    assert {run.rows for run in runs} == {100}
    assert [round(run.start, 2) for run in runs[:3]] == [0.1, 0.25, 0.4]
    assert runs[2].waiting == 100


def test_a_limit_bounds_the_batch_and_may_be_too_small():
    pace = Pace(rate=1000, burst=5, during=(1, 2), seconds=6, trigger=0.1, limit=200)
    runs = drive(pace, cost)
    assert max(run.rows for run in runs) == 200
    assert emptied(pace, runs) == pytest.approx(2.9)  # 3,000 rows too many, of which 1,000 a second go
    few = Pace(rate=1000, burst=1, during=(1, 2), seconds=4, trigger=0.1, limit=50)
    assert emptied(few, drive(few, cost)) is None


def test_a_machine_on_paper_gives_the_same_everywhere():
    found = sn.load(HOURLY, 10_000, burst=5, machine=PAPER)
    assert (round(found.longest), round(found.p99), round(found.emptied or 0, 1)) == (475, 799, 0.3)
    assert found.curve.loc[1000, "median_ms"] == pytest.approx(65)
    assert found.curve.loc[1000, "rows_per_second"] == pytest.approx(1000 / 0.065)


def test_this_machine_is_measured_around_each_batch():
    ticks = count()
    found = sn.load(HOURLY, 50, clock=lambda: next(ticks) / 100)
    assert set(found.curve["median_ms"].round(6)) == {10.0}
    assert set(found.batches["ms"].round(6)) == {10.0}
    assert found.batches["rows"].sum() == 400


def test_several_sources_are_refused():
    two = sn.data.landings("JFK").union(sn.data.landings("LGA"))
    with pytest.raises(sn.PlanError, match="2 sources"):
        sn.load(two)


def test_the_reader_may_change_the_pace():
    found = sn.load(HOURLY, 10_000, burst=5, machine=PAPER)
    for name, value in (("rate", 5000), ("burst", 2), ("trigger", 200), ("limit", 3000), ("model", DSTREAM)):
        found.subject.hear(name, value)
    sheet = found.subject.sheet()
    assert sheet.lead.startswith(
        "A machine on paper: 40 milliseconds a batch and 25 µs a row. 5,000 rows a second come, 2 times"
    )
    assert found.batches["rows"].max() <= 3000
    found.subject.hear("limit", 0)
    assert found.batches["rows"].max() == 2000


def test_the_sheet_is_plain_json_and_a_picture():
    sheet = sn.load(HOURLY, 10_000, burst=5, machine=PAPER).subject.sheet()
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    assert sheet.title == "99 % of rows are done within 799 ms; 0.3 s after the burst the queue is short."
    assert ET.fromstring(sheet_svg(sheet)).tag.endswith("svg")  # noqa: S314  our own
    (figure,) = (part for part in sheet.parts if isinstance(part, Figure))
    slow = [shape for shape in figure.shapes if shape.get("hatch") == "dropped"]
    assert len(slow) == 6
    assert figure.table is not None
    assert sum(float(row.cells[3]) > 100 for row in figure.table.rows) == 6


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"trigger": "0 s"}, "trigger='0 s'"),
        ({"burst": 0.5}, "burst=0.5"),
        ({"limit": 0}, "limit=0"),
        ({"rate": -1}, "rate=-1"),
        ({"model": "a miracle"}, "a miracle"),
    ],
)
def test_what_makes_no_queue_is_refused(asked, said):
    with pytest.raises(sn.PlanError, match=said):
        sn.load(HOURLY, **{"machine": PAPER, **asked})


def test_a_source_without_rows_is_refused():
    with pytest.raises(sn.PlanError, match="holds no rows"):
        sn.load(sn.stream(sn.MemorySource({"v": "int64"})))
