"""The plane's reading of a trace: where every row lies, what became of it, and what each window held."""

from __future__ import annotations

import datetime as dt
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from streamnb.progress import Outline, Playable, StepTrace, Trace
from streamnb.time import MILLISECOND, Window, instant
from streamnb.views.plane_sample import MOST_KEPT, NOTHING_LEFT_OUT, LeftOut, sample
from streamnb.views.plane_tips import NESTED, tips

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Words = np.ndarray[tuple[int], np.dtype[np.object_]]

COUNTED, LATE, DROPPED, ASIDE, UPCOMING = "counted", "late", "dropped", "aside", "upcoming"
_NONE = np.array([], dtype=np.int64)
BOUNDS = ["window_start", "window_end"]
_AT = "__at"
_KEPT, _SHED = 120, 30
"""Batches in sight where the end of the input is unknown, and how many leave together."""


@dataclass(frozen=True)
class Interval:
    """One window with what it holds: the result in short, and in full."""

    start: float
    end: float
    text: str
    tip: str


@dataclass(frozen=True)
class Totals:
    """Rows from the first batch to this one."""

    rows: int = 0
    counted: int = 0
    late: int = 0
    dropped: int = 0
    missing: int = 0

    def plus(self, fates: Words, missing: int) -> Totals:
        """Return the totals with one more batch."""
        late, dropped = (int(np.count_nonzero(fates == fate)) for fate in (LATE, DROPPED))
        counted = int(np.count_nonzero(fates == COUNTED)) + late
        return Totals(
            self.rows + len(fates), self.counted + counted, self.late + late, self.dropped + dropped,
            self.missing + missing,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Placed:
    """Rows with their place (milliseconds; NaN has none) and their fate, in order of arrival."""

    rows: pl.DataFrame
    x: Numbers
    y: Numbers
    fates: Words
    _tips: dict[bytes, list[str]] = field(default_factory=dict)

    def of(self, which: np.ndarray[Any, Any]) -> Placed:
        """Return only some of the rows."""
        return (
            self
            if len(which) == len(self.x)
            else Placed(self.rows[which], self.x[which], self.y[which], self.fates[which])
        )

    def tips(self, which: np.ndarray[Any, Any]) -> list[str]:
        """Return every column of the chosen rows as lines of words; kept, since a picture asks again at every step."""
        key = which.tobytes()
        told = self._tips.get(key)
        if told is None:
            told = tips(self.rows[which])
            self._tips.clear()
            self._tips[key] = told
        return told


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
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._serials: list[int] = []  # not the traces: their rows are let go of by the query
        self._readings: list[Reading] = []
        self._held: pl.DataFrame | None = None
        self._full = self._kept = 0  # from which reading on rows are kept, and how many

    def follow(self, traces: Sequence[Trace]) -> list[Reading]:
        """Return one reading a batch; a trace that was rewound is read anew from its first batch."""
        with self._lock:
            known = len(self._serials)
            if len(traces) < known or (known and traces[known - 1].serial != self._serials[-1]):
                self._forget()
            for trace in traces[len(self._serials) :]:
                self._read(trace)
            return list(self._readings)

    def _read(self, trace: Trace) -> None:
        totals = self._readings[-1].totals if self._readings else Totals()
        placed, time = place(trace, self.outline), instant(trace.time) / MILLISECOND
        final, open_ = self._results(trace, time)
        missing = int(np.isnan(placed.x).sum()) if self.outline.event_time else 0
        kept, left_out = sample(placed.fates, LATE, DROPPED)
        self._readings.append(
            Reading(
                trace.batch_id, time, standing(trace.watermark), standing(trace.watermark_after),
                placed.of(kept), final, open_, totals.plus(placed.fates, missing), left_out,
            )
        )  # fmt: skip
        self._serials.append(trace.serial)
        self._kept += len(kept)
        self._let_go()

    def _let_go(self) -> None:
        """Keep the rows of the newest batches only, so that an hour of play takes no more than a minute of it."""
        while self._kept > MOST_KEPT and self._full < len(self._readings) - 1:
            old = self._readings[self._full]
            self._readings[self._full] = replace(
                old, placed=old.placed.of(_NONE), left_out=old.left_out.all_of(old.placed.fates, LATE, DROPPED)
            )
            self._kept -= len(old.placed.x)
            self._full += 1

    def _results(self, trace: Trace, time: float) -> tuple[tuple[tuple[float, Interval], ...], tuple[Interval, ...]]:
        final: list[tuple[float, Interval]] = []
        told = ((step.changed(), step) for step in trace.steps if self.outline.values)
        changed, step = next(((c, s) for c, s in told if _windowed(c)), (None, None))
        if changed is not None and step is not None:
            gone = self._turn(changed.with_columns(pl.lit(time).alias(_AT)), step.removed())
            if self.outline.output_mode == "update":
                final = [(_last_written(gone, i), i) for i in intervals(gone, self.outline)]
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


_stories: weakref.WeakKeyDictionary[Playable, Story] = weakref.WeakKeyDictionary()


def story_of(query: Playable) -> Story:
    """Return the one story of a query, which lives as long as the query does."""
    return _stories.setdefault(query, Story(query.outline))


def _windowed(rows: pl.DataFrame) -> bool:
    return set(BOUNDS) <= set(rows.columns)


def _last_written(gone: pl.DataFrame, interval: Interval) -> float:
    of_it = gone.filter(pl.Series(instants(gone, BOUNDS[0]) == interval.start))
    return float(of_it.get_column(_AT).max())  # type: ignore[arg-type]


def standing(watermark: dt.datetime | None) -> float | None:
    """Return a watermark in milliseconds; the one that every query starts with, 1970, is none yet."""
    at = instant(watermark) if watermark is not None else 0
    return at / MILLISECOND if at > 0 else None


def instants(rows: pl.DataFrame, column: str | None, default: float = np.nan) -> Numbers:
    """Return a time column in milliseconds since 1970 UTC, with ``default`` where there is none."""
    if column is None or column not in rows.columns or not isinstance(rows.schema[column], pl.Datetime | pl.Date):
        return np.full(rows.height, default)
    moments = rows.get_column(column).to_numpy().astype("datetime64[us]")
    return np.where(np.isnat(moments), default, moments.astype(np.int64) / MILLISECOND)


def zone_of(column: str | None, frames: Sequence[pl.DataFrame]) -> str | None:
    """Return the time zone of a column, from the first frame that has it."""
    dtype = next((f.schema[column] for f in frames if column in f.columns), None) if column else None
    return dtype.time_zone if isinstance(dtype, pl.Datetime) else None


def place(trace: Trace, outline: Outline) -> Placed:
    """Place the rows of a batch, by the time they arrived where that is known, else by the batch's."""
    rows = trace.rows
    x = instants(rows, outline.event_time)
    y = instants(rows, outline.arrival, instant(trace.time) / MILLISECOND)
    order = np.argsort(y, kind="stable")
    return Placed(rows[order], x[order], y[order], _fates(trace, outline, x)[order])


def place_upcoming(rows: pl.DataFrame | None, outline: Outline) -> Placed:
    """Place rows that are not read yet; those without a time of arrival have no place."""
    rows = pl.DataFrame() if rows is None else rows
    x, y = instants(rows, outline.event_time), instants(rows, outline.arrival)
    order = np.argsort(y, kind="stable")
    fates = np.full(rows.height, UPCOMING, dtype=object)
    return Placed(rows[order], x[order], y[order], fates)


def _fates(trace: Trace, outline: Outline, x: Numbers) -> Words:
    fates = np.full(len(x), COUNTED, dtype=object)
    by = judge(trace)
    if by is not None:
        fates[x <= by] = LATE
    fates[_set_aside(trace)] = ASIDE
    for step in trace.steps:
        fates[_dropped(trace.rows, step, outline)] = DROPPED
    return fates


def judge(trace: Trace) -> float | None:
    """Return the watermark that rows were judged by: the one the batch before ran with."""
    told = [step.late_watermark for step in trace.steps if step.late_watermark]
    return min(told) / MILLISECOND if told else standing(trace.watermark)


def _dropped(rows: pl.DataFrame, step: StepTrace, outline: Outline) -> np.ndarray[Any, Any]:
    """Say which rows came too late for the last of their windows: equal rows of one batch share their fate."""
    nothing = np.zeros(rows.height, dtype=bool)
    if step.late is None or step.late.is_empty() or outline.event_time not in step.late.columns:
        return nothing
    on = shared(rows, step.late)
    if outline.event_time not in on:
        return nothing
    end = pl.col("window_end").max() if "window_end" in step.late.columns else pl.lit(None)
    told = step.late.group_by(on).agg(end.alias("__end"), pl.lit(True).alias("__late"))
    found = rows.select(on).join(told, on=on, how="left", nulls_equal=True, maintain_order="left")
    late = found.get_column("__late").fill_null(False).to_numpy()
    return late & ~(instants(found, "__end", np.inf) < _last_end(found, outline))


def _last_end(rows: pl.DataFrame, outline: Outline) -> Numbers:
    if outline.window is None:
        return np.full(rows.height, -np.inf)
    return last_start(instants(rows, outline.event_time), outline.window) + outline.window.size / MILLISECOND


def last_start(x: Numbers, window: Window) -> Numbers:
    """Return the start of the last window that holds each instant."""
    start, slide = window.start / MILLISECOND, window.slide / MILLISECOND
    return start + np.floor((x - start) / slide) * slide


def _set_aside(trace: Trace) -> np.ndarray[Any, Any]:
    """Say which rows a filter took out on their way to the one stateful operator; none, where that cannot be told."""
    nothing = np.zeros(trace.rows.height, dtype=bool)
    if len(trace.steps) != 1 or trace.steps[0].rows.height >= trace.rows.height:
        return nothing
    reached = trace.steps[0].rows
    on = shared(trace.rows, reached)
    if not on:
        return nothing
    told = reached.select(on).unique().with_columns(pl.lit(True).alias("__reached"))
    found = trace.rows.select(on).join(told, on=on, how="left", nulls_equal=True, maintain_order="left")
    arrived = found.get_column("__reached").fill_null(False).to_numpy()
    return ~arrived if arrived.sum() == reached.height else nothing


def shared(left: pl.DataFrame, right: pl.DataFrame) -> list[str]:
    """Return the columns of one type in both, of a kind that can be compared."""
    return [c for c, kind in left.schema.items() if right.schema.get(c) == kind and not isinstance(kind, NESTED)]


def intervals(rows: pl.DataFrame, outline: Outline, *, explained: bool = True) -> list[Interval]:
    """Return what each window holds, in order of time; where there are other keys, their number."""
    if rows.is_empty():
        return []
    rows = rows.drop_nulls(BOUNDS).sort(BOUNDS, maintain_order=True)
    starts, ends = (instants(rows, bound) for bound in BOUNDS)
    edges = np.flatnonzero((np.diff(starts, prepend=np.nan) != 0) | (np.diff(ends, prepend=np.nan) != 0)).tolist()
    column = _value_column(rows, outline)
    found = []
    for first, last in pairwise([*edges, rows.height]):
        text = _keys(last - first) if outline.keys or last - first > 1 else _result(rows, first, column)
        tip = _told(rows[first:last]) if explained else ""
        found.append(Interval(float(starts[first]), float(ends[first]), text, tip))
    return found


def _keys(number: int) -> str:
    return f"{number:,} key{'' if number == 1 else 's'}"


def _result(rows: pl.DataFrame, i: int, column: str | None) -> str:
    return short(rows.item(i, column)) if column else ""


def _value_column(rows: pl.DataFrame, outline: Outline) -> str | None:
    rest = [c for c in rows.columns if c not in {*BOUNDS, *outline.keys, _AT}]
    return next((c for c in outline.values if c in rest), rest[-1] if rest else None)


def _told(rows: pl.DataFrame) -> str:
    more = f"\n\nand {rows.height - 3} more" if rows.height > 3 else ""
    return "\n\n".join(tips(rows.drop(_AT, strict=False).head(3))) + more


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
        first = _first_in_sight(cursor) if self.endless else 0
        self.number = cursor + 1
        self.shown = readings[first : self.number]
        self.ahead = readings[self.number : self.number + _KEPT if self.endless else None]
        self.waiting = place_upcoming(upcoming, outline)
        self.done = not self.ahead and not self.waiting.rows.height and not self.endless
        self.last = self.shown[-1] if self.shown else None
        self.totals = self.last.totals if self.last else Totals()
        frames = [*(r.placed.rows for r in readings[:1]), self.waiting.rows]
        self.x_zone = zone_of(outline.event_time, frames)
        self.y_zone = zone_of(outline.arrival, frames) if outline.arrival else self.x_zone

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
