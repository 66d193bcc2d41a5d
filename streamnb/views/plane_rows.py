"""The plane's reading of a trace: where every row lies, what became of it, and what each window held."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any

import numpy as np
import polars as pl

from streamnb.answers.sizes import followed
from streamnb.progress import Outline, Playable, Trace
from streamnb.time import MILLISECOND, instant
from streamnb.views.plane_place import (
    ASIDE,
    CODE,
    COUNTED,
    DROPPED,
    LATE,
    UPCOMING,
    Numbers,
    Placed,
    Totals,
    instants,
    judge,
    last_start,
    pass_by,
    place,
    place_upcoming,
    shared,
    standing,
    totals_before,
    zone_of,
)
from streamnb.views.plane_sample import MOST_KEPT, NOTHING_LEFT_OUT, LeftOut
from streamnb.views.plane_tips import tips

__all__ = [
    "ASIDE", "BOUNDS", "COUNTED", "DROPPED", "LATE", "UPCOMING", "Interval", "Numbers", "Placed", "Reading", "Scene",
    "Story", "Totals", "instants", "intervals", "judge", "last_start", "shared", "short", "standing", "story_of",
    "zone_of",
]  # fmt: skip

BOUNDS = ["window_start", "window_end"]
_AT = "__at"
MOST_TOLD = 2_000
"""Batches whose windows are told in full; of older ones final results stay, without their words."""
_KEPT, _SHED = 120, 30
"""Batches in sight where the end of the input is unknown, and how many leave together."""


@dataclass(frozen=True)
class Interval:
    """One window with what it holds: the result in short, and in full; and when it was last written, where told."""

    start: float
    end: float
    text: str
    tip: str
    written: float = math.nan


@dataclass(frozen=True, eq=False)
class Reading:
    """One batch, read for the plane.

    ``before`` is the watermark it ran with, ``after`` the one it left behind. ``final`` are the windows whose last word
    fell in this batch, ``open`` those that may still change after it.
    """

    batch_id: int
    time: float
    before: float | None
    after: float | None
    placed: Placed
    final: tuple[tuple[float, Interval], ...]
    open: tuple[Interval, ...]
    totals: Totals
    left_out: LeftOut = NOTHING_LEFT_OUT


class Story:
    """All batches read so far; following a trace reads only what is new in it. Any thread may."""

    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self.behind = 0  # how many batches were not read yet when last asked for
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._serials: list[int] = []  # not the traces: their rows are let go of by the query
        self._readings: list[Reading] = []
        self._before = Totals()  # of batches that are no longer told of
        self._held: pl.DataFrame | None = None
        self._full = self._kept = 0  # from which reading on rows are kept, and how many
        self._told = 0  # from which reading on windows are told in full

    def follow(self, traces: Sequence[Trace], most: int | None = None) -> list[Reading]:
        """Return one reading a batch; a trace that was rewound is read anew from its first batch.

        With ``most``, not more than so many batches are read now. Of those that wait the rows are left out.
        """
        with self._lock:
            if (gone := followed(self._serials, traces)) is None:
                self._forget()
            else:
                self._drop(gone)
            if traces and not self._serials:
                self._before = totals_before(traces[0])
            for trace in _taken(traces[len(self._serials) :], most):
                self._read(trace)
            self.behind = len(traces) - len(self._serials)
            return [*self._readings[: len(traces)], *self._passed(traces[len(self._serials) :])]

    def _drop(self, gone: int) -> None:
        """Let go of the first readings."""
        if gone:
            self._before = self._readings[gone - 1].totals
            self._kept -= sum(len(reading.placed.x) for reading in self._readings[:gone])
            del self._serials[:gone], self._readings[:gone]
            self._full, self._told = max(self._full - gone, 0), max(self._told - gone, 0)

    def _read(self, trace: Trace) -> None:
        self._serials.append(trace.serial)
        if trace.summarised:
            self._readings += self._passed([trace])
            self._close(trace)
        else:
            placed, left_out, totals = place(trace, self.outline, self._totals())
            final, open_ = self._results(trace, instant(trace.time) / MILLISECOND)
            self._readings.append(_reading(trace, placed, left_out, totals, final=final, open=open_))
        self._kept += len(self._readings[-1].placed.x)
        self._let_go()

    def _totals(self) -> Totals:
        return self._readings[-1].totals if self._readings else self._before

    def _passed(self, traces: Sequence[Trace]) -> list[Reading]:
        """Return readings of batches that wait."""
        found, totals = list[Reading](), self._totals()
        for trace in traces:
            placed, left_out, totals = pass_by(trace, self.outline, totals)
            found.append(_reading(trace, placed, left_out, totals))
        return found

    def _close(self, trace: Trace) -> None:
        """Drop windows that the watermark of a batch has closed, where the batch does not tell what it removed."""
        by = standing(trace.watermark)
        if self._held is not None and len(self._held) and by is not None and self.outline.output_mode != "complete":
            self._held = self._held.filter(pl.Series(instants(self._held, BOUNDS[1]) > by))

    def _let_go(self) -> None:
        """Keep rows and words of the newest batches only, so that an hour of play takes no more than a minute of it."""
        for n in range(self._told, len(self._readings) - MOST_TOLD):
            old = self._readings[n]
            final = tuple((time, replace(interval, tip="")) for time, interval in old.final)
            self._readings[n], self._told = replace(old, final=final, open=()), n + 1
        while self._kept > MOST_KEPT and self._full < len(self._readings) - 1:
            old = self._readings[self._full]
            left_out = old.left_out.all_of(old.placed.codes, CODE[LATE], CODE[DROPPED])
            self._readings[self._full] = replace(old, placed=old.placed.nothing(), left_out=left_out)
            self._kept -= len(old.placed.x)
            self._full += 1

    def _results(self, trace: Trace, time: float) -> tuple[tuple[tuple[float, Interval], ...], tuple[Interval, ...]]:
        final: list[tuple[float, Interval]] = []
        told = ((step.changed(), step) for step in trace.steps if self.outline.values)
        changed, step = next(((c, s) for c, s in told if _windowed(c)), (None, None))
        if changed is not None and step is not None:
            gone = self._turn(changed.with_columns(pl.lit(time).alias(_AT)), step.removed())
            if self.outline.output_mode == "update":
                final = [(i.written, i) for i in intervals(gone, self.outline)]
        held = self._held
        if self.outline.output_mode == "append" and _windowed(trace.emitted):
            final = [(time, interval) for interval in intervals(trace.emitted, self.outline)]
        return tuple(final), tuple(intervals(held, self.outline, explained=False)) if held is not None else ()

    def _turn(self, changed: pl.DataFrame, removed: pl.DataFrame) -> pl.DataFrame:
        """Move what the windows hold one batch on; return what went out of it."""
        keys = [*BOUNDS, *(k for k in self.outline.keys if k in changed.columns)]
        held = changed if self._held is None else pl.concat([self._held, changed], how="diagonal_relaxed")
        held = held.unique(keys, keep="last", maintain_order=True)
        out = removed.select(keys) if set(keys) <= set(removed.columns) else held.select(keys).clear()
        self._held = held.join(out, on=keys, how="anti", nulls_equal=True, maintain_order="left")
        return held.join(out, on=keys, how="semi", nulls_equal=True, maintain_order="left")


def _taken(waiting: Sequence[Trace], most: int | None) -> Sequence[Trace]:
    """Return the batches to read now: those whose rows are gone cost nothing."""
    if most is None:
        return waiting
    whole = [n for n, trace in enumerate(waiting) if not trace.summarised]
    return waiting[: whole[most]] if len(whole) > most else waiting


def _reading(
    trace: Trace, placed: Placed, left_out: LeftOut, totals: Totals, *,
    final: tuple[tuple[float, Interval], ...] = (), open: tuple[Interval, ...] = (),
) -> Reading:  # fmt: skip
    return Reading(
        trace.batch_id, instant(trace.time) / MILLISECOND, standing(trace.watermark), standing(trace.watermark_after),
        placed, final, open, totals, left_out,
    )  # fmt: skip


_stories: weakref.WeakKeyDictionary[Playable, Story] = weakref.WeakKeyDictionary()


def story_of(query: Playable) -> Story:
    """Return the one story of a query, which lives as long as the query does."""
    return _stories.setdefault(query, Story(query.outline))


def _windowed(rows: pl.DataFrame) -> bool:
    return set(BOUNDS) <= set(rows.columns)


def intervals(rows: pl.DataFrame, outline: Outline, *, explained: bool = True) -> list[Interval]:
    """Return what each window holds, in order of time; where there are other keys, their number."""
    if rows.is_empty():
        return []
    rows = rows.drop_nulls(BOUNDS).sort(BOUNDS, maintain_order=True)
    starts, ends = (instants(rows, bound) for bound in BOUNDS)
    edges = np.flatnonzero((np.diff(starts, prepend=np.nan) != 0) | (np.diff(ends, prepend=np.nan) != 0)).tolist()
    column = _value_column(rows, outline)
    spans = list(pairwise([*edges, rows.height]))
    told = _told(rows, spans) if explained else [""] * len(spans)
    written = rows.get_column(_AT).to_numpy() if _AT in rows.columns else np.full(rows.height, np.nan)
    found = []
    for (first, last), tip in zip(spans, told, strict=True):
        text = _keys(last - first) if outline.keys or last - first > 1 else _result(rows, first, column)
        at = float(written[first:last].max())
        found.append(Interval(float(starts[first]), float(ends[first]), text, tip, at))
    return found


def _keys(number: int) -> str:
    return f"{number:,} key{'' if number == 1 else 's'}"


def _result(rows: pl.DataFrame, i: int, column: str | None) -> str:
    return short(rows.item(i, column)) if column else ""


def _value_column(rows: pl.DataFrame, outline: Outline) -> str | None:
    rest = [c for c in rows.columns if c not in {*BOUNDS, *outline.keys, _AT}]
    return next((c for c in outline.values if c in rest), rest[-1] if rest else None)


def _told(rows: pl.DataFrame, spans: Sequence[tuple[int, int]]) -> list[str]:
    """Return the first three rows of every span in full."""
    shown = [range(first, min(last, first + 3)) for first, last in spans]
    words = iter(tips(rows.drop(_AT, strict=False)[[i for some in shown for i in some]]))
    return [
        "\n\n".join(islice(words, len(some))) + (f"\n\nand {last - first - 3} more" if last - first > 3 else "")
        for some, (first, last) in zip(shown, spans, strict=True)
    ]


def short(value: Any) -> str:
    """Return a result in at most about ten letters."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, pl.Series):
        return f"{value.len()} items"
    number = isinstance(value, int) and not isinstance(value, bool)
    text = "null" if value is None else f"{value:,}" if number else str(value)
    return text if len(text) <= 12 else text[:11] + "…"


