"""Window shapes: which tumbling, sliding and session windows some times fall into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from streamnb.errors import DataError
from streamnb.time import MILLISECOND, Duration, Window, duration, spell
from streamnb.views.chart import Frame, across, of_time
from streamnb.views.plane_axis import spell_clock, time_axis
from streamnb.views.plane_rows import instants, last_start, zone_of
from streamnb.views.shapes import Figure, Shape, Sheet, Slider, dot, line, rect, table, text

_LEFT, _WIDE, _MARKS, _LANE = 92.0, 650.0, 46.0, 116.0
MOST_TIMES = 200

Interval = tuple[float, float, int]
"""Start, end and number of times inside, times in milliseconds."""
Lane = tuple[str, str, list[Interval]]
"""A shape's name, its lengths in words, its windows."""


@dataclass(frozen=True)
class Shapes:
    """What there is to draw: times and lengths, all in milliseconds; ``start`` shifts tumbling and sliding windows."""

    times: tuple[float, ...]
    size: float
    slide: float
    gap: float
    start: float = 0.0
    zone: str | None = None
    named: str = "event time"


def tumbling(times: Sequence[float], size: float, start: float = 0.0) -> list[Interval]:
    """Return the windows that hold any of the times, one beside the other."""
    return sliding(times, size, size, start)


def sliding(times: Sequence[float], size: float, slide: float, start: float = 0.0) -> list[Interval]:
    """Return the windows of ``size``, one every ``slide``, that hold any of the times."""
    window = Window(int(size * MILLISECOND), int(slide * MILLISECOND), int(start * MILLISECOND))
    found: dict[float, int] = {}
    for time in times:
        first = float(last_start(np.array([time]), window)[0])
        while first > time - size:
            found[first] = found.get(first, 0) + 1
            first -= slide
    return [(at, at + size, number) for at, number in sorted(found.items())]


def sessions(times: Sequence[float], gap: float) -> list[Interval]:
    """Return the sessions: a time within ``gap`` of the one before belongs to it; ``[first, last + gap)``."""
    found: list[Interval] = []
    for time in sorted(times):
        if found and time < found[-1][1]:
            found[-1] = (found[-1][0], time + gap, found[-1][2] + 1)
        else:
            found.append((time, time + gap, 1))
    return found


def shapes_sheet(shapes: Shapes) -> Sheet:
    """Lay out three lanes under the times, and a slider for each length."""
    lanes = (
        ("tumbling", f"every {_told(shapes.size)}", tumbling(shapes.times, shapes.size, shapes.start)),
        ("sliding", f"{_told(shapes.size)} every {_told(shapes.slide)}",
         sliding(shapes.times, shapes.size, shapes.slide, shapes.start)),
        ("session", f"gap {_told(shapes.gap)}", sessions(shapes.times, shapes.gap)),
    )  # fmt: skip
    number = len(shapes.times)
    counts = ", ".join(f"{len(found):,} {name}" for name, _, found in lanes)
    title = f"{number:,} row{'' if number == 1 else 's'}: {counts} windows."
    most = max(shapes.size, shapes.gap) * 3
    parts = (
        _slider("size", "size", shapes.size, most),
        _slider("slide", "slide", shapes.slide, shapes.size),
        _slider("gap", "gap", shapes.gap, most),
        _figure(shapes, lanes),
    )
    each = max((sum(1 for s, e, _ in lanes[1][2] if s <= t < e) for t in shapes.times), default=0)
    lead = (
        "A tumbling window holds a row once, a sliding one up to "
        f"{each} time{'' if each == 1 else 's'} here; a session grows with its rows and merges with the next when one "
        "row reaches both. Pull a mark sideways."
    )
    return Sheet(title, parts, title, lead)


def _told(length: float) -> str:
    return spell(int(length) * MILLISECOND)


