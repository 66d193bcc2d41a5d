"""bars: what a query gives out as bars, live."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from streamnb.time import MILLISECOND
from streamnb.views.chart import Frame
from streamnb.views.series import ROLES, Chart, Dot, Series, ground
from streamnb.views.shapes import Shape, rect


class Bars(Chart):
    """One bar a row: its place across, its height, its colour."""

    verb: ClassVar[str] = "bars"
    joins: ClassVar[str] = "by"
    apart: ClassVar[str] = " and "
    mark: ClassVar[str] = "bar"
    most: ClassVar[int] = 60
    takes_names: ClassVar[bool] = True

    def shapes(self, series: Series) -> list[Shape]:
        places = sorted({dot.x for dot in series.dots})
        slot = self._slot(places, series)
        shift = slot / 2 if self.x == "window_start" else 0.0
        frame, shapes = ground(series, places[0] + shift, places[-1] + shift, self.x, pad=slot * 0.55)
        return shapes + [_bar(dot, frame, slot, shift, max(len(series.names), 1)) for dot in series.dots]

    def _slot(self, places: list[float], series: Series) -> float:
        """Return the room of one place: a window's, else what lies between the two that are closest."""
        window = None if self.query is None else self.query.outline.window
        if window is not None and self.x == "window_start":
            return window.slide / MILLISECOND
        return min((b - a for a, b in pairwise(places)), default=60_000.0 if series.is_time else 1.0)


def _bar(dot: Dot, frame: Frame, slot: float, shift: float, lines: int) -> Shape:
    wide = (frame.x(slot) - frame.x(0)) * 0.84
    each = max(wide / lines, 1.0)
    left = frame.x(dot.x + shift) - wide / 2 + each * dot.series
    top, bottom = sorted((frame.y(dot.y), frame.y(0)))
    role = ROLES[dot.series]
    looks = {"line": role, "stroke": 1.5} if dot.final is False else {"fill": role}
    inner = max(each - 1.5, 1.0)
    tip = dot.label + ("" if dot.final is None else ", final" if dot.final else ", provisional")
    return rect(left, top, inner, bottom - top, tip=tip, group=str(dot.series), r=1.5, **looks)