class Scene:
    """What is in sight after one batch, and the zones of both clocks: all that a layout asks.

    Without ``upcoming`` rows the end of the input is unknown, and only the latest batches are in sight.
    """

    def __init__(
        self, readings: Sequence[Reading], outline: Outline, upcoming: pl.DataFrame | None, cursor: int
    ) -> None:
        self.outline, self.every, self.endless = outline, readings, upcoming is None
        begin = _first_in_sight(cursor) if self.endless else 0
        self.number = cursor + 1
        self.shown = readings[begin : self.number]
        self.ahead = readings[self.number : self.number + _KEPT if self.endless else None]
        self.waiting = place_upcoming(upcoming, outline)
        self.done = not self.ahead and not self.waiting.rows.height and not self.endless
        self.last = self.shown[-1] if self.shown else None
        self.totals = self.last.totals if self.last else Totals()
        first = next((r.placed.rows for r in readings if r.placed.rows.columns), pl.DataFrame())
        frames = [first, self.waiting.rows]
        self.x_zone = zone_of(outline.event_time, frames)
        self.y_zone = zone_of(outline.arrival, frames) if outline.arrival else self.x_zone

    @property
    def left_out(self) -> int:
        """Return how many rows of the batches in sight no picture knows."""
        return sum(reading.left_out.rows for reading in self.in_sight)

    @property
    def closes(self) -> bool:
        """Return whether the watermark closes anything, so that a row may come too late."""
        windows_end = self.outline.window is not None and self.outline.delay is not None
        return self.totals.dropped > 0 or (windows_end and self.outline.output_mode != "complete")

    @property
    def in_sight(self) -> Sequence[Reading]:
        """Return the batches that may give the axes their range."""
        return [*self.shown, *self.ahead]

    def placed(self) -> list[tuple[Placed, bool]]:
        """Return all rows in order of arrival, with whether they have arrived by now."""
        return [
            *((r.placed, True) for r in self.shown),
            *((r.placed, False) for r in self.ahead),
            (self.waiting, False),
        ]


def _first_in_sight(cursor: int) -> int:
    beyond = cursor + 1 - _KEPT
    return 0 if beyond <= 0 else -(-beyond // _SHED) * _SHED
