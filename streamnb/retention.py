"""Retention: the rows that the stories of old batches hold are let go of, so that a query can run for weeks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl

from streamnb.progress import StepTrace, Trace

BUDGET = 32 * 2**20
"""About how many bytes of rows ``q.trace`` holds. Older batches keep their numbers, watermarks and late rows."""


class Retention:
    """Watches over the traces of a query, oldest first, and empties the oldest when they hold too much."""

    def __init__(self, traces: list[Trace], budget: int | None = None) -> None:
        self._traces, self._budget = traces, BUDGET if budget is None else budget
        self._full = self._held = 0  # from which trace on rows are held, and how many bytes

    def added(self) -> None:
        """Hear that a trace was added; the newest is always whole."""
        self._held += _size(self._traces[-1])
        while self._held > self._budget and self._full < len(self._traces) - 1:
            trace = self._traces[self._full]
            self._traces[self._full] = _emptied(trace)
            self._held -= _size(trace)
            self._full += 1

    def removed(self) -> None:
        """Hear that traces were taken off the end."""
        self._full = min(self._full, len(self._traces))
        self._held = sum(map(_size, self._traces[self._full :]))


def _size(trace: Trace) -> int:
    frames = [trace.rows, trace.emitted, *(step.rows for step in trace.steps)]
    return sum(int(frame.estimated_size()) for frame in {id(frame): frame for frame in frames}.values())


def _emptied(trace: Trace) -> Trace:
    steps = tuple(map(_emptied_step, trace.steps))
    return replace(trace, rows=trace.rows.clear(), emitted=trace.emitted.clear(), steps=steps)


def _emptied_step(step: StepTrace) -> StepTrace:
    changed, removed = _nothing_of(step.changed()), _nothing_of(step.removed())
    return replace(step, rows=step.rows.clear(), changed=changed, removed=removed)


def _nothing_of(rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    empty = rows.clear()
    return lambda: empty
