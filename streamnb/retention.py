"""Retention: the rows that the stories of old batches hold are let go of, so that a query can run for weeks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from streamnb.progress import Made, StepTrace, Trace, told
from streamnb.schema import bytes_of

BUDGET = 32 * 2**20
"""About how many bytes of rows ``q.trace`` holds. Older batches keep their numbers, watermarks and late rows."""
LATE_SHARE = 4
"""The late rows of those older batches have one part in so many of it; then the oldest of them keep their number."""


class Retention:
    """Watches over the traces of a query, oldest first, and empties the oldest when they hold too much."""

    def __init__(self, traces: list[Trace], budget: int | None = None) -> None:
        self._traces, self._budget = traces, BUDGET if budget is None else budget
        self._full = self._late = 0  # from which trace on rows are held, and from which on late ones
        self._held = self._held_late = 0  # bytes: of all rows, and of the late ones before ``_full``

    def added(self) -> None:
        """Hear that a trace was added; the newest is always whole."""
        self._held += _size(self._traces[-1])
        while self._held > self._budget and self._full < len(self._traces) - 1:
            self._held_late += self._put(self._full, _emptied)
            self._full += 1
            while self._held_late * LATE_SHARE > self._budget and self._late < self._full:
                before = _size(self._traces[self._late])
                self._held_late -= before - self._put(self._late, _without_late)
                self._late += 1

    def _put(self, at: int, how: Callable[[Trace], Trace]) -> int:
        """Let a trace hold less; return what it still holds."""
        trace = self._traces[at]
        self._traces[at] = how(trace)
        now = _size(self._traces[at])
        self._held -= _size(trace) - now
        return now

    def removed(self) -> None:
        """Hear that traces were taken off the end."""
        self._full, self._late = (min(at, len(self._traces)) for at in (self._full, self._late))
        self._held_late = sum(map(_size, self._traces[self._late : self._full]))
        self._held = self._held_late + sum(map(_size, self._traces[self._full :]))


def _size(trace: Trace) -> int:
    late = [step.late for step in trace.steps if step.late is not None]
    given = [told(trace), trace.emitted, *map(told, trace.steps), *late]
    frames = [rows.held if isinstance(rows, Made) else rows for rows in given]
    return sum(map(bytes_of, {id(frame): frame for frame in frames if len(frame)}.values()))


_empty: dict[tuple[tuple[str, pl.DataType], ...], pl.DataFrame] = {}


def _nothing(rows: pl.DataFrame) -> pl.DataFrame:
    """Return these columns without a row: one frame for all batches, as an empty one costs as much as a small one."""
    return _empty.setdefault(tuple(rows.schema.items()), rows.clear())


def _emptied(trace: Trace) -> Trace:
    steps = tuple(map(_emptied_step, trace.steps))
    return replace(trace, rows=_nothing_of(told(trace)), emitted=_nothing(trace.emitted), steps=steps, summarised=True)


def _emptied_step(step: StepTrace) -> StepTrace:
    changed, removed = _nothing_from(step.changed), _nothing_from(step.removed)
    late = step.late if step.late is None or len(step.late) else _nothing(step.late)
    return replace(step, rows=_nothing_of(told(step)), changed=changed, removed=removed, late=late)


def _without_late(trace: Trace) -> Trace:
    rows: Any = told(trace)
    return replace(trace, rows=rows, steps=tuple(map(_step_without_late, trace.steps)))


def _step_without_late(step: StepTrace) -> StepTrace:
    rows: Any = told(step)
    late = None if step.late is None else _nothing(step.late)
    return replace(step, rows=rows, late=late, late_let_go=step.num_late)


def _nothing_of(rows: pl.DataFrame | Made) -> Any:
    return Made(_nothing(rows.held), rows.how) if isinstance(rows, Made) else _nothing(rows)


def _nothing_from(function: Callable[[], pl.DataFrame]) -> Callable[[], pl.DataFrame]:
    if isinstance(function, Made):
        return Made(_nothing(function.held), function.how)
    empty = _nothing(function())
    return lambda: empty
