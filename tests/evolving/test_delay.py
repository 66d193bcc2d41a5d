"""A watermark whose delay is a param: each batch waits as long as the log says, and the watermark never goes back."""

from __future__ import annotations

import itertools
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb import params
from tests.evolving.rows import feed, rows, source

_fresh = itertools.count()
START = pd.Timestamp("2026-01-01")


@pytest.fixture
def wait() -> sn.Param:
    return sn.param(f"wait_{next(_fresh)}", "20 seconds")


def counted(over: sn.MemorySource, wait: Any) -> sn.StreamFrame:
    events = sn.stream(over).with_watermark("at", wait)
    return events.group_by(sn.window("at", "10 seconds")).agg(n=sn.count())


def marks(query: sn.Query) -> list[int | None]:
    """Return the watermark after each batch, in seconds from the start."""
    return [None if t.watermark_after is None else seconds(t.watermark_after) for t in query.trace]


def seconds(at: Any) -> int:
    return round((pd.Timestamp(at) - START).total_seconds())


def given(query: sn.Query, wait: sn.Param) -> list[Any]:
    return [trace.given[wait.param] for trace in query.trace]


def test_a_shorter_one_moves_the_watermark_on_without_a_new_row(wait):
    query = counted(source(8), wait).query().run()
    assert seconds(query.watermark) == 15
    before = len(query.trace)
    wait.set("5 seconds")
    query.run()
    assert seconds(query.watermark) == 30
    assert len(query.result) == 3
    assert [trace.no_data for trace in query.trace[before:]] == [True, True]
    assert query.trace[-1].marks[0].delay == pd.Timedelta("5s")


def test_a_longer_one_never_moves_it_back(wait):
    src = source(8)
    query = counted(src, wait).query().run()
    wait.set("30 seconds")
    feed(src, 2)
    assert seconds(query.run().watermark) == 15
    feed(src, 1)
    assert seconds(query.run().watermark) == 20
    after = [mark for mark in marks(query) if mark is not None]
    assert after == sorted(after)


def test_rows_are_late_by_the_delay_of_then(wait):
    src = source(8)
    query = counted(src, wait).query().run()
    wait.set("0 seconds")
    query.run()
    src.add([{"at": START + pd.Timedelta("20s"), "card": "ann", "v": 1}])
    query.run()
    assert len(query.late) == 1
    wait.set("1 hour")
    src.add([{"at": START + pd.Timedelta("20s"), "card": "ann", "v": 1}])
    assert len(query.run().late) == 2


def test_rewound_every_batch_waits_as_it_did(wait):
    query = counted(source(8), wait).query().run()
    wait.set("5 seconds")
    query.run()
    wait.set("0 seconds")
    first, story = query.run().result, (given(query, wait), marks(query))
    query.rewind(to=2)
    assert query.run().result.equals(first)
    assert (given(query, wait), marks(query)) == story


def test_set_after_a_rewind_the_new_one_holds(wait):
    query = counted(source(8), wait).query().run()
    query.rewind(to=0)
    wait.set("0 seconds")
    assert seconds(query.run().watermark) == 35


def test_after_a_restart_it_goes_on_from_the_largest_seen(tmp_path):
    name, src = f"wait_{next(_fresh)}", source(8)
    query = counted(src, sn.param(name, "20 seconds")).query(checkpoint=tmp_path).run()
    sn.param(name, "20 seconds").set("15 seconds")
    query.run().stop()
    del params._settings[name]  # another process has not heard of it
    again = sn.param(name, "20 seconds")
    query = counted(src, again).query(checkpoint=tmp_path)
    assert (again.value, seconds(query.watermark)) == ("15 seconds", 20)
    again.set("5 seconds")
    src.add([{"at": START + pd.Timedelta("25s"), "card": "ann", "v": 1}])
    assert seconds(query.run().watermark) == 30


def test_a_batch_that_failed_waits_as_it_began(wait, tmp_path):
    src, handed = source(0), []

    def sink(rows, _):
        handed.append(len(rows))
        if len(handed) == 2:
            raise OSError("gone")

    query = counted(src, wait).query(sink=sink, checkpoint=tmp_path)
    feed(src, 8)
    with pytest.raises(sn.QueryError):
        query.run()
    wait.set("0 seconds")
    query.run()
    assert given(query, wait)[:3] == ["20 seconds", "20 seconds", "0 seconds"]


