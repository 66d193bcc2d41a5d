"""Late rows as data: which, when, behind which watermark, and where each of them lies in the plane."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from streamnb.plan import late_column
from streamnb.progress import Outline, StepTrace, Trace
from streamnb.time import MILLISECOND, Window
from streamnb.views.plane_rows import BOUNDS, DROPPED, LATE, Reading, instants, judge, last_start, shared
from streamnb.windows import GIVEN, as_given

BATCH, AT, BY, UNTIL, OPERATOR = "__batch", "__at", "__by", "__until", "__operator"
LATE_BY = "__late_by"


@dataclass(frozen=True, eq=False)
class LateRows:
    """The dropped rows of one batch, with ``__at``: where each stands in the order of arrival (null: nowhere).

    ``let_go`` are those of which only the number is kept.
    """

    batch_id: int
    serial: int
    rows: pl.DataFrame
    let_go: int = 0


def late_of(trace: Trace, reading: Reading, outline: Outline) -> LateRows:
    """Return the rows that one batch dropped; a row in several windows once for each that it missed."""
    frames = [
        _placed(step, trace, reading, outline) for step in trace.steps if step.late is not None and step.late.height
    ]
    rows = pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
    return LateRows(trace.batch_id, trace.serial, rows, let_go_of(trace))


def let_go_of(trace: Trace) -> int:
    """Return of how many late rows of a batch only the number is kept."""
    return sum(step.late_let_go for step in trace.steps)


def _placed(step: StepTrace, trace: Trace, reading: Reading, outline: Outline) -> pl.DataFrame:
    late = step.late
    assert late is not None  # noqa: S101  asked by late_of
    late = late.rename({late_column(late.columns): LATE_BY})
    on = shared(as_given(late), reading.placed.rows)
    known = reading.placed.rows.select(on).with_row_index(AT).unique(on, keep="first", maintain_order=True)
    held = [GIVEN[name] if GIVEN.get(name) in late.columns else name for name in on]
    rows = (
        late.join(
            known.rename(dict(zip(on, held, strict=True))), on=held, how="left", nulls_equal=True, maintain_order="left"
        )
        if on
        else late.with_columns(pl.lit(None, pl.UInt32).alias(AT))
    )
    ends = instants(rows, "window_end" if "window_end" in rows.columns else outline.event_time)
    by = judge(trace)
    return rows.with_columns(
        pl.lit(trace.batch_id).alias(BATCH), pl.lit(step.operator).alias(OPERATOR),
        pl.lit(by, pl.Float64).alias(BY), pl.Series(UNTIL, ends),
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One row before the court: all that its figure needs, in milliseconds.

    ``ends`` is when its window (or its own time) stops taking rows; ``newest`` the row that had set the watermark it
    was judged by, ``neighbour`` a row of the same batch that was counted nearby; ``saving`` the delay it would have
    needed at least, ``sooner`` by how much it came too late.
    """

    name: str
    batch_id: int
    x: float
    y: float
    fate: str
    watermark: float | None
    window: tuple[float, float] | None
    delay: float | None
    newest: tuple[float, str] | None = None
    neighbour: tuple[float, str, tuple[float, float] | None] | None = None
    saving: float | None = None
    sooner: float | None = None
    life: tuple[Life, ...] = ()
    crosses: tuple[tuple[float, str], ...] = ()
    closed: tuple[int, float] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dropped(self) -> bool:
        """Return whether the row was dropped."""
        return self.fate == DROPPED

    @property
    def ends(self) -> float:
        """Return when the row's place in the state ends."""
        return self.window[1] if self.window else self.x


@dataclass(frozen=True)
class Life:
    """What the row's window held after a batch."""

    time: float
    value: float


def case_of(at: tuple[int, int], traces: Sequence[Trace], readings: Sequence[Reading], outline: Outline) -> Case | None:
    """Return the case of row ``at`` (batch id, place), as it stands after the last of ``readings``."""
    number = next((n for n, r in enumerate(readings) if r.batch_id == at[0]), None)
    if number is None or at[1] >= len(readings[number].placed.x):
        return None
    trace, reading = traces[number], readings[number]
    x = float(reading.placed.x[at[1]])
    if not np.isfinite(x):
        return None
    by, fate = judge(trace), str(reading.placed.fates[at[1]])
    window = _window(x, outline.window)
    ends = window[1] if window else x
    values = reading.placed.rows.row(at[1], named=True)
    y = float(reading.placed.y[at[1]])
    delay = _delay_behind(by, traces[:number], outline)
    dropped = fate == DROPPED and by is not None
    life, closed = _life(values, window, traces, readings, outline)
    return Case(
        name_of(values), at[0], x, y, fate, by, window, delay, _newest(by, traces[:number], outline),
        _neighbour(reading, x, outline), (delay or 0) + by - ends if dropped and by is not None else None,
        _sooner(y, ends, traces[: number + 1], readings) if dropped else None, life,
        _crosses(window, readings, outline), closed, values,
    )  # fmt: skip


