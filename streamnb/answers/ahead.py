"""Ahead: a copy of a query as it stands, to try what would come out, without touching the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from streamnb.graph import Graph, StepStream
from streamnb.inputs import Inputs
from streamnb.plan import Batch, Node, Opening, least
from streamnb.state import EXPIRES
from streamnb.time import Watermark

_AT_MOST = 50
"""Batches that are tried ahead."""
FAR = 2**60


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a query stands: its plan, the rows of its tables, its watermarks, how far it has read, and when it is."""

    plan: Node
    output_mode: str
    watermark: Watermark
    tables: tuple[pl.DataFrame, ...]
    snapshot: tuple[Any, ...]
    inputs: Inputs
    time: int
    batch_id: int
    no_data: bool


class Ahead:
    """A copy that runs on its own."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.graph = Graph(standing.plan, Opening(standing.output_mode, standing.watermark.like()))
        self.tables = [table for step in self.graph.steps for table in step.tables]
        for table, rows in zip(self.tables, standing.tables, strict=True):
            table.restore(rows)
        self.graph.restore(standing.snapshot)
        self.inputs = Inputs(standing.inputs.sources)
        self.inputs.rewind(standing.inputs.offsets)
        self.batches = 0

    @property
    def watermark(self) -> int:
        return self.graph.watermark.current

    def batch(self, rows: Mapping[int, pl.DataFrame] | None = None, time: int | None = None) -> int:
        """Run one batch, without input if none is given; return how many rows come out."""
        if rows is None:
            rows = {id(s): pl.DataFrame(schema=leaf.node.schema) for s, leaf in self.graph.leaves}
        number = self.standing.batch_id + self.batches + 1
        out = self.graph.run(rows, Batch(pl.DataFrame(), id=number, time=self.standing.time if time is None else time))
        for table in self.tables:
            table.commit()
        self.graph.watermark.advance()
        self.batches += 1
        return len(out.rows)

    def quiet(self) -> int:
        """Run the batches without input that are due, until rows come out; return how many."""
        for _ in range(_AT_MOST):
            if not self.standing.no_data or not self.graph.due(self.standing.time):
                return 0
            came = self.batch()
            if came:
                return came
        return 0

    def read_on(self) -> int:
        """Run the batches that wait, until rows come out; return how many."""
        for _ in range(_AT_MOST):
            planned = self.inputs.plan()
            if planned is None:
                return self.quiet()
            rows = self.inputs.read(planned.offsets)
            self.inputs.rewind(planned.offsets)
            came = self.batch(rows, planned.time)
            if came:
                return came
        return 0

    def at(self, watermark: int) -> int:
        """Let the watermark be moved; return how many rows come out then."""
        late, current, *rest = self.graph.watermark.snapshot()
        del late
        self.graph.watermark.restore((current, max(current, watermark), *rest))
        return self.quiet() if self.standing.no_data else self.batch()

    def standing_now(self) -> Standing:
        """Return where this copy stands."""
        old = self.standing
        frames = tuple(table.frame() for table in self.tables)
        return Standing(
            old.plan, old.output_mode, old.watermark, frames, self.graph.snapshot(), self.inputs, old.time,
            old.batch_id + self.batches, old.no_data,
        )  # fmt: skip

    def ends(self) -> list[tuple[int, StepStream]]:
        """Return the query's watermarks at which some state ends, each with the step whose state it is, in order."""
        lags = self._lags()
        found: dict[int, StepStream] = {}
        for stream in self.graph.streams:
            for table in stream.step.tables:
                expires = table.frame()[EXPIRES].drop_nulls().unique()
                for end in expires.to_list() if lags[id(stream)] is not None else []:
                    found.setdefault(end + lags[id(stream)], stream)
        return sorted(((w, s) for w, s in found.items() if w > self.watermark), key=lambda pair: pair[0])

    def _lags(self) -> dict[int, Any]:
        """Return how far every step's own watermark stays behind the query's; None where it has none."""
        before = self.graph.watermark.snapshot()
        self.graph.watermark.restore((FAR, FAR, *before[2:]))
        out: dict[int, int | None] = {}
        lags: dict[int, int | None] = {}
        for stream in self.graph.streams:
            inputs = [out[id(upstream)] for upstream in stream.upstreams]
            own = least(inputs)
            lags[id(stream)] = None if own is None else FAR - own
            out[id(stream)] = stream.step.output_watermark(*inputs)
        self.graph.watermark.restore(before)
        return lags


def first_end(standing: Standing) -> tuple[int, StepStream] | None:
    """Return the least watermark at which rows come out, and the step whose state ends then; None if none does.

    What one operator gives out may be state of the next, so the ends that a move brings are tried too.
    """
    tried: dict[int, bool] = {}
    start = standing
    for _ in range(1 + sum(node.remembers for node in standing.plan.walk())):
        ends = Ahead(start).ends()
        if not ends:
            return None
        found = _least(standing, ends, tried)
        if found is not None:
            return found
        moved = Ahead(standing)
        moved.at(ends[-1][0])
        start = moved.standing_now()
    return None


def _least(
    standing: Standing, ends: Sequence[tuple[int, StepStream]], tried: dict[int, bool]
) -> tuple[int, StepStream] | None:
    """Return the first end that gives rows; what one end gives, a later one gives too."""

    def gives(place: int) -> bool:
        watermark = ends[place][0]
        if watermark not in tried:
            tried[watermark] = Ahead(standing).at(watermark) > 0
        return tried[watermark]

    if gives(0):
        return ends[0]
    if not gives(len(ends) - 1):
        return None
    low, high = 0, len(ends) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if gives(middle) else (middle, high)
    return ends[high]
