"""Chart: a frame with two scales, its axes as shapes, and numbers as a reader wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.views.plane_axis import Axis
from streamnb.views.shapes import Point, Shape, line, text


@dataclass(frozen=True)
class Frame:
    """A ground in pixels, over ranges of two numbers; ``log`` makes the upward one logarithmic from 1."""

    left: float
    top: float
    width: float
    height: float
    low_x: float
    high_x: float
    low_y: float = 0.0
    high_y: float = 1.0
    log: bool = False

    @property
    def right(self) -> float:
        """Return the last pixel across."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Return the lowest pixel."""
        return self.top + self.height

    def x(self, value: float) -> float:
        """Return the pixel of a number across."""
        return self.left + self.width * (value - self.low_x) / ((self.high_x - self.low_x) or 1)

    def y(self, value: float) -> float:
        """Return the pixel of a number upward."""
        low, high, at = self.low_y, self.high_y, value
        if self.log:
            low, high, at = 0.0, math.log10(max(high, 10)), math.log10(max(value, 1))
        return self.bottom - self.height * (at - low) / ((high - low) or 1)

    def at(self, point: Point) -> Point:
        """Return the pixels of a point."""
        return self.x(point[0]), self.y(point[1])

    def x_of(self, pixel: float) -> float:
        """Return the number at a pixel across."""
        return self.low_x + (pixel - self.left) / self.width * (self.high_x - self.low_x)

    def y_of(self, pixel: float) -> float:
        """Return the number at a pixel upward, where the scale is not logarithmic."""
        return self.low_y + (self.bottom - pixel) / self.height * (self.high_y - self.low_y)


def upward(frame: Frame, most: int = 4, unit: str = "") -> list[Shape]:
    """Return the ticks and faint lines of the upward axis."""
    shapes: list[Shape] = []
    for value in decades(frame.high_y) if frame.log else round_ticks(frame.low_y, frame.high_y, most):
        y = frame.y(value)
        shapes.append(line([(frame.left, y), (frame.right, y)], "faint", 1))
        shapes.append(text(frame.left - 8, y + 4, big(value) + unit, anchor="end"))
    return shapes


def across(frame: Frame, ticks: Sequence[tuple[float, str]], label: str = "") -> list[Shape]:
    """Return the line, ticks and label of the axis across."""
    shapes = [line([(frame.left, frame.bottom), (frame.right, frame.bottom)], "faint", 1)]
    for at, words in ticks:
        x = frame.x(at)
        if frame.left - 1 <= x <= frame.right + 1:
            shapes.append(line([(x, frame.bottom), (x, frame.bottom + 5)], "faint", 1))
            shapes.append(text(x, frame.bottom + 19, words, anchor="middle"))
    if label:
        shapes.append(text(frame.left + frame.width / 2, frame.bottom + 40, label, size=13, anchor="middle"))
    return shapes


def of_time(axis: Axis, left: float, top: float, width: float, height: float) -> Frame:
    """Return a frame over a time axis, with nothing upward."""
    return Frame(left, top, width, height, axis.start, axis.end)


def batch_ticks(first: int, last: int, most: int = 8) -> list[tuple[float, str]]:
    """Return round batch ids from ``first`` to ``last``."""
    return [(value, f"{value:,.0f}") for value in round_ticks(first, last, most) if value == int(value)]


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most about ``most`` round numbers in a range."""
    if high <= low:
        return [low]
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(n * unit for n in (1, 2, 5, 10) if n * unit >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def decades(high: float) -> list[float]:
    """Return the powers of ten up to ``high``."""
    return [10.0**n for n in range(int(math.log10(max(high, 10))) + 1)]


def big(value: float) -> str:
    """Return a number in few letters: ``950``, ``12 k``, ``3.4 M``."""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if abs(value) >= limit:
            scaled = value / (1e3 if unit == " k" else limit)
            return f"{scaled:.3g}{unit}"
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 100 else f"{value:.3g}"


def byte_count(number: float) -> str:
    """Return a number of bytes: ``12 kB``."""
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit:
            return f"{number / limit:.3g} {unit}"
    return f"{number:.0f} B"


_UNITS = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"), (0.001, "milliseconds"))


def unit_of(seconds: float) -> tuple[float, str]:
    """Return the unit in which a duration is at least two: its seconds and its name."""
    return next(((unit, name) for unit, name in _UNITS if seconds >= 2 * unit), _UNITS[3])


def shares(frame: Frame, most: int = 5) -> list[Shape]:
    """Return the ticks and faint lines of an upward axis of shares, as percent."""
    shapes: list[Shape] = []
    for value in round_ticks(frame.low_y, 1.0, most):
        y = frame.y(value)
        shapes.append(line([(frame.left, y), (frame.right, y)], "faint", 1))
        shapes.append(text(frame.left - 8, y + 4, f"{100 * value:g} %", anchor="end"))
    return shapes
