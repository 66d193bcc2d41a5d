"""Rows numbered and run again: the same result, and every result knows the rows that it is made of."""

from __future__ import annotations

import numpy as np
import pytest

import streamnb as sn
from streamnb.answers.journey import journey
from streamnb.answers.lineage import ROWS, ids_in, streams_of, without_ids
from tests.answers.seen import CASES


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_numbered_rows_give_the_same_result_and_every_row_is_where_the_result_says(case):
    recording = case.played()[0].recording()
    emitted = set[int]()
    for graph, trace in zip(recording.again(), recording.traces, strict=True):
        assert without_ids(graph.top.out.rows).select(trace.emitted.columns).equals(trace.emitted)
        assert [stream.node.verb for stream in streams_of(graph)] == [node.verb for node in recording.plan.walk()]
        emitted |= set(ids_in(graph.top.out.rows).tolist())
    for row in range(0, int(recording.starts[-1]), 7):
        stops = journey(recording, row)
        assert bool(stops[-1].left) == (row in emitted)
        assert any(stop.entered for stop in stops)


@pytest.mark.parametrize("mode", ["append", "update", "complete"])
def test_a_count_is_the_number_of_rows_behind_it(mode):
    flights = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    query = flights.group_by(sn.window("dep", "2 hours", "1 hour"), "carrier").agg(n=sn.count()).query(mode).run()
    recording = query.recording()
    for graph in recording.again():
        assert graph.top.out is not None
        rows = graph.top.out.rows
        assert rows["n"].to_list() == rows[ROWS].list.len().to_list()


def test_rows_are_numbered_by_batch_source_and_place():
    left, right = (sn.MemorySource({"k": "int64"}) for _ in range(2))
    query = sn.stream(left).union(sn.stream(right)).query()
    left.add([{"k": 1}, {"k": 2}])
    right.add([{"k": 3}])
    query.run()
    left.add([{"k": 4}])
    recording = query.run().recording()
    assert [recording.row(n)["k"] for n in range(4)] == [1, 2, 3, 4]
    assert [recording.place(n) for n in range(4)] == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert recording.rows(np.array([3, 0]))["batch_id"].to_list() == [0, 1]
