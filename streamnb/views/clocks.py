"""Clocks: rows between event time and processing time, in windows by the one or by the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from streamnb.answers.cards import plural
from streamnb.errors import DataError, column_not_found
from streamnb.time import MILLISECOND, Duration, Window, duration, spell
from streamnb.views.chart import Frame, across
from streamnb.views.plane_axis import Axis, spell_clock, time_axis
from streamnb.views.plane_place import Numbers, instants, last_start, zone_of
from streamnb.views.shapes import Choice, Figure, Shape, Sheet, Words, dot, line, rect, table, text
from streamnb.views.window_shapes import native_rows

MOST = 2_000
"""Rows that are drawn: the first."""
_LEFT, _TOP, _WIDE, _HIGH, _DAY = 84.0, 30.0, 600.0, 420.0, 8.64e7
EVENT, PROCESSING = "event", "processing"


@dataclass(frozen=True, eq=False)
class Between:
    """Rows with both their times in milliseconds, and the words of each; ``names`` are those of the two columns."""

    x: Numbers
    y: Numbers
    words: tuple[str, ...]
    names: tuple[str, str]
    size: float
    zone: str | None = None

    def windows(self, by: str) -> list[tuple[float, int]]:
        """Return where each window by a clock starts that holds a row, and how many it holds."""
        starts, rows = np.unique(self.starts(by), return_counts=True)
        return list(zip(starts.tolist(), rows.tolist(), strict=True))

    def starts(self, by: str) -> Numbers:
        """Return where the window of each row starts, by a clock."""
        size = int(self.size * MILLISECOND)
        return last_start(self.x if by == EVENT else self.y, Window(size, size, 0))


class Clocks:
    """Rows between two clocks: by which the reader cuts windows, and which row is looked at."""

    def __init__(self, rows: Between, by: str = EVENT) -> None:
        self.rows, self.by, self.picked = rows, by, -1

    def hear(self, name: str, value: Any) -> None:
        """Take a clock, or a row that was clicked."""
        if name == "by" and value in (EVENT, PROCESSING):
            self.by = value
        elif name == "pick" and 0 <= int(value) < len(self.rows.x):
            self.picked = int(value)

    def sheet(self) -> Sheet:
        """Lay out the rows, and the windows by the clock that was chosen."""
        rows, found = self.rows, self.rows.windows(self.by)
        same = int((rows.starts(EVENT) == rows.starts(PROCESSING)).sum())
        number, alike = len(rows.x), "No row lies" if not same else f"{plural(same, 'row')} of these lie"
        title = f"By {self._name(self.by)}, {number:,} rows lie in {len(found)} windows of {self._size()}."
        lead = (
            f"{alike} in the same window by either clock. A row on the dashed line would be heard of the moment it "
            "happens; its height above the line is how long nobody knew. Click one."
        )
        options = tuple(zip((EVENT, PROCESSING), rows.names, strict=True))
        parts = (Choice("by", "windows by", options, self.by), self._figure(found), Words(self._told(), "ink"))
        return Sheet(title, parts, f"{title} {lead}", lead)

    def _name(self, by: str) -> str:
        return self.rows.names[by != EVENT]

    def _size(self) -> str:
        return spell(int(self.rows.size * MILLISECOND))

    def _told(self) -> str:
        if self.picked < 0:
            return "The same rows, cut in two ways: each answers another question."
        n, zone = self.picked, self.rows.zone
        cut = " and ".join(
            f"by {self._name(by)} in the window of {spell_clock(float(self.rows.starts(by)[n]), zone, _DAY)}"
            for by in (EVENT, PROCESSING)
        )
        return f"{self.rows.words[n]}: it counts {cut}."

    def _axes(self) -> tuple[Axis, Axis, Frame]:
        rows = self.rows
        low, high = (float(edge) for edge in (min(rows.x.min(), rows.y.min()), max(rows.x.max(), rows.y.max())))
        pad = max(0.02 * (high - low), rows.size / 4)
        wide = time_axis(f"event time: {rows.names[0]}", low - pad, high + pad, rows.zone, int(_WIDE))
        tall = time_axis(f"processing time: {rows.names[1]}", low - pad, high + pad, rows.zone, int(_HIGH))
        frame = Frame(_LEFT, _TOP, _WIDE, _HIGH, wide.start, wide.end, tall.start, tall.end)
        return wide, tall, frame

    def _figure(self, found: list[tuple[float, int]]) -> Figure:
        wide, tall, frame = self._axes()
        shapes = [shape for n, window in enumerate(found) for shape in self._window(n, window, frame)]
        shapes += [*across(frame, wide.ticks, wide.label), *_up(frame, tall)]
        low, high = max(frame.low_x, frame.low_y), min(frame.high_x, frame.high_y)
        shapes.append(line([frame.at((low, low)), frame.at((high, high))], "muted", 1, "4 4"))
        for n, (x, y) in enumerate(zip(self.rows.x.tolist(), self.rows.y.tolist(), strict=True)):
            picked = n == self.picked
            looks: dict[str, Any] = {"tip": self.rows.words[n], "pick": str(n), "id": f"row {n}"}
            shapes.append(
                dot(*frame.at((x, y)), 6 if picked else 3.6, "ontime", "ink" if picked else "ground", **looks)
            )
        clock = [(spell_clock(start, self.rows.zone, _DAY), rows) for start, rows in found[:200]]
        behind = table(f"Windows by {self._name(self.by)}", ("window", "rows"), clock)
        return Figure(f"{len(found)} windows by {self._name(self.by)}", int(frame.bottom + 54), tuple(shapes), behind)

    def _window(self, n: int, window: tuple[float, int], frame: Frame) -> Iterator[Shape]:
        start, rows = window
        end = start + self.rows.size
        span = "–".join(spell_clock(edge, self.rows.zone, _DAY) for edge in (start, end))
        looks: dict[str, Any] = {
            "alpha": 0.16 if n % 2 else 0.08,
            "tip": f"{span}: {plural(rows, 'row')}",
            "id": f"window {n}",
        }
        if self.by == EVENT:
            left, right = max(frame.x(start), frame.left), min(frame.x(end), frame.right)
            yield rect(left, frame.top, right - left, frame.height, "ontime", **looks)
            yield text((left + right) / 2, frame.top - 8, f"{rows}", "ontime_text", 12, anchor="middle", bold=True)
        else:
            top, foot = max(frame.y(end), frame.top), min(frame.y(start), frame.bottom)
            yield rect(frame.left, top, frame.width, foot - top, "second", **looks)
            yield text(frame.right + 8, (top + foot) / 2 + 4, f"{rows}", "second_text", 12, bold=True)


def _up(frame: Frame, axis: Axis) -> Iterator[Shape]:
    yield line([(frame.left, frame.top), (frame.left, frame.bottom)], "faint", 1)
    for at, words in axis.ticks:
        if frame.low_y <= at <= frame.high_y:
            yield text(frame.left - 8, frame.y(at) + 4, words, anchor="end")
    yield text(frame.left - 66, frame.top + frame.height / 2, axis.label, size=13, anchor="middle", turn=-90)


def between(rows: Any, event: str, processing: str, size: Duration) -> Between:
    """Return what a user asked to see, in milliseconds; rows without one of the times are left out."""
    frame = native_rows(rows, event)
    for name in (event, processing):
        if name not in frame.columns:
            raise column_not_found("clocks", name, frame.columns)
    x, y = instants(frame, event), instants(frame, processing)
    there = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[:MOST]
    if not len(there):
        raise DataError(
            f"clocks: no row has both {event!r} and {processing!r} as datetimes; name two columns of times."
        )
    words = tuple(_words(row, (event, processing)) for row in frame[there].iter_rows(named=True))
    length = duration(size, "clocks") / MILLISECOND
    return Between(x[there], y[there], words, (event, processing), length, zone_of(event, [frame]))


def _words(row: dict[str, Any], times: tuple[str, str]) -> str:
    """Return the first column that is no time, and both times."""
    named = next((str(value) for name, value in row.items() if name not in times and isinstance(value, str)), "a row")
    return f"{named}, {times[0]} {row[times[0]]:%H:%M}, {times[1]} {row[times[1]]:%H:%M}"
