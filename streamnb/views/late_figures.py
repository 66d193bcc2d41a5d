"""The two figures of a late row: the ruler of event time it was judged on, and the life of its window."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

from streamnb.views.chart import Frame, across, of_time, upward
from streamnb.views.controls import short_duration
from streamnb.views.labels import box_of
from streamnb.views.late_rows import Case, Life
from streamnb.views.plane_axis import Axis, spell_clock, time_axis
from streamnb.views.shapes import Figure, Shape, cross, dot, line, rect, table, text

_LEFT, _WIDE = 24, 700
_NEWEST, _ROW, _NEIGHBOUR, _BOTTOM = 58, 124, 206, 252


def ruler_figure(case: Case, zone: str | None) -> Figure:
    """Draw where the watermark stood, who had set it, and where the row and its window lay."""
    frame, axis = _ruler(case, zone)
    shapes: list[Shape] = []
    if case.watermark is not None:
        shapes += _closed_side(case, frame, zone)
    shapes += across(frame, axis.ticks, axis.label)
    shapes += _row(case, frame, zone)
    if case.neighbour:
        shapes += _neighbour(case, frame, zone)
    rows = [(what, spell_clock(at, zone, 60_000)) for what, at in _places(case)]
    return Figure(_said(case, zone), 298, tuple(shapes), table("The ruler", ("what", "event time"), rows))


def _places(case: Case) -> list[tuple[str, float]]:
    found = [(case.name, case.x)]
    found += list(zip(("window start", "window end"), case.window, strict=True)) if case.window else []
    found += [("watermark", case.watermark)] if case.watermark is not None else []
    found += [(f"newest row, {case.newest[1]}", case.newest[0])] if case.newest else []
    return found + ([(f"counted neighbour, {case.neighbour[1]}", case.neighbour[0])] if case.neighbour else [])


def _said(case: Case, zone: str | None) -> str:
    return "; ".join(f"{what} at {spell_clock(at, zone, 60_000)}" for what, at in _places(case))


def _ruler(case: Case, zone: str | None) -> tuple[Frame, Axis]:
    places = [at for _, at in _places(case)]
    if case.neighbour and case.neighbour[2]:
        places += case.neighbour[2]
    low, high = min(places), max(places)
    pad = 0.06 * (high - low) or 60_000
    axis = time_axis("event time", low - pad, high + 2 * pad, zone, _WIDE)
    return of_time(axis, _LEFT, 20, _WIDE, _BOTTOM - 20), axis


def _closed_side(case: Case, frame: Frame, zone: str | None) -> list[Shape]:
    assert case.watermark is not None  # noqa: S101  asked by ruler_figure
    x = frame.x(case.watermark)
    words = f"watermark {spell_clock(case.watermark, zone, 4 * 3.6e6)}"
    right = x < frame.left + 0.7 * frame.width
    shapes = [
        rect(frame.left, frame.top, x - frame.left, frame.height, "strip"),
        line([(x, 8), (x, frame.bottom)], "watermark", 3, id="watermark"),
        text(x + (8 if right else -8), 20, words, "watermark_text", 13, bold=True, anchor="start" if right else "end"),
    ]
    if case.newest and case.delay is not None:
        at, name = frame.x(case.newest[0]), case.newest[1]
        length = short_duration(dt.timedelta(milliseconds=case.delay))
        shapes += [
            line([(x + 4, _NEWEST), (at - 8, _NEWEST)], "watermark", 1.8),
            line([(x + 12, _NEWEST - 5), (x + 4, _NEWEST), (x + 12, _NEWEST + 5)], "watermark", 1.8),
            dot(at, _NEWEST, 5, "ontime", "ground", id="newest"),
            _delayed(x, at, f"{length} delay"),
            _clear_of(x, (at + 4, _NEWEST + 20), f"{name}, the newest heard of", frame),
        ]
    return shapes


def _delayed(x: float, at: float, words: str) -> Shape:
    """Write the length of the delay over its arrow, or behind the newest row where the arrow is short."""
    looks: dict[str, Any] = {"bold": True, "halo": True}
    over = text((x + at) / 2, _NEWEST - 7, words, "watermark_text", 13, anchor="middle", **looks)
    left, _, right, _ = box_of(over)
    fits = x + 4 < left and right < at - 4
    return over if fits else text(at + 10, _NEWEST + 5, words, "watermark_text", 13, **looks)


def _clear_of(x: float, at: tuple[float, float], words: str, frame: Frame) -> Shape:
    """Write words that end at a place, or begin there, or stand beside a line that they would cross."""
    anchors = ((at[0], "end"), (at[0], "start"), (x + 8, "start"), (x - 8, "end"))
    ways = [text(begin, at[1], words, size=12, anchor=anchor) for begin, anchor in anchors]
    boxes = zip(ways, map(box_of, ways), strict=True)
    last = frame.right + 20
    fits = (way for way, (left, _, right, _) in boxes if x < left < right <= last or 0 < left < right < x)
    return next(fits, {**ways[0], "halo": True})


def _brief(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def _row(case: Case, frame: Frame, zone: str | None) -> list[Shape]:
    role = "dropped" if case.dropped else "ontime"
    shapes = _box(case.window, frame, _ROW, role, hatch=case.dropped)
    x = frame.x(case.x)
    shapes.append(cross(x, _ROW + 18, 5, width=3) if case.dropped else dot(x, _ROW + 18, 5, "ontime", "ground"))
    right = max(frame.x(case.ends), x, frame.x(case.watermark) if case.watermark is not None else x) + 14
    fate = "dropped" if case.dropped else "counted"
    what = f"{_brief(case.name)}, {spell_clock(case.x, zone, 4 * 3.6e6)}: {fate}"
    end = spell_clock(case.ends, zone, 4 * 3.6e6)
    ended = "before" if case.dropped else "after"
    why = f"Its window ends {end}, {ended} the watermark." if case.window else f"It lies {ended} the watermark."
    left = max(frame.x(case.ends), x) + 14
    room = (frame.x(case.watermark) if case.watermark is not None else frame.right) - left
    return shapes + _beside(right, _ROW, (what, why), f"{role}_text", frame, between=(left, room))


def _neighbour(case: Case, frame: Frame, zone: str | None) -> list[Shape]:
    assert case.neighbour is not None  # noqa: S101  asked by ruler_figure
    at, name, window = case.neighbour
    shapes = [
        *_box(window, frame, _NEIGHBOUR - 10, "ontime", hatch=False),
        dot(frame.x(at), _NEIGHBOUR + 8, 5, "ontime", "ground"),
    ]
    mark = frame.x(case.watermark) if case.watermark is not None else 0
    right = max(frame.x(window[1] if window else at), frame.x(at), mark) + 14
    what = f"{_brief(name)}, {spell_clock(at, zone, 4 * 3.6e6)}: counted"
    older = case.watermark is not None and at <= case.watermark
    until = f"its window is open until {spell_clock(window[1], zone, 4 * 3.6e6)}." if window else "it is newer."
    why = f"Older than the watermark too, but {until}" if older else f"{until[0].upper()}{until[1:]}"
    return shapes + _beside(right, _NEIGHBOUR - 10, (what, why), "ontime_text", frame)


def _box(window: tuple[float, float] | None, frame: Frame, top: float, role: str, *, hatch: bool) -> list[Shape]:
    if window is None:
        return []
    left, right = (frame.x(edge) for edge in window)
    return [
        rect(
            left, top, right - left, 36, None, line=role, stroke=1.6, hatch=role if hatch else None, id=f"window {top}"
        )
    ]


def _beside(
    x: float, top: float, words: tuple[str, str], role: str, frame: Frame, *, between: tuple[float, float] = (0.0, 0.0)
) -> list[Shape]:
    """Write two lines right of a box and of the watermark; else ``between`` them, where there is room; else above."""

    def at(x: float, y: float, anchor: str) -> list[Shape]:
        return [
            text(x, y, words[0], role, 13.5, bold=True, anchor=anchor, halo=True),
            text(x, y + 17, words[1], "muted", 12.5, anchor=anchor, halo=True),
        ]

    beside, inside = at(x, top + 14, "start"), at(between[0], top + 14, "start")
    if max(right for _, _, right, _ in map(box_of, beside)) <= frame.right + 30:
        return beside
    if max(right for _, _, right, _ in map(box_of, inside)) <= sum(between):
        return inside
    return at(frame.right, top - 22, "end")


def life_figure(case: Case, zone: str | None) -> Figure:
    """Draw what the row's window held after each batch, when it was closed, and the rows that came after that."""
    times = [life.time for life in case.life] + [time for time, _ in case.crosses]
    low, high = min(times), max(times)
    step = _batch_length(case)
    axis = time_axis("processing time", low - step, high + max(3 * step, 0.2 * (high - low)), zone, _WIDE)
    most = max(life.value for life in case.life)
    top = most + max(1.0, min(len(case.crosses), 6) * most / 10)
    frame = Frame(60, 46, 660, 140, axis.start, axis.end, 0, top)
    shapes: list[Shape] = [*upward(frame, 3), *across(frame, axis.ticks, axis.label)]
    shapes.append(text(2, 14, "The life of its window: what state held after each batch", "ink", 13, bold=True))
    width = max(3.0, frame.width * step / (axis.end - axis.start) - 3)
    before = 0.0
    for life in case.life:
        x = frame.x(life.time) - width
        shapes += _bar(frame, (x, width), before, life, zone)
        before = life.value
    if case.closed:
        x = frame.x(case.closed[1])
        shapes.append(line([(x, 38), (x, frame.bottom)], "ink", 2))
        words = f"{spell_clock(case.closed[1], zone, 4 * 3.6e6)} final {before:g}, state freed"
        anchor = "end" if x > 300 else "start"
        shapes.append(
            text(x - 6 if anchor == "end" else x + 6, 36, words, "ink", 12.5, bold=True, anchor=anchor, halo=True)
        )
    shapes += _crosses(case, frame)
    rows = [(spell_clock(life.time, zone, 4 * 3.6e6), life.value) for life in case.life]
    return Figure(
        f"What the window of {case.name} held, batch by batch",
        236,
        tuple(shapes),
        table("The life of its window", ("processing time", "value"), rows),
    )


