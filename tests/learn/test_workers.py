"""Workers: who works when, who waits, and what a copy or a salt changes."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.learn.schedule import schedule
from streamnb.spark.murmur import partitions
from streamnb.views.gantt import gantt_sheet
from streamnb.views.shapes import Choice, Figure, Slider
from streamnb.views.sheet_svg import sheet_svg

EVIL = "<img src=x onerror=alert(1)>"


def spans(plan):
    return [(t.worker, t.key, round(t.start, 3), round(t.end, 3), t.backup, t.stopped) for t in plan.tasks]


def test_a_worker_takes_its_keys_in_turn():
    plan = schedule([[("a", 0, 300), ("b", 1, 100), ("c", 0, 100)]], 2, {}, backup=False)
    assert spans(plan) == [
        (0, "a", 0, 0.3, False, False), (1, "b", 0, 0.1, False, False), (0, "c", 0.3, 0.4, False, False),
    ]  # fmt: skip
    assert (plan.end, round(plan.idle, 3)) == (0.4, 0.375)


def test_a_stage_waits_for_the_one_below():
    plan = schedule([[("a", 0, 300), ("b", 1, 100)], [("a", 1, 50)]], 2, {}, backup=False)
    assert [t.start for t in plan.tasks if t.stage == 1] == [0.3]
    assert plan.ends == (0.3, 0.35)


def test_a_slow_worker_takes_longer():
    plan = schedule([[("a", 0, 100), ("b", 1, 100)]], 2, {1: 4.0}, backup=False)
    assert [t.end for t in plan.tasks] == [0.1, 0.4]


def test_a_copy_on_a_quicker_worker_ends_the_task():
    plan = schedule([[("a", 0, 100), ("b", 1, 100)]], 2, {1: 4.0}, backup=True)
    assert spans(plan) == [
        (0, "a", 0, 0.1, False, False), (1, "b", 0, 0.2, False, True), (0, "b", 0.1, 0.2, True, False),
    ]  # fmt: skip


def test_whoever_waits_helps_with_a_task_that_begins_later():
    loads = [("a", 0, 10), ("b", 1, 100), ("c", 1, 100)]
    plan = schedule([loads], 2, {1: 4.0}, backup=True)
    assert [(t.key, round(t.start, 3)) for t in plan.tasks if t.backup] == [("b", 0.01), ("c", 0.11)]
    assert plan.end == pytest.approx(0.21)


def test_a_copy_of_a_hot_key_is_not_even_begun():
    plan = schedule([[("hot", 0, 1000), ("b", 1, 10)]], 2, {}, backup=True)
    assert not any(t.backup for t in plan.tasks)


def test_nothing_to_do_is_done_at_once():
    assert (schedule([[]], 4, {}, backup=True).end, sn.workers([], 4).idle) == (0.0, 0.0)


def test_a_key_goes_where_spark_sends_it():
    reports = sn.data.landings().collect()
    found = sn.workers(reports["origin"], n=8)
    named = {key: int(at) for key in ("EWR", "JFK", "LGA") for at in partitions(pl.DataFrame({"k": [key]}), 8)}
    table = found.table
    assert {key: int(w) for w, key in zip(table["worker"], table["keys"], strict=True) if key} == named
    assert table["rows"].sum() == len(reports)


def test_a_frame_is_taken_stage_by_stage():
    landings = sn.data.landings("JFK", "2013-02-08").with_columns(salt=sn.col("flight") % 4)
    part = landings.group_by("origin", "salt").agg(n=sn.count())
    found = sn.workers(part.group_by("origin").agg(n=sn.sum("n")), n=4)
    figure = found.subject.sheet().parts[-1]
    assert isinstance(figure, Figure)
    assert figure.table is not None
    stages = [(row.cells[1], row.cells[3]) for row in figure.table.rows]
    assert sum(int(rows) for stage, rows in stages if stage == "1") == 145
    assert [rows for stage, rows in stages if stage == "2"] == ["4"]


def test_keys_may_be_null_numbers_or_several_columns():
    keys = pd.DataFrame({"a": ["x", None, "x"], "b": [1, 2, 1]})
    assert sn.workers(keys, n=2).table["rows"].max() >= 2
    assert sn.workers([None, None], n=3).table["keys"].tolist().count("null") == 1


def test_the_reader_may_change_everything():
    found = sn.workers(["a"] * 900 + ["b"] * 100, n=4, slow={3: 4.0})
    for name, value in (("n", 2), ("salt", 3), ("worker", 1), ("factor", 2.0), ("backup", "yes")):
        found.subject.hear(name, value)
    sheet = found.subject.sheet()
    controls = {part.name: part.value for part in sheet.parts if isinstance(part, Slider | Choice)}
    assert controls == {"n": 2, "salt": 3, "worker": 1, "factor": 2.0, "backup": "yes"}
    assert found.table["rows"].sum() >= 1000
    assert "2 workers are done" in sheet.title


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"n": 0}, "n=0"),
        ({"salt": 0}, "salt=0"),
        ({"slow": {8: 2.0}}, "worker 8 is none of 0 to 7"),
        ({"slow": {0: 0.5}}, "factor is below 1"),
    ],
)
def test_what_cannot_be_is_refused(asked, said):
    with pytest.raises(sn.PlanError, match=said):
        sn.workers(["a"], **asked)


def test_a_frame_without_keys_is_refused():
    with pytest.raises(sn.PlanError, match="no operator with keys"):
        sn.workers(sn.data.landings())


def test_the_sheet_is_plain_json_and_inert():
    sheet = gantt_sheet(schedule([[(EVIL, 0, 100), ("b", 1, 300)]], 2, {0: 2.0}, backup=True))
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
    picture = sheet_svg(sheet)
    assert EVIL not in picture
    assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314  our own
    (figure,) = (part for part in sheet.parts if isinstance(part, Figure))
    assert any(shape.get("hatch") for shape in figure.shapes)
