"""Why nothing comes out: what the answer says must happen is done, and rows come out."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import QueryError
from streamnb.query import Query
from tests.answers.seen import CASES, MORE

HONEST = {"watermark", "idle input", "join"}
NEW = {"k": "a", "v": 3, "x": 1.5, "l": [1]}


def came(query: Query) -> int:
    return sum(len(trace.emitted) for trace in query.trace)


def follow(query: Query, sources: list[sn.MemorySource], times: int = 4) -> list[str]:
    """Do what the answer says until rows come out; return its reasons."""
    reasons: list[str] = []
    for _ in range(times):
        before, answer = came(query), query.why_no_output()
        reasons.append(answer.reason)
        for need in answer.needs:
            if need.what == "row":
                source = sources[(need.source or 1) - 1]
                source.add([row_for(need, source)])
        query.run()
        if came(query) > before:
            return reasons
    raise AssertionError(f"did what it said, and nothing came: {reasons}\n{query.why_no_output()}")


def row_for(need, source: sn.MemorySource) -> dict[str, Any]:
    """Return a row such as it asks for."""
    at = need.at_least if need.at_least is not None else dt.datetime(2030, 1, 1)
    row = {**NEW, **need.values, "ts": at, **({"k": "new"} if "not come before" in need.text else {})}
    return {name: value for name, value in row.items() if name in source.schema}


TRIED = [*((case, 1) for case in CASES), *((case, 2) for case in MORE)]


@pytest.mark.parametrize(("case", "seed"), TRIED, ids=[f"{case.name} {seed}" for case, seed in TRIED])
def test_what_it_says_brings_rows(case, seed):
    query, sources = case.played(seed, batches=3)
    answer = query.why_no_output()
    if answer.reason == "limit":
        return
    reasons = follow(query, sources)
    if answer.reason in HONEST and not any("ask again" in need.text for need in answer.needs):
        assert len(reasons) == 1


@pytest.fixture
def rows() -> sn.MemorySource:
    return sn.MemorySource({"ts": "datetime", "k": "string"})


def hourly(rows: sn.MemorySource) -> sn.StreamFrame:
    return sn.stream(rows).with_watermark("ts", "3 hours").group_by(sn.window("ts", "1 hour")).agg(n=sn.count())


def test_the_earliest_open_window_and_the_row_that_closes_it(rows):
    query = hourly(rows).query()
    rows.add([{"ts": "2024-01-01 12:40"}, {"ts": "2024-01-01 15:40"}])
    answer = query.run().why_no_output()
    assert answer.reason == "watermark"
    assert answer.waits_for == pd.Timestamp("2024-01-01 13:00")
    assert [need.at_least for need in answer.needs] == [pd.Timestamp("2024-01-01 16:00")]
    assert answer.title == (
        "The watermark is 2024-01-01 12:40; the earliest open window that gives rows ends at 2024-01-01 13:00."
    )


def test_one_millisecond_less_does_not_close_it(rows):
    query = hourly(rows).query()
    rows.add([{"ts": "2024-01-01 12:40"}])
    need = query.run().why_no_output().needs[0]
    assert need.at_least is not None
    rows.add([{"ts": need.at_least - pd.Timedelta("1ms")}])
    assert came(query.run()) == 0


def test_a_filter_above_asks_for_a_later_window(rows):
    query = hourly(rows).filter(sn.col("n") > 1).query()
    rows.add([{"ts": "2024-01-01 12:40"}, {"ts": "2024-01-01 13:40"}, {"ts": "2024-01-01 13:50"}])
    assert query.run().why_no_output().waits_for == pd.Timestamp("2024-01-01 14:00")


def test_the_input_that_holds_the_others_back_is_named(rows):
    other = sn.MemorySource({"ts": "datetime", "k": "string"})
    marked = [sn.stream(source).with_watermark("ts", "1 hour") for source in (rows, other)]
    query = marked[0].union(marked[1]).group_by(sn.window("ts", "1 hour")).agg(n=sn.count()).query()
    rows.add([{"ts": "2024-01-01 12:40"}, {"ts": "2024-01-01 15:40"}])
    answer = query.run().why_no_output()
    assert answer.reason == "idle input"
    assert [(need.source, need.at_least) for need in answer.needs] == [(2, pd.Timestamp("2024-01-01 14:00"))]
    assert "input 2 (ts) holds the watermark back" in answer.title


def test_nothing_read_yet_and_input_that_waits(rows):
    query = hourly(rows).query()
    assert query.why_no_output().reason == "no input"
    rows.add([{"ts": "2024-01-01 12:40"}])
    rows.add([{"ts": "2024-01-01 17:00"}])
    answer = query.why_no_output()
    assert (answer.reason, answer.needs[0].what) == ("input waits", "run")
    assert "after 3 batches more" in answer.title
    query.step()
    assert "after 2 batches more" in query.why_no_output().title


def test_all_filtered_all_late_all_duplicates(rows):
    rows.add([{"ts": "2024-01-01 12:40", "k": "a"}])
    marked = sn.stream(rows).with_watermark("ts", "0s")
    assert marked.filter(sn.col("k") == "z").query().run().why_no_output().reason == "filtered"
    late = hourly(rows).query()
    rows.add([{"ts": "1969-01-01 12:40", "k": "a"}])
    assert late.run().why_no_output().reason == "watermark"
    old = sn.MemorySource({"ts": "datetime"})
    old.add([{"ts": "1969-01-01"}])
    assert (
        sn.stream(old)
        .with_watermark("ts", "0s")
        .group_by(sn.window("ts", "1h"))
        .agg(n=sn.count())
        .query()
        .run()
        .why_no_output()
        .reason
        == "late"
    )


def test_without_batches_without_input_it_asks_for_one_more_row(rows):
    query = hourly(rows).query(no_data_batches=False)
    rows.add([{"ts": "2024-01-01 12:40"}])
    assert len(query.run().why_no_output().needs) == 2
    follow(query, [rows], times=1)


def test_groups_without_a_time_never_come_out(rows):
    query = sn.stream(rows).with_watermark("ts", "1 hour").group_by("ts").agg(n=sn.count()).query()
    rows.add([{"ts": None}])
    answer = query.run().why_no_output()
    assert (answer.reason, answer.needs[0].what) == ("never", "mend")


def test_stopped_and_failed_queries_say_so(rows):
    query = hourly(rows).query()
    assert query.stop().why_no_output().reason == "stopped"

    def boom(_rows, _batch_id):
        raise ValueError("no disk")

    failing = sn.stream(rows).query(sink=boom)
    rows.add([{"ts": "2024-01-01 12:40"}])
    failing.play()
    with pytest.raises(QueryError, match="no disk"):
        failing.await_termination(30)
    assert failing.why_no_output().reason == "failed"
    failing.stop()


def test_a_function_of_ones_own_is_not_called_to_try_things(rows):
    calls = []

    def seen(frame):
        calls.append(len(frame))
        return frame

    query = sn.stream(rows).map_batches(seen, {"ts": "datetime", "k": "string"}).query()
    rows.add([{"ts": "2024-01-01 12:40", "k": "a"}])
    assert query.why_no_output().reason == "input waits"
    assert calls == []
