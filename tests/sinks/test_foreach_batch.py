"""ForeachBatch and sinks of one's own: what they are given, and what happens when they fail."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import QueryError


@pytest.fixture
def source() -> sn.MemorySource:
    source = sn.MemorySource({"k": "string", "n": "int64"})
    source.add([{"k": "a", "n": 1}])
    source.add([])
    return source


def test_a_function_gets_pandas_and_the_number_of_the_batch(source: sn.MemorySource) -> None:
    told: list[tuple[int, list[dict[str, Any]]]] = []
    sn.stream(source).query(sink=lambda rows, batch_id: told.append((batch_id, rows.to_dict("records")))).run()
    assert told == [(0, [{"k": "a", "n": 1}]), (1, [])]


def test_what_it_does_to_its_rows_is_not_seen_elsewhere(source: sn.MemorySource) -> None:
    def spoil(rows: pd.DataFrame, _: int) -> None:
        rows.loc[:, "n"] = 99

    assert list(sn.stream(source).query(sink=sn.sinks.ForeachBatch(spoil)).run().result["n"]) == [1]


def test_a_sink_of_ones_own_hears_the_mode(source: sn.MemorySource) -> None:
    class Mine:
        def __init__(self) -> None:
            self.told: list[tuple[int, int, str]] = []

        def write(self, batch_id: int, rows: pd.DataFrame, mode: str) -> None:
            self.told.append((batch_id, len(rows), mode))

    sink = Mine()
    sn.stream(source).group_by("k").agg(n=sn.count()).query("complete", sink=sink).run()
    assert sink.told == [(0, 1, "complete"), (1, 1, "complete")]


def test_a_sink_that_asks_for_polars_gets_polars(source: sn.MemorySource) -> None:
    class Mine:
        def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
            assert isinstance(rows, pl.DataFrame)

    sn.stream(source).query(sink=Mine()).run()


def test_a_failure_names_the_sink_the_batch_and_the_rows(source: sn.MemorySource) -> None:
    attempts: list[int] = []

    def fail_once(_: pd.DataFrame, batch_id: int) -> None:
        attempts.append(batch_id)
        if len(attempts) == 1:
            raise OSError("the disk is full")

    query = sn.stream(source).query(sink=fail_once)
    with pytest.raises(
        QueryError, match=r"sink: ForeachBatch\(.*fail_once\) failed on batch 0, 1 rows: OSError the disk is full"
    ) as error:
        query.step()
    assert isinstance(error.value.__cause__, OSError)
    assert query.result.empty
    query.run()
    assert attempts == [0, 0, 1]
    assert len(query.result) == 1
