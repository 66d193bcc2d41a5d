"""Load: latency against throughput by the size of a batch, and a queue in front of a query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.views.chart import Frame, across, big, round_ticks, upward
from streamnb.views.shapes import Choice, Figure, Part, Point, Shape, Sheet, Slider, area, dot, line, rect, table, text

_CURVE, _QUEUE = 62.0, 420.0
STRUCTURED, DSTREAM = "one bigger batch", "a queue of batches"


@dataclass(frozen=True)
class Size:
    """What batches of one size take, in seconds: the median, and what one in ten exceeds."""

    rows: int
    median: float
    slow: float


@dataclass(frozen=True)
class Run:
    """One batch behind the queue: when it began, how long it took, its rows, and how many were left waiting."""

    start: float
    took: float
    rows: int
    waiting: int


@dataclass(frozen=True)
class Pace:
    """What comes, and how it is taken: rows a second, ``burst`` times as many from second to second, trigger, limit."""

    rate: float
    burst: float
    during: tuple[float, float]
    seconds: float
    trigger: float
    limit: int | None = None
    model: str = STRUCTURED


def load_sheet(
    sizes: Sequence[Size], runs: Sequence[Run], pace: Pace, *, p99: float, emptied: float | None, where: str
) -> Sheet:
    """Lay out the curve on the left, the queue on the right; ``where`` says which machine this is."""
    longest = max((run.took for run in runs), default=0.0)
    end = (
        "while rows come, the queue never empties"
        if emptied is None
        else f"{emptied:.1f} s after the burst the queue is short"
    )
    title = f"99 % of rows are done within {_ms(p99)}" + (f"; {end}." if pace.burst > 1 or emptied is None else ".")
    burst = f", {pace.burst:g} times as many from second {pace.during[0]:g} to {pace.during[1]:g}"
    lead = (
        f"{where} {big(pace.rate)} rows a second come{burst if pace.burst > 1 else ''}. "
        f"A trigger every {_ms(pace.trigger)}; the longest batch takes {_ms(longest)}."
    )
    most = max((run.waiting for run in runs), default=0)
    spoken = f"{title} At most {most:,} rows are left waiting by a batch."
    return Sheet(title, (*_controls(pace), _figure(sizes, runs, pace)), spoken, lead)


def _ms(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def _figure(sizes: Sequence[Size], runs: Sequence[Run], pace: Pace) -> Figure:
    drawn = [*_latency(sizes), *_throughput(sizes), *_coming(runs, pace), *_waiting(runs, pace), *_batches(runs, pace)]
    rows = [(n, round(run.start, 2), run.rows, round(1000 * run.took, 1), run.waiting) for n, run in enumerate(runs)]
    heads = ("batch", "start, s", "rows", "takes, ms", "left waiting")
    note = "" if len(rows) <= 300 else f"The first 300 of {len(rows):,} batches."
    behind = table("Batches behind the queue", heads, rows[:300], note)
    return Figure("Latency and throughput by size of batch, and the queue over time", 420, tuple(drawn), behind)


# -- left: the curve


def _sized(sizes: Sequence[Size], top: float, height: float, high: float) -> Frame:
    last = math.log10(max(size.rows for size in sizes))
    return Frame(_CURVE, top, 250, height, -0.15, max(last, 1) + 0.15, 0, high, log=True)


def _decades(frame: Frame) -> list[tuple[float, str]]:
    return [(float(n), big(10.0**n)) for n in range(int(frame.high_x) + 1)]


def _latency(sizes: Sequence[Size]) -> list[Shape]:
    high = 1000 * max(size.slow for size in sizes) * 1.3
    frame = _sized(sizes, 40, 130, high)
    middle = [(math.log10(size.rows), 1000 * size.median) for size in sizes]
    upper = [(math.log10(size.rows), 1000 * size.slow) for size in sizes]
    band = [frame.at(p) for p in [*middle, *reversed(upper)]]
    drawn = [text(2, 20, "milliseconds a batch", "ink", 13, bold=True), *upward(frame), *across(frame, _decades(frame))]
    drawn += [area(band, "ontime", 0.16), line(map(frame.at, middle), "ontime", 2)]
    for size, point in zip(sizes, middle, strict=True):
        tip = f"{size.rows:,} rows: median {1000 * size.median:.2f} ms, one in ten over {1000 * size.slow:.2f} ms"
        drawn.append(dot(*frame.at(point), 4, "ontime", "ground", tip=tip))
    return drawn


def _throughput(sizes: Sequence[Size]) -> list[Shape]:
    speeds = [(math.log10(size.rows), size.rows / size.median) for size in sizes]
    frame = _sized(sizes, 244, 116, max(speed for _, speed in speeds) * 1.5)
    drawn = [text(2, 224, "rows a second", "ink", 13, bold=True), *upward(frame)]
    drawn += [*across(frame, _decades(frame), "rows a batch"), line(map(frame.at, speeds), "second", 2)]
    for size, point in zip(sizes, speeds, strict=True):
        tip = f"{size.rows:,} rows a batch: {point[1]:,.0f} rows a second"
        drawn.append(dot(*frame.at(point), 4, "second", "ground", tip=tip))
    return drawn


# -- right: the queue


def _timed(runs: Sequence[Run], pace: Pace, top: float, height: float, high: float) -> Frame:
    end = max(pace.seconds, max((run.start + run.took for run in runs), default=0.0))
    return Frame(_QUEUE, top, 330, height, 0, end, 0, high or 1.0)


def _seconds(frame: Frame) -> list[tuple[float, str]]:
    return [(at, f"{at:g}") for at in round_ticks(0, frame.high_x, 6)]


def _coming(runs: Sequence[Run], pace: Pace) -> list[Shape]:
    frame = _timed(runs, pace, 40, 50, pace.rate * pace.burst * 1.2)
    begin, end = pace.during
    edges = [0, begin, begin, end, end, pace.seconds, pace.seconds, frame.high_x]
    levels = [pace.rate, pace.rate, *[pace.rate * pace.burst] * 2, pace.rate, pace.rate, 0, 0]
    points = [frame.at(point) for point in zip(edges, levels, strict=True)]
    drawn = [text(_QUEUE - 48, 20, "rows that come, a second", "ink", 13, bold=True), *upward(frame, 2)]
    if frame.high_x > 1.2 * pace.seconds:
        drawn.append(text(frame.x(pace.seconds) + 6, frame.bottom - 6, "no more rows come", size=12))
    return [*drawn, *across(frame, []), line(points, "ink", 1.6)]


def _waiting(runs: Sequence[Run], pace: Pace) -> list[Shape]:
    """Draw the level of the queue: it rises by what comes and falls when a batch takes its rows."""
    levels = _levels(runs)
    frame = _timed(runs, pace, 138, 90, max((level for _, level in levels), default=0.0) * 1.15)
    most = max((level for _, level in levels), default=0.0)
    points = [frame.at(point) for point in levels]
    closed = [*points, (points[-1][0], frame.bottom), (points[0][0], frame.bottom)] if points else []
    drawn = [text(_QUEUE - 48, 122, "rows that wait", "ink", 13, bold=True), *upward(frame, 3), *across(frame, [])]
    drawn.append(text(frame.right, 122, f"at most {big(most)}", "late_text", 12, anchor="end"))
    if points:
        drawn += [area(closed, "late", 0.3), line(points, "late", 1.6)]
    return drawn


def _levels(runs: Sequence[Run]) -> list[Point]:
    levels: list[Point] = [(0.0, 0.0)]
    for run in runs:
        levels += [(run.start, float(run.waiting + run.rows)), (run.start, float(run.waiting))]
    return levels


def _batches(runs: Sequence[Run], pace: Pace) -> list[Shape]:
    longest = max((run.took for run in runs), default=0.0)
    frame = _timed(runs, pace, 276, 84, 1000 * max(longest, pace.trigger) * 1.15)
    drawn = [text(_QUEUE - 48, 258, "milliseconds a batch", "ink", 13, bold=True), *upward(frame, 3)]
    drawn += across(frame, _seconds(frame), "seconds")
    for n, run in enumerate(runs):
        slow = run.took > pace.trigger
        left, right, top = frame.x(run.start), frame.x(run.start + run.took), frame.y(1000 * run.took)
        tip = f"batch {n}: {run.rows:,} rows, {1000 * run.took:.1f} ms; {run.waiting:,} left waiting"
        looks = {"hatch": "dropped", "line": "dropped", "stroke": 1} if slow else {}
        fill = None if slow else "ontime"
        drawn.append(rect(left, top, max(right - left - 0.5, 0.8), frame.bottom - top, fill, tip=tip, **looks))
    trigger = frame.y(1000 * pace.trigger)
    drawn.append(line([(frame.left, trigger), (frame.right, trigger)], "ink", 1, "4 3"))
    drawn.append(text(frame.right, trigger - 4, "trigger", "ink", 11, anchor="end", halo=True))
    return drawn


def _controls(pace: Pace) -> tuple[Part, ...]:
    limit = pace.limit or 0
    most = max(100_000, limit, round(pace.rate))
    return (
        Slider("rate", "rows a second", 100, max(10 * pace.rate, 1000), 100, pace.rate, big(pace.rate)),
        Slider("burst", "burst", 1, 10, 0.5, pace.burst, f"×{pace.burst:g}"),
        Slider("trigger", "trigger", 10, 2000, 10, 1000 * pace.trigger, _ms(pace.trigger)),
        Slider("limit", "limit", 0, most, 500, limit, big(limit) + " rows" if limit else "none"),
        Choice("model", "a slow batch makes", ((STRUCTURED, STRUCTURED), (DSTREAM, DSTREAM)), pace.model),
    )
