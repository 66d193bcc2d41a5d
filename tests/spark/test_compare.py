"""compare: what a query has read goes through Spark batch by batch; a difference is shown, none is invented."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.spark.compare import BatchCompared, Comparison

pytestmark = pytest.mark.spark

SCHEMA = {"at": "datetime", "user": "string", "x": "float64"}


def source(*batches):
    found = sn.MemorySource(SCHEMA)
    for rows in batches:
        found.add([{"at": at, "user": user, "x": x} for at, user, x in rows])
    return found


FIRST = [("2024-01-01 00:00:03", "ann", 1.5), ("2024-01-01 00:00:04", None, float("nan")), (None, "bob", None)]
LATER = [("2024-01-01 00:00:21", "ann", 0.1), ("2024-01-01 00:00:22", "<b>", 1e300)]
LATE = [("2024-01-01 00:00:01", "ann", 1.0), ("2024-01-01 00:00:02", "eve", 1.0)]


def counted(stream):
    timed = stream.with_watermark("at", "2 seconds")
    return timed.group_by(sn.window("at", "10 seconds"), "user").agg(
        n=sn.count(), x=sn.sum("x"), us=sn.collect_set("user")
    )


@pytest.mark.parametrize("mode", ["append", "update", "complete"])
def test_a_query_and_spark_agree(mode, oracle):
    query = counted(sn.stream(source(FIRST, LATER, [], LATE))).query(mode, name="counted").run()
    found = sn.compare(query, oracle.spark)
    assert found.same, found.batches.to_string() + found.differences.to_string()
    batches = found.batches
    assert list(batches["batch_id"]) == [p.batch_id for p in query.progress]
    assert list(batches["rows_out"]) == list(batches["rows_out_spark"]) == [len(rows) for rows in query.emitted]
    assert list(batches["watermark"]) == list(batches["watermark_spark"])
    if mode != "complete":
        assert batches["dropped"].max() == 2
        assert batches["dropped_spark"].max() == 2
    assert repr(found).startswith("'counted' and Spark agree: ")


def test_two_streams_stepped_one_by_one_agree(oracle):
    left, right = source(), source()
    joined = (
        sn.stream(left).with_watermark("at", "1 second")
        .join(
            sn.stream(right).rename({"at": "t", "x": "y"}).with_watermark("t", "1 second"),
            on="user", how="left", within=sn.between("t", after="0s", before="5 seconds", of="at"),
        )
    )  # fmt: skip
    query = joined.query(watermark_policy="max")
    sn.add({left: pd.DataFrame(FIRST, columns=list(SCHEMA)), right: []})
    query.step()
    sn.add({left: [], right: pd.DataFrame(LATER, columns=list(SCHEMA))})
    query.run()
    assert any(trace.no_data for trace in query.trace)
    found = sn.compare(query, oracle.spark)
    assert found.same, found.batches.to_string() + found.differences.to_string()
    assert sum(found.batches["rows_out"]) == 2


class Idle(sn.StatefulProcessor):
    """Tells a key's number of rows, and when it has been idle for ten seconds of the clock."""

    def init(self, handle):
        self.handle = handle
        self.count = handle.get_value_state("count", {"n": "int64"})

    def handle_input_rows(self, key, rows, timer_values):
        n = (self.count.get()[0] if self.count.exists() else 0) + sum(map(len, rows))
        self.count.update((n,))
        for timer in list(self.handle.list_timers()):
            self.handle.delete_timer(timer)
        self.handle.register_timer(timer_values.get_current_processing_time_in_ms() + 10_000)
        yield {"user": key[0], "n": n}

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.count.clear()
        yield {"user": key[0], "n": -1}


def test_a_processor_with_timers_by_the_clock_agrees(oracle):
    given, clock = source(FIRST[:1]), sn.ManualClock("2024-01-01")
    query = (
        sn.stream(given).group_by("user")
        .transform_with_state(Idle(), "user string, n bigint", time_mode="processing").query("update", clock=clock)
    )  # fmt: skip
    query.step()
    clock.advance("4 seconds")
    given.add([{"user": "ann"}, {"user": "bob"}])
    query.step()
    clock.advance("10 seconds")
    query.step()
    assert sorted(query.emitted[-1]["n"]) == [-1, -1]
    found = sn.compare(query, oracle.spark)
    assert found.same, found.batches.to_string() + found.differences.to_string()


def batch(ours, theirs, **more):
    schema = {"user": pl.String(), "n": pl.Int64(), "xs": pl.List(pl.Int64())}
    here, there = (pl.DataFrame(rows, schema, orient="row") for rows in (ours, theirs))
    said: dict[str, Any] = {"watermarks": (None, None), "dropped": (0, 0)} | more
    return BatchCompared(7, 2, here, there, **said)


def test_a_difference_is_shown_row_by_row():
    found = Comparison("q", (batch([("<b>", 1, []), ("a", 2, [1, 2])], [("a", 2, [2, 1]), ("a", 2, [2, 1])]),))
    assert not found.same
    assert repr(found) == "'q' and Spark differ in 1 of 1 batches: [7]; see differences."
    assert found.differences[["batch_id", "only", "user"]].to_numpy().tolist() == [
        [7, "here", "<b>"],
        [7, "Spark", "a"],
    ]
    assert found.batches["differing_rows"].tolist() == [2]


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ({}, True),
        ({"watermarks": (pd.Timestamp(0, tz="UTC"), None)}, False),
        ({"dropped": (2, 1)}, False),
        ({"dropped": (2, 1), "counts_groups": True}, True),
        ({"dropped": (2, 0), "counts_groups": True}, False),
    ],
)
def test_watermarks_and_dropped_rows_count_too(more, same):
    assert batch([("a", 1, None)], [("a", 1, None)], **more).same is same


def test_order_counts_below_sort_only():
    rows = [("a", 1, None), ("b", 2, None)]
    assert batch(rows, rows[::-1]).same
    assert not batch(rows, rows[::-1], ordered=True).same


def test_a_query_that_has_done_nothing_has_nothing_to_compare(oracle):
    with pytest.raises(sn.QueryError, match="has run no batch"):
        sn.compare(counted(sn.stream(source())).query(), oracle.spark)


def test_what_came_before_a_checkpoint_is_not_recorded(oracle, tmp_path):
    given = source(FIRST)
    counted(sn.stream(given)).query(checkpoint=tmp_path).run().stop()
    given.add([{"at": dt.datetime(2024, 1, 2, tzinfo=dt.UTC).replace(tzinfo=None), "user": "x", "x": 1}])
    query = counted(sn.stream(given)).query(checkpoint=tmp_path).run()
    with pytest.raises(sn.QueryError, match="went on from a checkpoint"):
        sn.compare(query, oracle.spark)