def _slider(name: str, label: str, value: float, most: float) -> Slider:
    step = max(1_000.0, value // 20_000 * 1_000)
    return Slider(name, label, step, max(most, value), step, value, _told(value))


def _figure(shapes: Shapes, lanes: Sequence[Lane]) -> Figure:
    edges = [edge for _, _, found in lanes for start, end, _ in found for edge in (start, end)] or [0.0, 60_000.0]
    low, high = min(edges), max(edges)
    axis = time_axis(shapes.named, low - 0.02 * (high - low), high + 0.02 * (high - low), shapes.zone, int(_WIDE))
    depth = [_stacked(found) for _, _, found in lanes]
    tops = [_LANE + sum(30 + 22 * max((*d, 0), default=0) + 22 for d in depth[:n]) for n in range(len(depth))]
    bottom = tops[-1] + 44 + 22 * max((*depth[-1], 0), default=0)
    frame = of_time(axis, _LEFT, 20, _WIDE, bottom - 20)
    drawn = [*across(frame, axis.ticks, axis.label), *_midnights(frame, shapes), *_rows(frame, shapes, bottom)]
    for lane, rows, top in zip(lanes, depth, tops, strict=True):
        drawn += _lane(lane, rows, top, frame, shapes)
    heads = ("shape", "start", "end", "rows")
    listed = [
        (name, *(spell_clock(edge, shapes.zone, 60_000) for edge in (s, e)), n)
        for name, _, found in lanes
        for s, e, n in found
    ]
    return Figure(
        f"Windows over {len(shapes.times)} rows", int(bottom + 48), tuple(drawn), table("Windows", heads, listed[:200])
    )


def _rows(frame: Frame, shapes: Shapes, bottom: float) -> list[Shape]:
    drawn: list[Shape] = [text(2, _MARKS + 4, "rows", "ink", 13, bold=True)]
    for n, time in enumerate(shapes.times):
        x = frame.x(time)
        tip = f"{spell_clock(time, shapes.zone, 60_000)}: pull me"
        drawn.append(line([(x, _MARKS + 8), (x, bottom)], "faint", 1))
        drawn.append(dot(x, _MARKS, 7, "ontime", "ground", drag=str(n), tip=tip, id=f"row {n}"))
    return drawn


def _lane(lane: Lane, rows: Sequence[int], top: float, frame: Frame, shapes: Shapes) -> list[Shape]:
    name, words, found = lane
    drawn = [
        text(2, top + 4, name, "ink", 13, bold=True),
        text(2, top + 20, words[words.find("every ") :] if name == "sliding" else words, "muted", 11),
    ]
    for n, (interval, row) in enumerate(zip(found, rows, strict=True)):
        drawn += _window(interval, frame, top + 22 * row, shapes, f"{name} {n}")
    return drawn


def _stacked(found: Sequence[Interval]) -> list[int]:
    """Return the line of every window, so that none lies on another."""
    ends: list[float] = []
    lines: list[int] = []
    for start, end, _ in found:
        free = next((n for n, until in enumerate(ends) if until <= start), len(ends))
        if free == len(ends):
            ends.append(end)
        ends[free] = end
        lines.append(free)
    return lines


def _window(interval: Interval, frame: Frame, top: float, shapes: Shapes, name: str) -> list[Shape]:
    start, end, number = interval
    left, right = frame.x(start), frame.x(end)
    role = "second" if name.startswith("session") else "ontime"
    span = "–".join(spell_clock(edge, shapes.zone, 4 * 3.6e6) for edge in (start, end))
    looks: dict[str, Any] = {
        "id": name,
        "line": role,
        "stroke": 1.4,
        "r": 3,
        "alpha": 0.16,
        "tip": f"{span}: {number} rows",
    }
    found = [rect(left + 1, top - 9, right - left - 2, 18, role, **looks)]
    if right - left > 16:
        found.append(text((left + right) / 2, top + 4, f"{number}", f"{role}_text", 12, anchor="middle", bold=True))
    return found


def _midnights(frame: Frame, shapes: Shapes) -> list[Shape]:
    """Draw midnight in UTC, from which windows are counted, and in the zone of the column, where it is another."""
    found: list[Shape] = []
    day = 86_400_000.0
    first = -(-frame.low_x // day) * day
    while first <= frame.high_x:
        words = "midnight UTC" if shapes.zone else "midnight"
        found += [
            line([(frame.x(first), 20), (frame.x(first), frame.bottom)], "muted", 1, "2 3"),
            text(frame.x(first) + 4, 28, words, "muted", 11),
        ]
        first += day
    return found


def shapes_of(
    size: Duration, slide: Duration | None, gap: Duration | None, start: Duration, *, times: Any, column: str | None
) -> Shapes:
    """Return what a user asked to see, in milliseconds."""
    long = duration(size, "windows") / MILLISECOND
    step = duration(slide, "windows") / MILLISECOND if slide is not None else long / 2
    pause = duration(gap, "windows") / MILLISECOND if gap is not None else long / 3
    shift = duration(start, "windows") / MILLISECOND
    if times is None:
        made_up = tuple(_MADE_UP_START + round(share * 3 * long) for share in _MADE_UP)
        return Shapes(made_up, long, step, pause, shift)
    frame = native_rows(times, column)
    name = column or frame.columns[0]
    at = instants(frame, name)
    at = at[np.isfinite(at)]
    if not len(at):
        raise DataError(f"windows: {name!r} holds no datetimes; give times=, or column= of a table.")
    return Shapes(tuple(at[:MOST_TIMES].tolist()), long, step, pause, shift, zone_of(name, [frame]), name)


def native_rows(times: Any, column: str | None) -> pl.DataFrame:
    """Return datetimes, or a table, as a frame."""
    if hasattr(times, "columns"):
        return pl.DataFrame(times) if not hasattr(times, "iloc") else pl.from_pandas(times)
    values = pd.to_datetime(pd.Series(list(times)))
    return pl.DataFrame({column or "event time": pl.from_pandas(values)})


_MADE_UP_START = 1_704_099_600_000.0
_MADE_UP = (0.03, 0.11, 0.17, 0.38, 0.43, 0.46, 0.52, 0.78, 0.9)


class WindowShapes:
    """Times and lengths that the reader may change."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes

    def sheet(self) -> Sheet:
        """Lay out the windows as the lengths stand."""
        return shapes_sheet(self.shapes)

    def hear(self, name: str, value: Any) -> None:
        """Take a new length, or move a time to a pixel of the figure."""
        if name in {"size", "slide", "gap"}:
            lengths: dict[str, Any] = {name: float(value)}
            new = replace(self.shapes, **lengths)
            self.shapes = replace(new, slide=min(new.slide, new.size))
        elif name == "drag":
            number, pixel = int(value[0]), float(value[1])
            figure = self._frame()
            moved = round(figure.x_of(min(max(pixel, _LEFT), _LEFT + _WIDE)) / 1000) * 1000.0
            times = [moved if n == number else time for n, time in enumerate(self.shapes.times)]
            self.shapes = replace(self.shapes, times=tuple(times))

    def _frame(self) -> Frame:
        s = self.shapes
        found = [
            *tumbling(s.times, s.size, s.start),
            *sliding(s.times, s.size, s.slide, s.start),
            *sessions(s.times, s.gap),
        ]
        low, high = min(f[0] for f in found), max(f[1] for f in found)
        return Frame(_LEFT, 20, _WIDE, 1, low - 0.02 * (high - low), high + 0.02 * (high - low))