def name_of(values: Mapping[str, Any]) -> str:
    """Return the first plain values of a row, two where the second says more: its name."""
    words = [str(v) for v in values.values() if isinstance(v, str | int) and not isinstance(v, bool)]
    name, more = [*words, "", ""][:2]
    name = (name if more in name else f"{name} {more}") or "this row"
    return name if len(name) <= 40 else name[:39] + "…"


def _window(x: float, window: Window | None) -> tuple[float, float] | None:
    if window is None:
        return None
    start = float(last_start(np.array([x]), window)[0])
    return start, start + window.size / MILLISECOND


def _newest(by: float | None, before: Sequence[Trace], outline: Outline) -> tuple[float, str] | None:
    """Return the row that had set the watermark ``by``."""
    for trace in reversed(before):
        row, after = trace.watermark_row, trace.watermark_after
        if row is not None and after is not None and by is not None and _ms(after) <= by:
            return _ms(row[outline.event_time or ""]), name_of(row)
    return None


def _delay_behind(by: float | None, before: Sequence[Trace], outline: Outline) -> float | None:
    """Return the delay with which the watermark came to stand at ``by``; that of now, if none is told of."""
    came = (t for t in before if t.marks and t.watermark_after is not None and _ms(t.watermark_after) == by)
    first = next(came, None)
    delay = outline.delay if first is None else first.marks[0].delay
    return None if outline.delay is None or delay is None else delay / dt.timedelta(milliseconds=1)


def _ms(time: dt.datetime) -> float:
    naive = time if time.tzinfo is None else time.astimezone(dt.UTC).replace(tzinfo=None)
    return (naive - dt.datetime(1970, 1, 1)) / dt.timedelta(milliseconds=1)  # noqa: DTZ001  taken as it stands


def _neighbour(reading: Reading, x: float, outline: Outline) -> tuple[float, str, tuple[float, float] | None] | None:
    """Return the counted row of the same batch that is nearest, those behind the watermark first."""
    placed = reading.placed
    for fates in ((LATE,), ("counted",)):
        which = np.flatnonzero(np.isin(placed.fates, fates) & np.isfinite(placed.x) & (placed.x != x))
        if len(which):
            i = int(which[np.argmin(np.abs(placed.x[which] - x))])
            near = float(placed.x[i])
            return near, name_of(placed.rows.row(i, named=True)), _window(near, outline.window)
    return None


def _sooner(y: float, ends: float, traces: Sequence[Trace], readings: Sequence[Reading]) -> float | None:
    """Return how much earlier the row would have had to come: to the last batch that still took it."""
    pairs = zip(traces, readings, strict=False)
    in_time = [r.time for t, r in pairs if (by := judge(t)) is None or by < ends]
    return y - in_time[-1] if in_time and y > in_time[-1] else None


def _life(
    values: Mapping[str, Any], window: tuple[float, float] | None, traces: Sequence[Trace],
    readings: Sequence[Reading], outline: Outline,
) -> tuple[tuple[Life, ...], tuple[int, float] | None]:  # fmt: skip
    """Return what the window of a row held after each batch, and the batch and time when it was closed."""
    if window is None or not outline.values or not set(outline.keys) <= set(values):
        return (), None
    life: list[Life] = []
    for trace, reading in zip(traces, readings, strict=False):
        for step in trace.steps:
            removed = _of_window(step.removed(), window, values, outline) if step.num_rows_removed else None
            changed = _of_window(step.changed(), window, values, outline) if step.num_rows_updated else None
            value = changed if changed is not None else removed
            if value is not None:
                life.append(Life(reading.time, value))
            elif life and (not life or life[-1].time != reading.time):
                life.append(Life(reading.time, life[-1].value))
            if removed is not None:
                return tuple(life), (trace.batch_id, reading.time)
    return tuple(life), None


def _of_window(
    rows: pl.DataFrame, window: tuple[float, float], values: Mapping[str, Any], outline: Outline
) -> float | None:
    if not set(BOUNDS) <= set(rows.columns) or outline.values[0] not in rows.columns:
        return None
    here = rows.filter(pl.Series(instants(rows, BOUNDS[0]) == window[0]))
    for name in outline.keys:
        here = here.filter(pl.col(name).eq_missing(pl.lit(values[name], here.schema[name])))
    value = here.item(0, outline.values[0]) if here.height else None
    return float(value) if isinstance(value, int | float) else None


def _crosses(
    window: tuple[float, float] | None, readings: Sequence[Reading], outline: Outline
) -> tuple[tuple[float, str], ...]:
    """Return when rows of the same window were dropped, and their names."""
    if window is None or outline.window is None:
        return ()
    found: list[tuple[float, str]] = []
    for reading in readings:
        placed = reading.placed
        here = (placed.fates == DROPPED) & (last_start(placed.x, outline.window) == window[0])
        names = [name_of(placed.rows.row(int(i), named=True)) for i in np.flatnonzero(here)[:12]]
        found += [(reading.time, name) for name in names]
    return tuple(found)
