"""Trial: one recording run once more under other settings, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from streamnb.answers.lineage import ROWS, Recording, carried, ids_in
from streamnb.graph import Graph
from streamnb.inputs import Inputs
from streamnb.params import giving
from streamnb.plan import Batch, Node, Opening
from streamnb.time import Watermark, instant

_QUIET_AT_MOST = 100


@dataclass(frozen=True, eq=False)
class Unit:
    """What one batch reads: numbered rows by the id of their source, when, and whether the query then went idle.

    ``given`` is what it went by, as in its trace; what params are now, where it has none.
    """

    time: int
    rows: Mapping[int, pl.DataFrame]
    idle: bool = False
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(eq=False)
class Outcome:
    """What a run did: the rows read, those dropped as late, when each was read and first in a result, and the state.

    Rows are numbered from 0; times are processing times in microseconds, -1: not yet. ``waits`` are the times from the
    end of a window to its first result, ``held`` the rows of state after each batch, with its time.
    """

    read_at: np.ndarray[tuple[int], np.dtype[np.int64]]
    first_at: np.ndarray[tuple[int], np.dtype[np.int64]]
    dropped: np.ndarray[tuple[int], np.dtype[np.bool_]]
    written: int = 0
    state_rows: int = 0
    state_bytes: int = 0
    batches: int = 0
    waits: list[int] = field(default_factory=list)
    held: list[tuple[int, int]] = field(default_factory=list)


def recorded(recording: Recording) -> list[Unit]:
    """Return what a query has read, batch by batch."""
    traces = recording.traces
    units = []
    for n, trace in enumerate(traces):
        if not trace.no_data:
            idle = n + 1 < len(traces) and traces[n + 1].no_data
            units.append(Unit(instant(trace.time), recording.numbered(n), idle, trace.given))
    return units


def readable(plan_sources: Sequence[object], inputs: Inputs, now: int) -> Iterator[tuple[int, list[pl.DataFrame]]]:
    """Yield what a query would read, unit by unit, and when."""
    targets = inputs.latest()
    while (planned := inputs.plan(targets)) is not None:
        rows = inputs.read(planned.offsets)
        inputs.rewind(planned.offsets)
        yield now if planned.time is None else planned.time, [rows[id(source)] for source in plan_sources]


def run(
    plan: Node, output_mode: str, watermark: Watermark, units: Sequence[Unit], count: int, *, no_data: bool = True
) -> Outcome:
    """Run a plan over units of input; batches without input run where they ran before, and at the end."""
    outcome = begun(count)
    for _ in running(plan, output_mode, watermark, units, outcome, no_data=no_data):
        pass
    return outcome


def begun(count: int) -> Outcome:
    """Return what a run over so many rows has done before its first unit."""
    return Outcome(np.full(count, -1), np.full(count, -1), np.zeros(count, np.bool_))


def running(
    plan: Node, output_mode: str, watermark: Watermark, units: Sequence[Unit], outcome: Outcome, *, no_data: bool = True
) -> Iterator[int]:
    """Do the same unit by unit; yield how many are done."""
    graph = Graph(carried(plan), Opening(output_mode, watermark.like()))
    for place, unit in enumerate(units, 1):
        for rows in unit.rows.values():
            outcome.read_at[ids_in(rows)] = unit.time
        is_quiet = no_data and (unit.idle or place == len(units))
        giving(unit.given, partial(_unit, graph, unit, outcome, is_quiet=is_quiet))
        yield place


def _unit(graph: Graph, unit: Unit, outcome: Outcome, *, is_quiet: bool) -> None:
    _batch(graph, unit, outcome)
    if is_quiet:
        _quiet(graph, unit.time, outcome)


def _quiet(graph: Graph, time: int, outcome: Outcome) -> None:
    nothing = {id(s): pl.DataFrame(schema=leaf.node.schema) for s, leaf in graph.leaves}
    for _ in range(_QUIET_AT_MOST):
        if not graph.due(time):
            return
        _batch(graph, Unit(time, nothing), outcome)


def _batch(graph: Graph, unit: Unit, outcome: Outcome) -> None:
    out = graph.run(unit.rows, Batch(pl.DataFrame(), id=outcome.batches, time=unit.time))
    _note(graph, out.rows, unit.time, outcome)
    for step in graph.steps:
        for table in step.tables:
            table.commit()
    graph.watermark.advance()
    outcome.batches += 1


def _note(graph: Graph, out: pl.DataFrame, time: int, outcome: Outcome) -> None:
    outcome.written += len(out)
    ids = ids_in(out)
    fresh = ids[outcome.first_at[ids] < 0]
    _note_waits(out, fresh, time, outcome)
    outcome.first_at[fresh] = time
    traces = graph.traces
    for trace in traces:
        if trace.late is not None and len(trace.late):
            outcome.dropped[ids_in(trace.late)] = True
    outcome.held.append((time, sum(t.num_rows_total for t in traces)))
    outcome.state_rows = max(outcome.state_rows, outcome.held[-1][1])
    outcome.state_bytes = max(outcome.state_bytes, sum(t.memory_used_bytes for t in traces))


def _note_waits(
    out: pl.DataFrame, fresh: np.ndarray[tuple[int], np.dtype[np.int64]], time: int, outcome: Outcome
) -> None:
    if "window_end" not in out.columns or not len(fresh):
        return
    new = out.filter(pl.col(ROWS).list.set_intersection(pl.Series(fresh, dtype=pl.Int64).implode()).list.len() > 0)
    outcome.waits += (time - new["window_end"].drop_nulls().dt.replace_time_zone(None).to_physical()).to_list()
