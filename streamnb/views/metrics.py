"""Metrics: rows, speed, time, state and lag by batch; and which input holds the watermark back."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from streamnb.answers.holders import holder_of
from streamnb.progress import Mark, Progress, Trace
from streamnb.views.chart import Frame, across, batch_ticks, big, round_ticks, unit_of, upward
from streamnb.views.controls import short_duration
from streamnb.views.shapes import Column, Figure, Grid, Part, Row, Shape, Sheet, line, nothing, rect, table, text
from streamnb.views.state import spell_time
from streamnb.views.view import View

MOST_BATCHES = 120
_WIDE, _HIGH, _GAP_X, _GAP_Y = 306.0, 92.0, 78.0, 62.0
_PHASES = (("get_batch", "read"), ("add_batch", "compute"), ("sink", "write"))
_PHASE_ROLES = ("watermark", "ontime", "late")


@dataclass(frozen=True)
class Batch:
    """The numbers of one batch; NaN where there is none."""

    batch_id: int
    rows: float
    rows_per_second: float
    phases: tuple[float, ...]
    lag_seconds: float
    state: float
    nbytes: float
    dropped: float
    written: float


def numbers_of(progress: Progress, trace: Trace) -> Batch:
    """Return the numbers of one batch."""
    operators = progress.state_operators
    return Batch(
        progress.batch_id,
        float(progress.num_input_rows),
        progress.processed_rows_per_second,
        tuple(float(progress.duration_ms.get(name, 0.0)) for name, _ in _PHASES),
        _lag(trace),
        float(sum(o.num_rows_total for o in operators)),
        float(sum(o.memory_used_bytes for o in operators)),
        float(sum(o.num_rows_dropped_by_watermark for o in operators)),
        float(progress.sink.get("num_output_rows", 0)),
    )


def _lag(trace: Trace) -> float:
    mark = trace.watermark_after
    if mark is None or mark.replace(tzinfo=None) == dt.datetime(1970, 1, 1):  # noqa: DTZ001  taken as it stands
        return math.nan
    time = trace.time.replace(tzinfo=None) if mark.tzinfo is None else trace.time.replace(tzinfo=dt.UTC)
    return (time - mark).total_seconds()


Panel = tuple[str, Callable[[Batch], float], Callable[[float], str]]
"""A name, how to read its number from a batch, and how that number is spelt."""

_PANELS: tuple[Panel, ...] = (
    ("rows read", lambda b: b.rows, lambda v: f"{v:,.0f}"),
    ("rows a second", lambda b: b.rows_per_second, big),
    ("milliseconds", lambda b: sum(b.phases), lambda v: f"{v:,.1f} ms"),
    ("lag of the watermark", lambda b: b.lag_seconds, lambda v: short_duration(dt.timedelta(seconds=v))),
    ("rows in state", lambda b: b.state, lambda v: f"{v:,.0f}"),
    ("rows dropped", lambda b: b.dropped, lambda v: f"{v:,.0f}"),
)


def metrics_sheet(batches: Sequence[Batch], marks: Sequence[Mark], watermark: dt.datetime | None, policy: str) -> Sheet:
    """Lay out the last batches, and who asks for which watermark after the last of them."""
    last, shown = batches[-1], batches[-MOST_BATCHES:]
    parts: list[Part] = [figure(shown)]
    if marks:
        parts.append(holders(marks, watermark, policy))
    cut = f" The last {MOST_BATCHES} of {len(batches):,} batches." if len(batches) > MOST_BATCHES else ""
    ms = sum(last.phases)
    title = f"Batch {last.batch_id} took {ms:,.1f} ms for {last.rows:,.0f} row{'' if last.rows == 1 else 's'}."
    holding = f" {_held_back(marks, policy)}" if len(marks) > 1 else ""
    lead = (
        f"Bars are batches, the number is the last one's. Milliseconds lie upon each other: read, compute, write.{cut}"
    )
    key = tuple((rect(2, 3, 18, 10, role), word) for role, (_, word) in zip(_PHASE_ROLES, _PHASES, strict=True))
    return Sheet(title, tuple(parts), f"{title} {last.state:,.0f} rows in state.{holding}", lead, key)


def figure(batches: Sequence[Batch]) -> Figure:
    """Draw six numbers by batch as small bars over the same batches."""
    shapes: list[Shape] = []
    for n, panel in enumerate(_PANELS):
        top = 26 + (n // 2) * (_HIGH + _GAP_Y)
        shapes += _panel(batches, panel, 44 + (n % 2) * (_WIDE + _GAP_X), top)
    heads = ("batch", *(name for name, _, _ in _PANELS), "rows written")
    rows = [(b.batch_id, *(_plain(read(b)) for _, read, _ in _PANELS), b.written) for b in batches[-60:]]
    last = batches[-1]
    said = "; ".join(f"{name} {_told(read(last), spell)}" for name, read, spell in _PANELS)
    return Figure(
        f"Batch {last.batch_id}: {said}", int(3 * (_HIGH + _GAP_Y)), tuple(shapes), table("Batches", heads, rows)
    )


def _plain(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


def _told(value: float, spell: Callable[[float], str]) -> str:
    return spell(value) if math.isfinite(value) else "–"


def _panel(batches: Sequence[Batch], panel: Panel, left: float, top: float) -> list[Shape]:
    name, read, spell = panel
    values = [read(b) for b in batches]
    finite = [v for v in values if math.isfinite(v)]
    first, last = batches[0].batch_id, batches[-1].batch_id
    low = min(0.0, *finite) if finite else 0.0
    frame = Frame(
        left, top, _WIDE, _HIGH, first - 0.6, max(last, first + 11) + 0.6, low, (max(finite, default=0) or 1) * 1.1
    )
    shapes = [text(left, top - 10, name, "muted", 12.5), *across(frame, batch_ticks(first, max(last, first + 11), 5))]
    if finite:
        shapes += _lag_axis(frame) if name.startswith("lag") else upward(frame, 3 if max(finite) >= 3 else 1)
    if finite and math.isfinite(values[-1]):
        shapes.append(text(left + _WIDE, top - 10, spell(values[-1]), "ink", 14, bold=True, anchor="end"))
    slot = frame.width / (frame.high_x - frame.low_x)
    width = min(14.0, slot - 1.5) if slot > 4 else slot  # gaps as wide as the bars would only flicker
    for batch, value in zip(batches, values, strict=True):
        if math.isfinite(value) and value:
            shapes += _bars(frame, batch, (name, value), width, f"batch {batch.batch_id}: {spell(value)}")
    return shapes


def _lag_axis(frame: Frame) -> list[Shape]:
    """Return ticks at a round number of the unit in which the lag is told."""
    unit, _ = unit_of(frame.high_y)
    shapes: list[Shape] = []
    for value in round_ticks(frame.low_y / unit, frame.high_y / unit, 2):
        y = frame.y(value * unit)
        words = short_duration(dt.timedelta(seconds=value * unit))
        shapes += [
            line([(frame.left, y), (frame.right, y)], "faint", 1),
            text(frame.left - 6, y + 4, words, anchor="end"),
        ]
    return shapes


def _bars(frame: Frame, batch: Batch, told: tuple[str, float], width: float, tip: str) -> list[Shape]:
    name, value = told
    x = frame.x(batch.batch_id) - width / 2
    if name != "milliseconds":
        role = "dropped" if name == "rows dropped" else "ontime" if name != "lag of the watermark" else "watermark"
        top = min(frame.y(value), frame.y(0))
        return [rect(x, top, width, abs(frame.y(value) - frame.y(0)), role, tip=tip)]
    shapes, base = [], 0.0
    parts = zip(batch.phases, _PHASE_ROLES, _PHASES, strict=True)
    phases = ", ".join(f"{word} {ms:.1f}" for ms, _, (_, word) in zip(batch.phases, _PHASE_ROLES, _PHASES, strict=True))
    for ms, role, _ in parts:
        shapes.append(
            rect(x, frame.y(base + ms), width, frame.y(base) - frame.y(base + ms), role, tip=f"{tip} ({phases})")
        )
        base += ms
    return shapes


def holders(marks: Sequence[Mark], watermark: dt.datetime | None, policy: str) -> Grid:
    """Return what every declared watermark asks for; the one that the query's waits for is marked."""
    least = holding(marks, policy)
    rows = []
    for mark in marks:
        asks = spell_time(mark.value) if mark.value is not None else "no row yet"
        row = ", ".join(f"{name}={value}" for name, value in list(mark.row.items())[:3]) if mark.row else ""
        role = (
            "" if mark is not least or len(marks) == 1 else "holds the watermark back" if policy == "min" else "leads"
        )
        role = "idle, not waited for" if mark.idle else role
        told = mark.source, mark.event_time, short_duration(mark.delay), asks, role, _brief(row)
        rows.append(Row(told, "picked" if role and mark is least else ""))
    heads: tuple[str, ...] = ("input", "event time", "delay", "asks for", "", "set by")
    if not any(row.cells[4] for row in rows):
        heads, rows = (*heads[:4], heads[5]), [replace(row, cells=(*row.cells[:4], row.cells[5])) for row in rows]
    columns = tuple(map(Column, heads))
    now = spell_time(watermark) if watermark is not None else "none"
    note = (
        f"With several inputs the query takes the {'least' if policy == 'min' else 'largest'} of them."
        if len(marks) > 1
        else ""
    )
    return Grid(f"Who holds the watermark back? The query's stands at {now}.", columns, tuple(rows), note)


def _brief(words: str) -> str:
    return words if len(words) <= 64 else f"{words[:63]}…"


def holding(marks: Sequence[Mark], policy: str) -> Mark | None:
    """Return the input that the query's watermark comes of."""
    return next((mark for mark in marks if mark.input == holder_of(marks, policy)), None) if marks else None


def _held_back(marks: Sequence[Mark], policy: str) -> str:
    least = holding(marks, policy)
    return f"{least.source} holds the watermark back." if least and policy == "min" else ""


class Metrics(View):
    """The numbers of the batches up to the one looked at."""

    name = "metrics"

    def sheet(self, at: int) -> Sheet:
        """Lay out the numbers up to a batch."""
        if at < 0:
            return nothing("No batch has run, so there is nothing to measure.")
        first = max(0, at + 1 - MOST_BATCHES)
        pairs = zip(self.query.progress[first : at + 1], self.query.trace[first : at + 1], strict=False)
        trace = self.query.trace[at]
        policy = getattr(self.query, "watermark_policy", "min")
        return metrics_sheet([numbers_of(p, t) for p, t in pairs], trace.marks, trace.watermark_after, policy)
