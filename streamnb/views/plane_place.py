"""Where the rows of a batch lie on the plane, and what became of each; of many only a sample is looked up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import polars as pl

from streamnb.progress import Made, Outline, StepTrace, Trace, Work, told
from streamnb.report import late_in
from streamnb.time import MILLISECOND, Window, instant
from streamnb.views.plane_sample import LeftOut, sample
from streamnb.views.plane_tips import NESTED, tips
from streamnb.windows import as_given

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
Words = np.ndarray[tuple[int], np.dtype[np.object_]]
Codes = np.ndarray[tuple[int], np.dtype[np.uint8]]
Flags = np.ndarray[Any, Any]

COUNTED, LATE, DROPPED, ASIDE, UPCOMING = "counted", "late", "dropped", "aside", "upcoming"
FATES: Words = np.array([COUNTED, LATE, DROPPED, ASIDE, UPCOMING], dtype=object)
"""What a row's code stands for."""
CODE = {fate: code for code, fate in enumerate(FATES)}
_NONE = np.array([], dtype=np.int64)


@dataclass(frozen=True)
class Totals:
    """Rows from the first batch to this one. ``unseen`` ones went by too fast to be looked at."""

    rows: int = 0
    counted: int = 0
    late: int = 0
    dropped: int = 0
    missing: int = 0
    aside: int = 0
    unseen: int = 0

    def plus(self, codes: Codes, missing: int) -> Totals:
        """Return the totals with one more batch."""
        counted, late, dropped, aside, _ = np.bincount(codes, minlength=len(FATES)).tolist()
        return Totals(
            self.rows + len(codes), self.counted + counted + late, self.late + late, self.dropped + dropped,
            self.missing + missing, self.aside + aside, self.unseen,
        )  # fmt: skip

    def past(self, rows: int, aside: int, dropped: int) -> Totals:
        """Return the totals with a batch of which only numbers are known."""
        return Totals(
            self.rows + rows, self.counted + rows - aside - dropped, self.late, self.dropped + dropped, self.missing,
            self.aside + aside, self.unseen + rows,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Placed:
    """Rows with their place (milliseconds; NaN has none) and the code of their fate, in order of arrival."""

    rows: pl.DataFrame
    x: Numbers
    y: Numbers
    codes: Codes
    words: dict[bytes, list[str]] = field(default_factory=dict)

    @property
    def fates(self) -> Words:
        """What became of each row, as a word."""
        return FATES[self.codes]

    def of(self, which: Flags) -> Placed:
        """Return only some of the rows."""
        return Placed(self.rows[which], self.x[which], self.y[which], self.codes[which])

    def nothing(self) -> Placed:
        """Return none of the rows."""
        return self.of(_NONE)


def tips_of(asked: Sequence[tuple[Placed, Flags]]) -> list[list[str]]:
    """Return every column of the chosen rows as lines of words; kept, since a picture asks again at every step."""
    new = [(placed, which) for placed, which in asked if which.tobytes() not in placed.words]
    words = iter(tips(pl.concat([p.rows[which] for p, which in new], how="diagonal_relaxed"))) if new else iter(())
    for placed, which in new:
        placed.words.clear()
        placed.words[which.tobytes()] = list(islice(words, len(which)))
    return [placed.words[which.tobytes()] for placed, which in asked]


NOWHERE = Placed(pl.DataFrame(), np.array([]), np.array([]), np.array([], dtype=np.uint8))


def place(trace: Trace, outline: Outline, before: Totals) -> tuple[Placed, LeftOut, Totals]:
    """Place the rows of a batch, by the time they arrived where that is known, else by the batch's.

    Of many rows a sample is placed; return it, what it leaves out, and the totals with the whole batch.
    """
    rows = trace.rows
    x = instants(rows, outline.event_time)
    y = instants(rows, outline.arrival, instant(trace.time) / MILLISECOND)
    codes = _codes(trace, rows, x, outline)
    missing = int(np.isnan(x).sum()) if outline.event_time else 0
    kept, left_out = sample(codes, CODE[LATE], CODE[DROPPED])
    kept = kept[np.argsort(y[kept], kind="stable")]
    return Placed(rows[kept], x[kept], y[kept], codes[kept]), left_out, before.plus(codes, missing)


def pass_by(trace: Trace, outline: Outline, before: Totals) -> tuple[Placed, LeftOut, Totals]:
    """Do without the rows of a batch, but for the dropped ones, which are kept apart."""
    read, reached = _counted(trace)
    late = next((step for step in trace.steps if step.late is not None and len(step.late)), None)
    placed = NOWHERE if late is None else _place_dropped(trace, late, outline)
    kept, gone = len(placed.x), sum(step.late_let_go for step in trace.steps)
    return placed, LeftOut(max(read - kept, 0), 0, gone), before.past(read, read - reached, kept + gone)


def _place_dropped(trace: Trace, step: StepTrace, outline: Outline) -> Placed:
    rows = _as_read(step.late, _columns_of(trace)) if step.late is not None else pl.DataFrame()
    x = instants(rows, outline.event_time)
    y = instants(rows, outline.arrival, instant(trace.time) / MILLISECOND)
    everywhere = Placed(rows, x, y, np.full(len(x), CODE[DROPPED], dtype=np.uint8))
    return everywhere.of(np.flatnonzero(_dropped(rows, step, outline)))


def _counted(trace: Trace) -> tuple[int, int]:
    """Return how many rows a batch read, and how many of them reached its one operator with state."""
    return _read_and_reached(trace, trace.work, lambda: trace.rows.height)


def _read_and_reached(trace: Trace, did: Sequence[Work], rows: Callable[[], int]) -> tuple[int, int]:
    marks = [work.rows_out for work in did if work.verb == "with_watermark"]
    read = marks[0] if len(marks) == 1 else rows()
    ends = [work.rows_in for work in did if any(work.verb == step.operator for step in trace.steps)]
    return read, min(ends[0], read) if len(ends) == 1 else read


def totals_before(trace: Trace) -> Totals:
    """Return what is known of the batches before one, by the sums that it holds."""
    sums = trace.so_far
    if len(sums.work) != len(trace.work) or sums.work == trace.work:
        return Totals()
    (all_read, all_reached), (read, reached) = _read_and_reached(trace, sums.work, lambda: sums.rows), _counted(trace)
    aside, dropped = all_read - all_reached - (read - reached), sums.late - late_in(trace)
    return Totals().past(max(all_read - read, aside + dropped), aside, dropped)


def _columns_of(trace: Trace) -> pl.Schema:
    given = told(trace)
    return (given.emptied()() if isinstance(given, Made) else given).schema


def _as_read(late: pl.DataFrame, columns: pl.Schema) -> pl.DataFrame:
    """Return dropped rows, which stand once for each of their windows, as they were read."""
    rows = late.select(name for name in columns if name in late.columns)
    return rows.unique(shared(rows, late), maintain_order=True)


def standing(watermark: dt.datetime | None) -> float | None:
    """Return a watermark in milliseconds; the one that every query starts with, 1970, is none yet."""
    at = instant(watermark) if watermark is not None else 0
    return at / MILLISECOND if at > 0 else None


def instants(rows: pl.DataFrame, column: str | None, default: float = np.nan) -> Numbers:
    """Return a time column in milliseconds since 1970 UTC, with ``default`` where there is none."""
    if column is None or column not in rows.columns or not isinstance(rows.schema[column], pl.Datetime | pl.Date):
        return np.full(rows.height, default)
    times = rows.get_column(column)
    if getattr(times.dtype, "time_unit", "") != "us":
        times = times.cast(pl.Datetime("us"))
    if not times.null_count():
        return times.to_physical().to_numpy() / MILLISECOND
    known = times.to_physical().fill_null(0).to_numpy() / MILLISECOND
    return np.where(times.is_null().to_numpy(), default, known)


def zone_of(column: str | None, frames: Sequence[pl.DataFrame]) -> str | None:
    """Return the time zone of a column, from the first frame that has it."""
    dtype = next((f.schema[column] for f in frames if column in f.columns), None) if column else None
    return dtype.time_zone if isinstance(dtype, pl.Datetime) else None


def place_upcoming(rows: pl.DataFrame | None, outline: Outline) -> Placed:
    """Place rows that are not read yet; those without a time of arrival have no place."""
    rows = pl.DataFrame() if rows is None else rows
    x, y = instants(rows, outline.event_time), instants(rows, outline.arrival)
    order = np.argsort(y, kind="stable")
    codes = np.full(rows.height, CODE[UPCOMING], dtype=np.uint8)
    return Placed(rows[order], x[order], y[order], codes)


def _codes(trace: Trace, rows: pl.DataFrame, x: Numbers, outline: Outline) -> Codes:
    codes = np.zeros(len(x), dtype=np.uint8)
    by = judge(trace)
    if by is not None:
        codes[x <= by] = CODE[LATE]
    aside = _set_aside(trace, rows)
    if aside is not None:
        codes[aside] = CODE[ASIDE]
    for step in trace.steps:
        if step.late is not None and len(step.late):
            codes[_dropped(rows, step, outline)] = CODE[DROPPED]
    return codes


def judge(trace: Trace) -> float | None:
    """Return the watermark that rows were judged by: the one the batch before ran with."""
    told = [step.late_watermark for step in trace.steps if step.late_watermark]
    return min(told) / MILLISECOND if told else standing(trace.watermark)


def _dropped(rows: pl.DataFrame, step: StepTrace, outline: Outline) -> np.ndarray[Any, Any]:
    """Say which rows came too late for the last of their windows: equal rows of one batch share their fate."""
    nothing = np.zeros(rows.height, dtype=bool)
    if step.late is None or step.late.is_empty() or outline.event_time not in step.late.columns:
        return nothing
    end = pl.col("window_end") if "window_end" in step.late.columns else pl.lit(None)
    late = as_given(step.late.with_columns(end.alias("__end")))
    on = shared(rows, late)
    if outline.event_time not in on:
        return nothing
    told = late.group_by(on).agg(pl.col("__end").max(), pl.lit(True).alias("__late"))
    found = rows.select(on).join(told, on=on, how="left", nulls_equal=True, maintain_order="left")
    dropped = found.get_column("__late").fill_null(False).to_numpy()
    return dropped & ~(instants(found, "__end", np.inf) < _last_end(found, outline))


def _last_end(rows: pl.DataFrame, outline: Outline) -> Numbers:
    if outline.window is None:
        return np.full(rows.height, -np.inf)
    return last_start(instants(rows, outline.event_time), outline.window) + outline.window.size / MILLISECOND


def last_start(x: Numbers, window: Window) -> Numbers:
    """Return the start of the last window that holds each instant."""
    start, slide = window.start / MILLISECOND, window.slide / MILLISECOND
    return start + np.floor((x - start) / slide) * slide


def _set_aside(trace: Trace, rows: pl.DataFrame) -> Flags | None:
    """Say which rows a filter took out on their way to the one stateful operator; None, where that cannot be told."""
    if len(trace.steps) != 1 or told(trace) is told(trace.steps[0]):
        return None
    reached = trace.steps[0].rows
    on = shared(rows, reached)
    if reached.height >= rows.height or not on:
        return None
    passed = reached.select(on).unique().with_columns(pl.lit(True).alias("__reached"))
    found = rows.select(on).join(passed, on=on, how="left", nulls_equal=True, maintain_order="left")
    arrived = found.get_column("__reached").fill_null(False).to_numpy()
    return ~arrived if arrived.sum() == reached.height else None


def shared(left: pl.DataFrame, right: pl.DataFrame) -> list[str]:
    """Return the columns of one type in both, of a kind that can be compared."""
    return [c for c, kind in left.schema.items() if right.schema.get(c) == kind and not isinstance(kind, NESTED)]
