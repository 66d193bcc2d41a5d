"""Retention: old batches let go of their rows, and in the end of their stories, so that a query can run for weeks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl

from streamnb.progress import Made, Progress, StepTrace, Trace, told
from streamnb.schema import bytes_of, no_rows

BUDGET = 32 * 2**20
"""About how many bytes of rows ``q.trace`` holds. Older batches keep their numbers, watermarks and late rows."""
LATE_SHARE = 4
"""The late rows of those older batches have one part in so many of it; then the oldest of them keep their number."""
MOST_BATCHES = 10_000
"""How many batches a query tells of and can go back to; when there are more, the oldest tenth goes at once."""


class Retention:
    """Watches over what a query tells of its batches, oldest first; empties the oldest, and lets go of them in the end.

    An interrupt may come between any two lines: places are told by batch ids, and what was begun is done again.
    """

    def __init__(
        self, traces: list[Trace], progress: list[Progress], budget: int | None = None, most: int | None = None
    ) -> None:
        self._traces, self._progress = traces, progress
        self._budget, self._most = BUDGET if budget is None else budget, MOST_BATCHES if most is None else most
        self._full = self._late = -1  # from which batch on rows are held, and from which on late ones
        self._held = self._held_late = 0  # bytes: of all rows, and of the late ones before ``_full``

    @property
    def first(self) -> int | None:
        """The earliest batch to be kept, once there are too many; None as long as all are."""
        return self._traces[max(1, self._most // 10)].batch_id if len(self._traces) > self._most else None

    def added(self) -> None:
        """Hear that a trace was added; the newest is always whole."""
        self._held += _size(self._traces[-1])
        last = self._traces[-1].batch_id
        self._full, self._late = (max(at, self._traces[0].batch_id) for at in (self._full, self._late))
        while self._held > self._budget and self._full < last:
            self._held_late += self._put(self._full, _emptied)
            self._full += 1
            while self._held_late * LATE_SHARE > self._budget and self._late < self._full:
                before = _size(self._at(self._late))
                self._held_late -= before - self._put(self._late, _without_late)
                self._late += 1

    def _at(self, batch_id: int) -> Trace:
        return self._traces[batch_id - self._traces[0].batch_id]

    def _put(self, batch_id: int, how: Callable[[Trace], Trace]) -> int:
        """Let a trace hold less; return what it still holds."""
        trace = self._at(batch_id)
        self._traces[batch_id - self._traces[0].batch_id] = emptier = how(trace)
        now = _size(emptier)
        self._held -= _size(trace) - now
        return now

    def let_go(self, first: int) -> None:
        """Forget the batches before one."""
        gone = self._traces[: first - self._traces[0].batch_id]
        del self._progress[: first - self._progress[0].batch_id]
        del self._traces[: len(gone)]
        self._held -= sum(map(_size, gone))
        self._held_late -= sum(_size(trace) for trace in gone if trace.batch_id < self._full)

    def forget_after(self, last: int) -> None:
        """Forget the batches after one."""
        for told_of in (self._progress, self._traces):
            del told_of[max(0, last + 1 - told_of[0].batch_id) if told_of else 0 :]
        self._full, self._late = (min(at, last + 1) for at in (self._full, self._late))
        sizes = [(trace.batch_id, _size(trace)) for trace in self._traces]
        self._held_late = sum(size for batch_id, size in sizes if batch_id < self._full)
        self._held = sum(size for _, size in sizes)


def _size(trace: Trace) -> int:
    late = [step.late for step in trace.steps if step.late is not None]
    aside = [] if trace.dead_letters is None else [trace.dead_letters]
    changed = [made for step in trace.steps for made in (step.changed, step.removed) if isinstance(made, Made)]
    given = [told(trace), trace.emitted, *aside, *map(told, trace.steps), *late, *changed]
    frames = [rows.held if isinstance(rows, Made) else rows for rows in given]
    return sum(map(bytes_of, {id(frame): frame for frame in frames}.values()))


def _emptied(trace: Trace) -> Trace:
    steps = tuple(map(_emptied_step, trace.steps))
    emitted = no_rows(trace.emitted)
    aside = None if trace.dead_letters is None else no_rows(trace.dead_letters)
    return replace(
        trace, rows=_nothing_of(told(trace)), emitted=emitted, dead_letters=aside, steps=steps, summarised=True
    )


def _emptied_step(step: StepTrace) -> StepTrace:
    changed, removed = _nothing_from(step.changed), _nothing_from(step.removed)
    late = step.late if step.late is None or len(step.late) else no_rows(step.late)
    return replace(step, rows=_nothing_of(told(step)), changed=changed, removed=removed, late=late)


def _without_late(trace: Trace) -> Trace:
    rows: Any = told(trace)
    return replace(trace, rows=rows, steps=tuple(map(_step_without_late, trace.steps)))


def _step_without_late(step: StepTrace) -> StepTrace:
    rows: Any = told(step)
    late = None if step.late is None else no_rows(step.late)
    return replace(step, rows=rows, late=late, late_let_go=step.num_late)


def _nothing_of(rows: pl.DataFrame | Made) -> Any:
    return Made(no_rows(rows.held), rows.how) if isinstance(rows, Made) else no_rows(rows)


def _nothing_from(function: Callable[[], pl.DataFrame]) -> Callable[[], pl.DataFrame]:
    if isinstance(function, Made):
        return Made(no_rows(function.held), function.how)
    empty = no_rows(function())
    return lambda: empty
