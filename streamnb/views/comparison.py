"""Comparison: what a query and Spark gave out, dropped and waited for, batch by batch, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from streamnb.spark.compare import BatchCompared, Comparison
from streamnb.views.chart import Frame, across, batch_ticks, upward
from streamnb.views.plane_axis import time_axis
from streamnb.views.shapes import Figure, Grid, Row, Shape, Sheet, cross, line, rect, table, text

MOST_BATCHES = 120
_LEFT, _WIDE, _HIGH, _STEP = 88.0, 652.0, 84.0, 132.0
_SHOWN = 50


def comparison_sheet(comparison: Comparison) -> Sheet:
    """Lay out both sides of every batch, and the rows that differ."""
    title = f"{comparison!r}".split("\n")[0]
    differing = [b for b in comparison.compared if not b.same]
    lead = (
        "The same rows at the same processing time went through this query and through real Spark; rows are compared "
        "as a bag."
    )
    parts: list[Any] = [_figure(comparison.compared[-MOST_BATCHES:])]
    if differing:
        parts.append(_differences(comparison))
    return Sheet(title, (*parts, _batches(comparison)), title, lead)


def _figure(batches: Sequence[BatchCompared]) -> Figure:
    """Draw three lanes over the batches: rows out, watermark, rows dropped; a cross where the two differ."""
    shapes = [
        *_lane(batches, 0, "rows out", lambda b: (len(b.ours), len(b.theirs))),
        *_watermarks(batches, 1),
        *_lane(batches, 2, "rows dropped", lambda b: b.dropped),
        *_legend(),
    ]
    number = sum(not b.same for b in batches)
    label = f"{len(batches):,} batches here and on Spark, {number or 'none'} of them different"
    heads = ("batch", "rows out", "Spark's", "watermark", "Spark's", "dropped", "Spark's")
    listed = [(b.batch_id, len(b.ours), len(b.theirs), *map(_at, b.watermarks), *b.dropped) for b in batches]
    return Figure(label, int(3 * _STEP + 40), tuple(shapes), table("Batches", heads, listed))


def _legend() -> list[Shape]:
    return [
        rect(_LEFT + 420, 4, 12, 12, "ontime"),
        text(_LEFT + 438, 15, "here", "ink"),
        rect(_LEFT + 490, 4, 12, 12, None, line="late", stroke=1.6),
        text(_LEFT + 508, 15, "on Spark", "ink"),
        cross(_LEFT + 586, 10, 4),
        text(_LEFT + 598, 15, "different", "ink"),
    ]


def _frame(batches: Sequence[BatchCompared], lane: int, high: float) -> Frame:
    first, last = batches[0].batch_id, max(batches[-1].batch_id, batches[0].batch_id + 7)
    return Frame(_LEFT, 36 + lane * _STEP, _WIDE, _HIGH, first - 0.6, last + 0.6, 0, high or 1)


def _lane(
    batches: Sequence[BatchCompared], lane: int, name: str, read: Callable[[BatchCompared], tuple[int, int]]
) -> list[Shape]:
    most = max(max(read(b)) for b in batches)
    frame = _frame(batches, lane, most * 1.1)
    shapes = [text(2, frame.top - 14, name, "ink", 13, bold=True), *upward(frame, 3), *_ticks(frame, batches, lane)]
    width = min(16.0, max(2.0, (frame.x(1) - frame.x(0)) * 0.36))
    for b in batches:
        ours, theirs = read(b)
        x, tip = frame.x(b.batch_id), f"batch {b.batch_id}: {ours:,} here, {theirs:,} on Spark"
        sides = ((x - width, ours, {"fill": "ontime"}), (x, theirs, {"line": "late", "stroke": 1.6}))
        shapes += [
            rect(left, frame.y(value), width, frame.bottom - frame.y(value), tip=tip, **looks)
            for left, value, looks in sides
            if value
        ]
        if lane == 0 and not b.same:
            shapes.append(cross(x, frame.top - 2, 5, tip=f"batch {b.batch_id} differs"))
    return shapes


def _ticks(frame: Frame, batches: Sequence[BatchCompared], lane: int) -> list[Shape]:
    return across(frame, batch_ticks(batches[0].batch_id, int(frame.high_x)), "batch" if lane == 2 else "")


def _watermarks(batches: Sequence[BatchCompared], lane: int) -> list[Shape]:
    """Draw the watermarks of both: ours a line, Spark's dashes upon it."""
    known = [at for b in batches for at in map(_ms, b.watermarks) if at]
    frame = _frame(batches, lane, 1)
    shapes = [text(2, frame.top - 14, "watermark", "ink", 13, bold=True), *_ticks(frame, batches, lane)]
    if not known:
        return [*shapes, text(frame.left, frame.top + 20, "None has been set.")]
    low, high = min(known), max(known)
    pad = (high - low) * 0.08 or 1000.0
    frame = Frame(frame.left, frame.top, frame.width, frame.height, frame.low_x, frame.high_x, low - pad, high + pad)
    axis = time_axis("watermark", frame.low_y, frame.high_y, "UTC", 200)
    for at, words in axis.ticks:
        if frame.low_y <= at <= frame.high_y:
            shapes.append(line([(frame.left, frame.y(at)), (frame.right, frame.y(at))], "faint", 1))
            shapes.append(text(frame.left - 8, frame.y(at) + 4, words, anchor="end"))
    for side, (role, width, dash) in enumerate((("ontime", 3.5, None), ("late", 1.8, "5 4"))):
        points = [(b.batch_id, _ms(b.watermarks[side])) for b in batches]
        shapes.append(line([frame.at((n, at)) for n, at in points if at], role, width, dash))
    return shapes


def _ms(at: pd.Timestamp | None) -> float:
    """Return milliseconds since 1970; 0 for none, which is where Spark's begins."""
    return 0.0 if at is None else at.timestamp() * 1000


def _at(at: pd.Timestamp | None) -> str:
    return "none" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def _batches(comparison: Comparison) -> Grid:
    heads = ("batch", "differing", "rows in", "rows out", "Spark's", "watermark", "Spark's", "dropped", "Spark's")
    shown = comparison.compared[-_SHOWN:]
    rows = [
        (b.batch_id, sum(map(len, b.only)), b.rows_in, len(b.ours), len(b.theirs), *map(_at, b.watermarks), *b.dropped)
        for b in shown
    ]
    cut = f"The newest {len(shown)} of {len(comparison.compared):,}; all of them in .batches." * (
        len(shown) < len(comparison.compared)
    )
    grid = table("Side by side", heads, rows, cut)
    marked = zip(grid.rows, shown, strict=True)
    return Grid(grid.title, grid.columns, tuple(Row(r.cells, "" if b.same else "picked") for r, b in marked), grid.note)


def _differences(comparison: Comparison) -> Grid:
    found = comparison.differences
    note = f"The first {_SHOWN} of {len(found):,}; all of them in .differences." if len(found) > _SHOWN else ""
    shown = found.head(_SHOWN).astype(object)
    shown = shown.where(shown.notna(), None)
    return table("Rows that only one side gave out", list(found.columns), shown.itertuples(index=False), note)


class Compared:
    """A comparison as a sheet."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def sheet(self) -> Sheet:
        """Lay out the comparison."""
        return comparison_sheet(self.comparison)

    def hear(self, name: str, value: Any) -> None:
        """There is nothing to choose."""