def test_a_fork_waits_as_its_origin_did(wait):
    src = source(8)
    query = counted(src, wait).query().run()
    wait.set("5 seconds")
    query.run()
    fork = query.fork(at_batch=3)
    wait.set("1 hour")
    assert fork.run().result.equals(query.result)
    assert marks(fork) == marks(query)[4:]


def test_of_two_inputs_the_slower_one_still_counts(wait):
    left, right = source(8), source(8)
    one, two = (sn.stream(src).with_watermark("at", by) for src, by in ((left, wait), (right, "10 seconds")))
    query = one.union(two).group_by(sn.window("at", "10 seconds")).agg(n=sn.count()).query().run()
    assert seconds(query.watermark) == 15
    wait.set("0 seconds")
    assert seconds(query.run().watermark) == 25


def test_a_plain_delay_evolves_into_one_that_moves(wait):
    src = source(8)
    query = counted(src, "20 seconds").query().run()
    query.evolve(counted(src, wait))
    feed(src, 1)
    assert seconds(query.run().watermark) == 20
    wait.set("0 seconds")
    assert seconds(query.run().watermark) == 40


def test_a_slider_of_numbers_names_its_unit():
    slide = sn.slider(f"wait_{next(_fresh)}", 2, 0, 10, unit="minutes")
    query = counted(source(8), slide).query()
    assert query.outline.delay == pd.Timedelta("2 minutes")
    slide.widget.value = 1
    assert query.outline.delay == pd.Timedelta("1 minute")
    slide.set(0)
    assert seconds(query.run().watermark) == 35
    assert set(given(query, slide)) == {0}
    assert slide.widget.description.endswith("minutes")


def test_spark_gets_the_delay_of_now(wait):
    wait.set("7 seconds")
    assert "7 seconds" in counted(source(), wait).to_pyspark_source()


def test_the_explanation_of_a_row_goes_by_the_delay_of_then(wait):
    src = source(8)
    query = counted(src, wait).query().run()
    src.add([{"at": START, "card": "ann", "v": 1}])
    query.run()
    asked = (sn.col("at") == START) & (sn.col("v") == 1)
    told = query.why(asked)
    wait.set("1 hour")
    assert str(query.why(asked)) == str(told)
    assert "it is 20 seconds" in str(told)
    assert (query.trace[7].watermark_row or {})["card"] in {"ann", "bob"}


@pytest.mark.parametrize("value", ["soon", "-1 minute", ""])
def test_no_batch_is_given_what_is_no_delay(wait, value):
    counted(source(), wait)
    with pytest.raises(sn.PlanError) as caught:
        wait.set(value)
    assert (caught.value.code, wait.value) == ("DURATION_INVALID", "20 seconds")
    with pytest.raises(sn.PlanError):
        sn.param(wait.param, value)
    assert wait.value == "20 seconds"


@pytest.mark.parametrize("default", [180, 1.5, True])
def test_a_number_without_a_unit_is_refused(default):
    wait = sn.param(f"wait_{next(_fresh)}", default)
    with pytest.raises(sn.PlanError, match="a delay has a unit") as caught:
        counted(source(), wait)
    assert caught.value.code == "OPTION_INVALID"


def test_a_delay_of_another_type_needs_another_name(wait):
    counted(source(), wait)
    with pytest.raises(sn.PlanError, match="give it another name"):
        sn.param(wait.param, 20, unit="seconds")


def test_where_the_delay_is_what_is_remembered_it_is_refused(wait):
    once = sn.stream(source()).with_watermark("at", wait).drop_duplicates_within_watermark("card")
    with pytest.raises(sn.PlanError, match="a fixed delay") as caught:
        once.query()
    assert caught.value.code == "OPTION_INVALID"
    with pytest.raises(sn.PlanError):
        sn.stream(source()).with_watermark("at", "1 minute", idle_after=wait)


def test_a_partition_each_may_wait_so_too(wait):
    src = source(8)
    events = sn.stream(src).with_watermark("at", wait, per="card")
    query = events.group_by(sn.window("at", "10 seconds")).agg(n=sn.count()).query().run()
    wait.set("5 seconds")
    assert seconds(query.run().watermark) == 30
    src.add([row for unit in rows(1, 20) for row in unit if row["card"] == "ann"])
    assert seconds(query.run().watermark) == 30
