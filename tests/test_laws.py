"""What holds for every operator and every aggregate, tried on random streams."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamnb as sn
from streamnb.errors import QueryError
from streamnb.query import Query
from tests.laws import (
    NAMES,
    PROGRAMS,
    SCHEMA,
    Batches,
    Program,
    bag,
    everything,
    feed,
    story,
    streams,
    twin_told,
)
from tests.oracle import EPOCH, Groups, Mark, Row, Twin, Windows, at_once

FEW_PROGRAMS = ["limit", "tumbling append", "everything update", "aggregation over aggregation", "union min"]
every_program = pytest.mark.parametrize("program", PROGRAMS, ids=NAMES)


def those(keep: Callable[[Program], bool]) -> pytest.MarkDecorator:
    kept = [program for program in PROGRAMS if keep(program)]
    return pytest.mark.parametrize("program", kept, ids=[program.name for program in kept])


def a_stream(data: st.DataObject, program: Program, **options: Any) -> Batches:
    return data.draw(streams(program.inputs, **options))


def played(program: Program, batches: Batches, *, idle: bool = False) -> Query:
    """Return a query that was given every batch, and has gone idle after each of them or only at the end."""
    sources = program.sources()
    query = program.open(sources)
    for batch in batches:
        feed(sources, batch)
        while query.step() is not None and idle:
            pass
    return query.run()


def final(query: Query) -> list[tuple[str, ...]]:
    result = pl.from_pandas(query.result)
    return bag(result.to_dicts(), result.columns)


# -- the oracle


@every_program
@settings(max_examples=10)
@given(data=st.data(), idle=st.booleans())
def test_every_batch_is_as_the_oracle_says(program: Program, data: st.DataObject, *, idle: bool) -> None:
    sources = program.sources()
    query, twin = program.open(sources), program.twin()
    for batch in a_stream(data, program):
        feed(sources, batch)
        query.step()
        twin.batch(*batch)
        if idle:
            query.run()
            twin.idle()
    query.run()
    twin.idle()
    schema = program.on(sources).node.schema
    assert story(query) == [twin_told(batch, schema.names()) for batch in twin.told]
    assert all(trace.emitted.schema == schema for trace in query.trace)


@every_program
@given(data=st.data())
def test_collect_is_the_query_over_a_table(program: Program, data: st.DataObject) -> None:
    sources = program.sources()
    (table,) = merged(a_stream(data, program))
    feed(sources, table)
    frame = program.on(sources)
    got = pl.from_pandas(frame.collect(), schema_overrides=frame.node.schema)
    assert bag(got.to_dicts(), got.columns) == bag(at_once(program.twin(), *table), got.columns)


def test_the_flights_of_the_storm_are_as_the_oracle_says() -> None:
    flights = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    query = flights.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query().run()
    twin = Twin([[Mark("dep", "3h"), Groups("append", (), {"n": ("rows",)}, Windows("dep", "1h"))]])
    all_flights = sn.data.flights()
    storm = (all_flights["origin"] == "JFK") & (all_flights["sched_dep"].dt.normalize() == pd.Timestamp("2013-02-08"))
    table = all_flights[storm].dropna(subset=["arr"])
    for _, batch in table.sort_values("arr", kind="stable").groupby(table["arr"].dt.ceil("30min")):
        twin.batch(batch.to_dict("records"))
    twin.idle()
    columns = ["window_start", "window_end", "n"]
    batches = zip(query.trace, twin.told, strict=True)
    assert all(bag(trace.emitted.to_dicts(), columns) == bag(told.rows, columns) for trace, told in batches)
    assert [trace.watermark for trace in query.trace] == [told.watermark for told in twin.told]
    assert sorted(query.late["flight_id"]) == sorted(row["flight_id"] for told in twin.told for row in told.dropped)
    assert (query.result["n"].sum(), len(query.late), query.state["n"].sum()) == (98, 23, 24)


# -- batches


def merged(batches: Batches) -> Batches:
    """Return all batches as one."""
    return [tuple([row for table in tables for row in table] for tables in zip(*batches, strict=True))]


@those(lambda program: not program.watermarked)
@given(data=st.data())
def test_how_rows_are_cut_into_batches_does_not_matter(program: Program, data: st.DataObject) -> None:
    batches = a_stream(data, program)
    assert final(played(program, batches)) == final(played(program, merged(batches)))


@every_program
@given(data=st.data())
def test_empty_batches_change_nothing(program: Program, data: st.DataObject) -> None:
    batches = a_stream(data, program)
    nothing: tuple[list[Row], ...] = ([],) * program.inputs
    padded = [part for batch in batches for part in (batch, *[nothing] * data.draw(st.integers(0, 2)))]
    plain, with_empty = played(program, batches, idle=True), played(program, padded, idle=True)
    assert everything(plain)[-3:] == everything(with_empty)[-3:]
    assert len(plain.late) == len(with_empty.late)


def sorted_in_time(batches: Batches) -> Batches:
    """Return the same rows, each input's in order of time over all its batches."""
    tables = [sorted((row for table in tables for row in table), key=_time) for tables in zip(*batches, strict=True)]
    size = len(batches)
    return [
        tuple(table[i * len(table) // size : (i + 1) * len(table) // size] for table in tables) for i in range(size)
    ]


def _time(row: Row) -> Any:
    return row["ts"]


@those(lambda program: program.inputs == 1 and program.name != "aggregation over aggregation")
@given(data=st.data())
def test_collect_is_what_the_stream_says_when_nothing_is_late(program: Program, data: st.DataObject) -> None:
    batches = sorted_in_time(a_stream(data, program, first_ms=1, nulls=False))
    query = played(program, batches)
    assert query.late.empty
    sources = program.sources()
    feed(sources, merged(batches)[0])
    whole = pl.from_pandas(program.on(sources).collect())
    assert sorted(final(query) + pending(program, query, whole.columns)) == bag(whole.to_dicts(), whole.columns)


def pending(program: Program, query: Query, columns: list[str]) -> list[tuple[str, ...]]:
    """Return the groups that append mode has not given out yet."""
    if program.mode != "append" or program.stateless:
        return []
    return bag(pl.from_pandas(query.state).to_dicts(), columns)


# -- going back


@every_program
@given(data=st.data(), idle=st.booleans())
def test_rewinding_and_stepping_again_is_as_if_nothing_had_been(
    program: Program, data: st.DataObject, *, idle: bool
) -> None:
    batches = a_stream(data, program)
    query = played(program, batches, idle=idle)
    seen, to = everything(query), data.draw(st.integers(-1, len(query.trace) - 1))
    query.rewind(to)
    assert len(query.trace) == to + 1
    assert everything(query.run()) == seen


@every_program
@given(data=st.data())
def test_the_past_can_be_looked_at(program: Program, data: st.DataObject) -> None:
    batches = a_stream(data, program)
    query = played(program, batches)
    past = data.draw(st.integers(-1, len(query.trace) - 1))
    state, result = query.state_at(past), query.result_at(past)
    query.rewind(past)
    pd.testing.assert_frame_equal(state, query.state)
    pd.testing.assert_frame_equal(result, query.result)


# -- failing


class Trip:
    """Fails once, when it is called for the ``at``-th time, with ``error``; does nothing else."""

    def __init__(self, error: BaseException | None, at: int = 0) -> None:
        self.error, self.left = error, at

    def __call__(self, rows: pd.DataFrame, *_: Any) -> pd.DataFrame:
        self.left -= 1
        if self.left < 0 and self.error is not None:
            error, self.error = self.error, None
            raise error
        return rows


ERRORS = st.sampled_from([ValueError, KeyboardInterrupt, SystemExit, MemoryError])


def insisted(query: Query, sources: list[sn.MemorySource], batches: Batches, *, idle: bool) -> Query:
    """Play a query; when a batch fails, try again."""
    for batch in batches:
        feed(sources, batch)
        again(query.step)
        if idle:
            again(query.run)
    again(query.run)
    return query


def again(work: Callable[[], Any]) -> None:
    try:
        work()
    except (QueryError, KeyboardInterrupt, SystemExit):
        work()


@every_program
@given(data=st.data(), error=ERRORS, at=st.integers(0, 5), idle=st.booleans())
def test_a_sink_that_fails_is_as_if_it_had_not(
    program: Program, data: st.DataObject, error: type[BaseException], at: int, *, idle: bool
) -> None:
    batches, sources = a_stream(data, program), program.sources()
    query = insisted(program.open(sources, sink=Trip(error("now"), at)), sources, batches, idle=idle)
    assert everything(query) == everything(played(program, batches, idle=idle))


@those(lambda program: program.name in FEW_PROGRAMS)
@given(data=st.data(), error=ERRORS, at=st.integers(0, 5), idle=st.booleans())
def test_a_function_that_fails_is_as_if_it_had_not(
    program: Program, data: st.DataObject, error: type[BaseException], at: int, *, idle: bool
) -> None:
    batches = a_stream(data, program)

    def tripping(trip: Trip) -> Query:
        sources = program.sources()
        frame = program.on(sources)
        query = frame.map_batches(trip, frame.node.schema).query(program.mode, watermark_policy=program.policy)
        return insisted(query, sources, batches, idle=idle)

    assert everything(tripping(Trip(error("now"), at))) == everything(tripping(Trip(None)))


@contextmanager
def interrupted(after: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at the ``after``-th line of streamnb that runs; yields how many lines are left."""
    left, home = [after], str(Path(sn.__file__).parent)

    def line(_: FrameType, event: str, __: Any) -> Any:
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return line

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: line if frame.f_code.co_filename.startswith(home) else None)
    try:
        yield left
    finally:
        sys.settrace(before)


ROWS = [
    {"ts": EPOCH + pd.Timedelta(seconds=s), "k": "ab"[s % 2], "v": s, "x": s / 4, "l": [s]}
    for s in (9, 4, 12, 3, 20, 7)
]
LINES = 10_000


@those(lambda program: program.name in FEW_PROGRAMS)
def test_an_interrupt_at_any_line_is_as_if_it_had_not_been(program: Program) -> None:
    batches: Batches = [tuple([ROWS[2 * i : 2 * i + 2]] * program.inputs) for i in range(3)]
    straight = everything(run_through(program, batches, LINES)[0])
    lines = LINES - run_through(program, batches, LINES)[1]
    for after in range(1, lines, max(1, lines // 25)):
        query, _ = run_through(program, batches, after)
        assert everything(query) == straight, f"interrupted after {after} of {lines} lines"


def run_through(program: Program, batches: Batches, after: int) -> tuple[Query, int]:
    """Give all, run, be interrupted after so many lines, run on; return the query and the lines left."""
    sources = program.sources()
    query = program.open(sources)
    for batch in batches:
        feed(sources, batch)
    try:
        with interrupted(after) as left:
            query.run()
    except KeyboardInterrupt:
        query.run()
    return query, left[0]


def test_an_interrupt_while_rewinding_leaves_nothing_half_done() -> None:
    (program,) = [program for program in PROGRAMS if program.name == "tumbling append"]
    batches: Batches = [(ROWS[:2],), (ROWS[2:4],), (ROWS[4:],)]
    straight = everything(played(program, batches))
    for after in range(1, 120, 7):
        query = played(program, batches)
        try:
            with interrupted(after):
                query.rewind(0)
        except KeyboardInterrupt:
            pass
        assert everything(query.run()) == straight, f"interrupted after {after} lines"


# -- long runs


@pytest.mark.parametrize("mode", ["append", "update"])
def test_state_behind_the_watermark_is_given_back(mode: str) -> None:
    source = sn.MemorySource(SCHEMA)
    frame = sn.stream(source).with_watermark("ts", "20s").group_by(sn.window("ts", "10s"), "k")
    query = frame.agg(n=sn.count(), total=sn.sum("v"), values=sn.collect_list("v")).query(mode)
    for second in range(200):
        source.add({"ts": [at(second)] * 30, "k": [str(i) for i in range(30)], "v": [second] * 30})
        query.step()
    rows = [progress.state_operators[0].num_rows_total for progress in query.progress]
    size = [progress.state_operators[0].memory_used_bytes for progress in query.progress]
    assert max(rows) <= 30 * 4
    assert max(size[100:]) <= 1.2 * max(size[50:100])


def at(second: int) -> pd.Timestamp:
    return pd.Timestamp("2026-01-01") + pd.Timedelta(seconds=second)
