"""from_generator: rows made by Python, kept as they come."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal

import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError
from tests.sources.waiting import eventually, seconds_to_stop, source_of, source_threads, status, step_until

SCHEMA = {"n": "int64"}


def numbers(query: sn.Query) -> list[int]:
    return [int(n) for n in query.result["n"]]


def test_dicts_and_lists_of_dicts_are_rows_and_the_end_is_the_end():
    frame = sn.from_generator(iter([{"n": 0}, [{"n": 1}, {"n": 2}]]), SCHEMA)
    query = frame.query()
    step_until(query, 3)
    assert numbers(query) == [0, 1, 2]
    eventually(lambda: status(frame) == "ended")
    assert query.step() is None
    assert numbers(query.rewind(-1).run()) == [0, 1, 2]


def test_times_and_numbers_of_numpy_are_kept():
    import numpy as np

    at = dt.datetime(2026, 1, 1, 0, 0, 7, tzinfo=dt.UTC)
    row = {"at": at, "day": at.date(), "n": np.int64(3), "x": Decimal("1.5")}
    schema = {"at": "datetime[UTC]", "day": "date", "n": "int64", "x": "string"}
    query = sn.from_generator([row], schema).query()
    step_until(query, 1)
    (found,) = query.result.to_dict("records")
    assert (found["at"], found["n"], found["x"]) == (at, 3, "1.5")


def test_a_generator_without_end_stops_within_a_second_and_goes_on_later():
    made = []

    def ticks() -> Iterator[dict[str, int]]:
        n = 0
        while True:
            made.append(n)
            yield {"n": n}
            n += 1

    frame = sn.from_generator(ticks, SCHEMA, rows_per_batch=5)
    query = frame.query()
    step_until(query, 10)
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)
    again = frame.query()
    step_until(again, 10)
    assert numbers(again)[:10] == list(range(10))
    again.stop()
    eventually(lambda: not source_threads())
    assert made == list(range(len(made)))


def test_an_async_generator_that_waits_is_left_and_gone_on_with():
    go = threading.Event()

    async def ticks() -> AsyncIterator[dict[str, int]]:
        yield {"n": 0}
        await asyncio.to_thread(go.wait, 20)
        yield {"n": 1}

    frame = sn.from_generator(ticks, SCHEMA)
    query = frame.query()
    step_until(query, 1)
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)
    go.set()
    again = frame.query()
    step_until(again, 2)
    assert numbers(again) == [0, 1]
    eventually(lambda: status(frame) == "ended")


def test_what_it_raises_comes_after_the_rows_before_it():
    def broken() -> Iterator[dict[str, int]]:
        yield {"n": 0}
        raise KeyError("amount")

    frame = sn.from_generator(broken, SCHEMA)
    query = frame.query()
    eventually(lambda: query.step() is not None)
    eventually(lambda: status(frame) == "refused")
    with pytest.raises(DataError, match=r"from_generator: it raised KeyError: 'amount'"):
        query.step()
    assert numbers(query) == [0]


@pytest.mark.parametrize("row", [7, {"n": object()}, {"n": b"x"}])
def test_a_row_that_is_none_is_said(row):
    frame = sn.from_generator([row], SCHEMA)
    with pytest.raises(DataError, match=r"from_generator: .*; yield"):
        frame.query().step()


def test_what_is_no_generator_is_refused():
    with pytest.raises(PlanError, match="7 yields no rows"):
        sn.from_generator(7, SCHEMA)  # type: ignore[arg-type]


def test_a_function_with_a_parameter_goes_on_in_a_new_process(tmp_path):
    def ticks(done: int) -> Iterator[dict[str, int]]:
        return iter([{"n": n} for n in range(done, done + 3)])

    first = sn.from_generator(ticks, SCHEMA, spool=tmp_path)
    query = first.query()
    step_until(query, 3)
    query.stop()
    again = sn.from_generator(ticks, SCHEMA, spool=tmp_path).query()
    step_until(again, 6)
    assert numbers(again) == list(range(6))


def test_columns_are_guessed():
    frame = sn.from_generator([{"n": 1, "at": "2026-01-01 00:00:07", "ok": True}])
    assert [str(dtype)[:8] for dtype in frame.schema.dtypes()] == ["Int64", "Datetime", "Boolean"]
    assert source_of(frame).received is None


def test_ten_megabytes_and_half_a_character():
    query = sn.from_generator(iter([{"k": "\ud800"}, {"k": "x" * 10_000_000}]), {"k": "string"}).query()
    step_until(query, 1)
    assert query.result["k"].str.len().tolist() == [10_000_000]
    assert "surrogates not allowed" in query.dead_letters["reason"][0]
