"""Retention: the rows that the stories of old batches hold are let go of, so that a query can run for weeks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from streamnb.progress import Made, StepTrace, Trace, told

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
    given = [told(trace), trace.emitted, *map(told, trace.steps)]
    frames = [rows.held if isinstance(rows, Made) else rows for rows in given]
    return sum(int(frame.estimated_size()) for frame in {id(frame): frame for frame in frames}.values())


def _emptied(trace: Trace) -> Trace:
    steps = tuple(map(_emptied_step, trace.steps))
    return replace(trace, rows=_nothing_of(told(trace)), emitted=trace.emitted.clear(), steps=steps, summarised=True)


def _emptied_step(step: StepTrace) -> StepTrace:
    changed, removed = _nothing_from(step.changed), _nothing_from(step.removed)
    return replace(step, rows=_nothing_of(told(step)), changed=changed, removed=removed)


def _nothing_of(rows: pl.DataFrame | Made) -> Any:
    return rows.emptied() if isinstance(rows, Made) else rows.clear()


def _nothing_from(function: Callable[[], pl.DataFrame]) -> Callable[[], pl.DataFrame]:
    if isinstance(function, Made):
        return function.emptied()
    empty = function().clear()
    return lambda: empty
