"""lines: what a query gives out as lines over time or another number, live."""

from __future__ import annotations

from typing import ClassVar

from streamnb.views.chart import Frame
from streamnb.views.series import ROLES, Chart, Dot, Series, ground
from streamnb.views.shapes import Shape, dot, line

_DASHES = (None, "7 4", "2 3", "9 3 2 3", "4 2", "1 4")
_MOST_MARKED = 150


class Lines(Chart):
    """One point a row, joined in the order of their places."""

    verb: ClassVar[str] = "line"
    joins: ClassVar[str] = "over"
    apart: ClassVar[str] = ", by "
    mark: ClassVar[str] = "point"
    most: ClassVar[int] = 400
    takes_names: ClassVar[bool] = False

    def shapes(self, series: Series) -> list[Shape]:
        places = [dot.x for dot in series.dots]
        low, high = min(places), max(places)
        frame, shapes = ground(series, low, high, self.x, pad=(high - low) * 0.02 or 1.0)
        for number in range(max(len(series.names), 1)):
            dots = sorted((d for d in series.dots if d.series == number), key=lambda d: d.x)
            shapes += _line(dots, frame, number, marked=len(series.dots) <= _MOST_MARKED)
        return shapes


def _line(dots: list[Dot], frame: Frame, number: int, *, marked: bool) -> list[Shape]:
    """Draw one line; where points are few each is marked, hollow while it is provisional."""
    role, points = ROLES[number], [(frame.x(d.x), frame.y(d.y)) for d in dots]
    shapes = [line(points, role, 2, _DASHES[number], group=str(number))] if len(points) > 1 else []
    if not marked and len(points) > 1:
        return shapes
    for d, (x, y) in zip(dots, points, strict=True):
        state = "" if d.final is None else ", final" if d.final else ", provisional"
        fill = "ground" if d.final is False else role
        shapes.append(dot(x, y, 3.6, fill, role, stroke=1.6, tip=d.label + state, group=str(number)))
    return shapes