def _named(at: tuple[float, float], name: str, frame: Frame, *, bold: bool) -> Shape:
    """Write the name of a cross right of it, as much of it as the figure has room for."""
    x = at[0] + 9
    room = max(4, int((frame.right + 36 - x) / (12 * 0.6)))
    words = name if len(name) <= room else f"{name[: room - 1]}…"
    return text(x, at[1], words, "dropped_text", 12, bold=bold, tip=name)


def _batch_length(case: Case) -> float:
    times = sorted({life.time for life in case.life})
    gaps = [b - a for a, b in pairwise(times)]
    return min(gaps) if gaps else 60_000.0


def _bar(frame: Frame, place: tuple[float, float], before: float, life: Life, zone: str | None) -> list[Shape]:
    (x, width), value, time = place, life.value, life.time
    tip = f"{spell_clock(time, zone, 4 * 3.6e6)}: {value:g}"
    low, high = frame.y(min(before, value)), frame.y(value)
    shapes = [rect(x, high, width, frame.bottom - high, "ontime", alpha=0.3, tip=tip)]
    if value > before:
        shapes.append(rect(x, high, width, low - high, "ontime", tip=tip))
    return shapes


def _crosses(case: Case, frame: Frame) -> list[Shape]:
    shapes: list[Shape] = []
    after = [(time, name) for time, name in case.crosses if case.closed is None or time >= case.closed[1]]
    for n, (time, name) in enumerate(after[:8]):
        x, y = frame.x(time), frame.bottom - 14 - 15 * n
        own = name == case.name
        shapes += [cross(x, y, 4.5 if own else 3.5), _named((x, y + 4), name, frame, bold=own)]
    if len(after) > 8:
        shapes.append(text(frame.right, frame.top + 8, f"and {len(after) - 8:,} more", "muted", 12, anchor="end"))
    return shapes
