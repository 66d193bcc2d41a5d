"""The streamz graph of a query: one node a step, batches passed between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import Any

import polars as pl
from streamz import Stream

from streamnb.connect import Source
from streamnb.errors import QueryError, StreamnbError
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WatermarkStep
from streamnb.plan import Batch, Node, Opening, Step, least
from streamnb.progress import StepTrace, Work
from streamnb.state import StateTable


class StepStream(Stream):  # type: ignore[misc]  # streamz has no types
    """A streamz node around a step: waits for one batch of every input, then emits one."""

    def __init__(self, node: Node, step: Step, upstreams: list[Stream], number: int) -> None:
        super().__init__(upstreams=upstreams, stream_name=node.verb)
        self.node, self.step, self.number = node, step, number
        self.out: Batch | None = None
        self.watermark: int | None = None
        self.rows_in, self.seconds = 0, 0.0
        self._waiting: dict[int, Batch] = {}

    def update(self, x: Batch, who: Stream | None = None, metadata: Any = None) -> Any:
        self._waiting[id(who)] = x
        if len(self._waiting) < len(self.upstreams):
            return []
        batches = [self._waiting[id(stream)] for stream in self.upstreams] or [x]
        self._waiting = {}
        self.out = self._run(batches)
        return self._emit(self.out, metadata=metadata)

    def _run(self, batches: list[Batch]) -> Batch:
        self.watermark = least(batch.eviction_watermark for batch in batches)
        self.rows_in, started = sum(batch.rows.height for batch in batches), perf_counter()
        try:
            out = self.step.on_batch(*batches)
            self.seconds = perf_counter() - started
            return out  # noqa: TRY300  an else would nest it
        except StreamnbError:
            raise
        except Exception as error:
            rows = batches[0].rows
            raise QueryError(
                f"{self.node.verb} (node {self.number}) failed on batch {batches[0].id}, {len(rows)} rows: "
                f"{type(error).__name__} {error}; the columns there are {rows.columns}."
            ) from error


class Graph:
    """All steps of a plan, opened and wired. It holds every streamz node: streamz itself holds them weakly."""

    def __init__(self, plan: Node, opening: Opening) -> None:
        self.watermark = opening.watermark
        self.streams: list[StepStream] = []
        self.top = self._wire(plan, opening)

    def _wire(self, node: Node, opening: Opening) -> StepStream:
        upstreams: list[Stream] = [self._wire(below, opening) for below in node.inputs]
        stream = StepStream(node, node.open(opening), upstreams, len(self.streams) + 1)
        self.streams.append(stream)
        return stream

    @cached_property
    def leaves(self) -> list[tuple[Source, StepStream]]:
        return [(s.node.source, s) for s in self.streams if isinstance(s.node, Read)]

    @cached_property
    def watermark_steps(self) -> list[WatermarkStep]:
        return [s.step for s in self.streams if isinstance(s.step, WatermarkStep)]

    @cached_property
    def steps(self) -> list[Step]:
        return [stream.step for stream in self.streams]

    @cached_property
    def kept(self) -> list[tuple[str, Sequence[StateTable]]]:
        """The operators with state, each by its verb with its tables."""
        return [(s.node.verb, s.step.tables) for s in self.streams if s.node.keeps]

    @property
    def tables(self) -> list[StateTable]:
        return [table for _, tables in self.kept for table in tables]

    def run(self, rows: Mapping[int, pl.DataFrame], batch: Batch) -> Batch:
        """Send one batch through; ``rows`` by the id of their source."""
        for source, leaf in self.leaves:
            leaf.update(batch.with_rows(rows[id(source)]))
        assert self.top.out is not None  # noqa: S101  every leaf was fed
        return self.top.out

    def snapshot(self) -> tuple[Any, ...]:
        """Return the watermarks: those that every step was last asked by, the rows that set some, and the query's."""
        asked = (stream.watermark for stream in self.streams)
        return (*asked, *(step.set_by for step in self.watermark_steps), *self.watermark.snapshot())

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        """Stand where a snapshot was taken, with no batch half way through."""
        for stream, watermark in zip(self.streams, snapshot, strict=False):
            stream.watermark, stream._waiting = watermark, {}  # noqa: SLF001
        rest = snapshot[len(self.streams) :]
        for step, row in zip(self.watermark_steps, rest, strict=False):
            step.set_by = row
        self.watermark.restore(rest[len(self.watermark_steps) :])

    def due(self, time: int) -> bool:
        """Tell whether some step would act in a batch without input."""
        now: dict[int, int | None] = {}
        for stream in self.streams:
            inputs = [now[id(upstream)] for upstream in stream.upstreams]
            if stream.step.due(least(inputs), stream.watermark, time):
                return True
            now[id(stream)] = stream.step.output_watermark(*inputs)
        return False

    @cached_property
    def downstream_first(self) -> list[StepStream]:
        """The steps in Spark's order: a step before its inputs, left before right."""
        found: list[StepStream] = []
        waiting = [self.top]
        while waiting:
            found.append(waiting.pop())
            waiting += reversed(found[-1].upstreams)
        return found

    @property
    def work(self) -> tuple[Work, ...]:
        """What every step did in the last batch."""
        return tuple(
            Work(s.number, s.node.verb, s.rows_in, s.out.rows.height, s.seconds * 1e3) for s in self.streams if s.out
        )

    @property
    def traces(self) -> tuple[StepTrace, ...]:
        """What the steps tell of the last batch."""
        outs = [stream.out for stream in self.streams]
        return tuple(out.trace for out in outs if out is not None and out.trace is not None)
