"""Journey: what every operator did with one row, in the batch it came in and in all that followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from streamnb.answers.lineage import ROWS, Ids, Recording, holding, streams_of
from streamnb.graph import StepStream
from streamnb.plan import Node


@dataclass(eq=False)
class Stop:
    """One operator on a row's way. Batches are given by their place in the traces.

    ``entered`` are the batches in which it came in; ``left``, ``late`` and ``removed`` hold by batch the rows that came
    out, were dropped as late and ended in state, as far as the row is in them; ``held`` those in state at the end.
    ``late_marks`` and ``marks`` are the watermarks that each batch judged late rows and ended state by.
    """

    node: Node
    number: int
    told: int | None = None
    """Its place among a trace's ``steps``; None if it keeps nothing."""
    entered: list[int] = field(default_factory=list)
    left: dict[int, pl.DataFrame] = field(default_factory=dict)
    late: dict[int, pl.DataFrame] = field(default_factory=dict)
    removed: dict[int, pl.DataFrame] = field(default_factory=dict)
    held: pl.DataFrame | None = None
    late_marks: list[int | None] = field(default_factory=list)
    marks: list[int | None] = field(default_factory=list)

    @property
    def last_seen(self) -> bool:
        """Whether the row came in here and neither came out nor is kept."""
        return bool(self.entered) and not self.left and self.held is None

    def closed_in(self, end: int) -> int | None:
        """Return the first batch that ended state up to ``end`` (microseconds)."""
        return next((n for n, mark in enumerate(self.marks) if mark is not None and mark >= end), None)


def journey(recording: Recording, row: int, plan: Node | None = None, *, until: int | None = None) -> list[Stop]:
    """Return the stops of a numbered row, inputs first; ``plan`` and ``until`` as in ``Recording.again``."""
    ids = np.array([row], np.int64)
    stops: list[Stop] = []
    graph = None
    for batch, graph in enumerate(recording.again(ids, plan, until=until)):
        streams = streams_of(graph)
        if not stops:
            stops = [Stop(node, n) for n, node in enumerate((plan or recording.plan).walk(), start=1)]
        for stop, stream in zip(stops, streams, strict=True):
            _visit(stop, stream, batch, ids)
        _number(stops, streams)
    if graph is not None:
        for stop, stream in zip(stops, streams_of(graph), strict=True):
            stop.held = _held(stream, ids)
    return stops


def _visit(stop: Stop, stream: StepStream, batch: int, ids: Ids) -> None:
    out = stream.out
    assert out is not None  # noqa: S101  the batch has run
    if not stream.upstreams or any(len(holding(rows, ids)) for rows in incoming(stream)):
        stop.entered += [batch] if stream.upstreams or len(holding(out.rows, ids)) else []
    _note(stop.left, batch, holding(out.rows, ids))
    trace = out.trace
    stop.late_marks.append(out.late_watermark if trace is None else trace.late_watermark)
    stop.marks.append(out.eviction_watermark if trace is None else trace.eviction_watermark)
    if trace is not None:
        if trace.late is not None:
            _note(stop.late, batch, holding(trace.late, ids))
        if trace.num_rows_removed:
            _note(stop.removed, batch, holding(trace.removed(), ids))


def incoming(stream: StepStream) -> list[pl.DataFrame]:
    """Return the rows of every input, with their numbers."""
    found = []
    for upstream in stream.upstreams:
        below = upstream if ROWS in upstream.node.schema else upstream.upstreams[0]
        found += [below.out.rows] if below.out is not None else []
    return found


def _note(where: dict[int, pl.DataFrame], batch: int, rows: pl.DataFrame) -> None:
    if len(rows):
        where[batch] = rows


def _number(stops: Sequence[Stop], streams: Sequence[StepStream]) -> None:
    """Find every stop's place among the steps of a trace."""
    told = [stop for stop, stream in zip(stops, streams, strict=True) if stream.out is not None and stream.out.trace]
    for place, stop in enumerate(told):
        stop.told = place


def _held(stream: StepStream, ids: Ids) -> pl.DataFrame | None:
    state = stream.step.state()
    found = None if state is None else holding(state, ids)
    return found if found is not None and len(found) else None


def first_of_key(recording: Recording, stop: Stop, row: int, columns: Sequence[str]) -> int | None:
    """Return the number of the row whose key an operator already had when a duplicate of it came."""
    batch = stop.entered[0]
    mine: pl.DataFrame | None = None
    seen: list[pl.DataFrame] = []
    for graph in recording.again(until=batch + 1):
        stream = streams_of(graph)[stop.number - 1]
        seen += [rows.select(ROWS, *columns) for rows in incoming(stream)]
    mine = holding(seen[-1], np.array([row]))[:1]
    if not len(mine):
        return None
    same = pl.concat(seen).filter(
        pl.all_horizontal(pl.col(c).eq_missing(pl.lit(mine[c][0], mine[c].dtype)) for c in columns)
    )
    ids = same[ROWS].list.first().drop_nulls().to_list()
    return next((number for number in ids if number != row), None)
