"""Score: how well a model does while it learns, line by line, and the labels that nobody knows yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.views.chart import Frame, across, of_time, upward
from streamnb.views.plane_axis import Axis, spell_clock, time_axis
from streamnb.views.shapes import Figure, Point, Shape, Sheet, area, line, rect, table, text

_LEFT, _WIDE = 62.0, 582.0
_ROLES = ("late", "ontime", "second", "watermark")
_DASHES = ("6 3", None, "2 3", "8 3 2 3")
_POINTS = 400


@dataclass(frozen=True)
class Line:
    """One way of learning: its name, the running log-loss as (milliseconds, loss), and the mean over all."""

    name: str
    points: tuple[Point, ...]
    mean: float


@dataclass(frozen=True)
class Known:
    """How many labels are under way, as (milliseconds, number), and a time span to mark with its name."""

    under_way: tuple[Point, ...]
    band: tuple[float, float, str] | None = None


def score_sheet(lines: Sequence[Line], known: Known, over: int) -> Sheet:
    """Lay out a line a way of learning over one axis of time, and the labels under way below."""
    best = min(lines, key=lambda one: one.mean)
    title = ", ".join(f"{one.name} {one.mean:.3f}" for one in lines)
    title = f"Mean log-loss: {title}."
    lead = (
        f"Each line is the mean log-loss of the last {over} predictions, at the time they were made; lower is better, "
        "0.693 is a coin. Below: predictions whose truth nobody knows yet."
    )
    spoken = f"{title} Least is {best.name}."
    return Sheet(title, (_figure(lines, known),), spoken, lead)


def _figure(lines: Sequence[Line], known: Known) -> Figure:
    times = [at for one in lines for at, _ in one.points] or [0.0, 1.0]
    axis = time_axis("when the prediction was made", min(times), max(times), None, int(_WIDE))
    drawn = [*_losses(lines, axis, known), *_under_way(known, axis)]
    behind = table("Running log-loss", ("time", *(one.name for one in lines)), _rows(lines))
    return Figure("Running log-loss, and labels under way", 452, tuple(drawn), behind)


def _rows(lines: Sequence[Line]) -> list[tuple[object, ...]]:
    """Return about forty places of all lines, which have the same times."""
    number = min((len(one.points) for one in lines), default=0)
    places = range(0, number, max(1, number // 40))
    span = 4 * 8.64e7
    return [
        (spell_clock(lines[0].points[n][0], None, span), *(round(one.points[n][1], 3) for one in lines)) for n in places
    ]


def _losses(lines: Sequence[Line], axis: Axis, known: Known) -> list[Shape]:
    high = max((loss for one in lines for _, loss in one.points), default=1.0)
    frame = _over(axis, 40, 240, high * 1.08)
    drawn: list[Shape] = [*_band(known, frame, named=True), text(2, 20, "log-loss", "ink", 13, bold=True)]
    drawn += [*upward(frame, 5), *across(frame, [])]
    ends = sorted(((frame.y(one.points[-1][1]), n) for n, one in enumerate(lines) if one.points), reverse=True)
    heights: list[float] = []
    for y, n in ends:
        heights.append(min(y, heights[-1] - 16) if heights else y)
        role = _ROLES[n % len(_ROLES)]
        label = f"{lines[n].name} {lines[n].mean:.3f}"
        drawn.append(text(frame.right + 6, heights[-1] + 4, label, f"{role}_text", 12, bold=True))
    for n, one in enumerate(lines):
        tip = f"{one.name}: mean {one.mean:.3f}"
        points = [frame.at(point) for point in _thinned(one.points)]
        drawn.append(line(points, _ROLES[n % len(_ROLES)], 2, _DASHES[n % len(_DASHES)], tip=tip))
    return drawn


def _under_way(known: Known, axis: Axis) -> list[Shape]:
    most = max((number for _, number in known.under_way), default=0.0)
    frame = _over(axis, 326, 76, (most or 1) * 1.15)
    inside = [point for point in known.under_way if frame.low_x <= point[0] <= frame.high_x]
    points = [frame.at(point) for point in _thinned(inside)]
    drawn = [*_band(known, frame, named=False), text(2, 310, "labels under way", "ink", 13, bold=True)]
    drawn += [*upward(frame, 3), *across(frame, axis.ticks, axis.label)]
    if points:
        closed = [*points, (points[-1][0], frame.bottom), (points[0][0], frame.bottom)]
        drawn += [area(closed, "late", 0.3), line(points, "late", 1.4, tip=f"at most {most:.0f}")]
    return drawn


def _over(axis: Axis, top: float, height: float, high: float) -> Frame:
    plain = of_time(axis, _LEFT, top, _WIDE, height)
    return Frame(_LEFT, top, _WIDE, height, plain.low_x, plain.high_x, 0, high)


def _band(known: Known, frame: Frame, *, named: bool) -> list[Shape]:
    if known.band is None:
        return []
    start, end, name = known.band
    left, right = max(frame.x(start), frame.left), min(frame.x(end), frame.right)
    drawn = [rect(left, frame.top, right - left, frame.height, "faint", alpha=0.5, tip=name)]
    return [*drawn, text(left + 5, frame.top + 14, name, "muted", 12, italic=True)] if named else drawn


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    return points[:: max(1, len(points) // _POINTS)]
