"""The plane: event time across, processing time upward, as marks and words that any painter can put on a ground.

A query without an event time has one clock only; it stands across, and each batch is a stem as high as its rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from streamnb.progress import Outline, Playable, Trace
from streamnb.time import MILLISECOND
from streamnb.views.cursor import Picked
from streamnb.views.plane_axis import Axis, count_axis, spell_clock, time_axis
from streamnb.views.plane_place import CODE, Codes, Flags, Placed, tips_of
from streamnb.views.plane_place import FATES as WORD
from streamnb.views.plane_rows import (
    DROPPED,
    LATE,
    UPCOMING,
    Interval,
    Numbers,
    Reading,
    Scene,
    Story,
    last_start,
    story_of,
)
from streamnb.views.plane_sample import thinned
from streamnb.views.plane_words import FATES, caption, key, sampled, spoken, title

WIDTH, HEIGHT = 760, 660
FRAME = (90, 76, 596, 464)
"""Left, top, width and height of the ground inside the figure, in pixels."""

MOST_ROWS, MOST_WHILE_PLAYING = 2_000, 400
"""Rows drawn one by one; of more, a sample is drawn and every late one, up to as many again."""

MOST_AT_ONCE = 4
"""Batches read for one picture while the query plays."""

_LETTER = 8.2
_INSET = 0.04


@dataclass(frozen=True)
class Mark:
    """One row at (event time, arrival), its fate, its columns as words, and which row it is, once it has arrived."""

    x: float
    y: float
    fate: str
    tip: str
    row: Picked | None = None


@dataclass(frozen=True)
class Bar:
    """The final result of a window, at the height where it was emitted; ``text`` is empty where it would not fit."""

    left: float
    right: float
    y: float
    text: str
    tip: str


@dataclass(frozen=True)
class Note:
    """Words at a place; ``align`` is ``"left"``, ``"center"`` or ``"right"``, ``angle`` counts degrees upward."""

    x: float
    y: float
    text: str
    align: str = "center"
    angle: float = 0.0


Point = tuple[float, float]


@dataclass(frozen=True)
class PlaneLayout:
    """All that the plane shows after one batch; times are milliseconds since 1970 UTC, ``spoken`` needs no picture."""

    title: str
    caption: str
    key: tuple[tuple[str, str], ...]
    x: Axis
    y: Axis
    rows: tuple[Mark, ...] = ()
    strips: tuple[Point, ...] = ()
    stair: tuple[Point, ...] = ()
    closed: tuple[Point, ...] = ()
    watermark: Note | None = None
    now: Note | None = None
    bars: tuple[Bar, ...] = ()
    provisional: tuple[Note, ...] = ()
    diagonal: tuple[Point, ...] = ()
    no_delay: Note | None = None
    stems: tuple[Bar, ...] = ()
    spoken: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the layout as dictionaries, lists, numbers and words."""
        return asdict(self)


def plane(traces: Sequence[Trace], outline: Outline, upcoming: pl.DataFrame | None, cursor: int) -> PlaneLayout:
    """Lay out the plane after batch ``cursor`` of ``traces``; -1 is before the first.

    ``upcoming`` are the rows not read yet; None where the source cannot know them, and then the picture follows.
    """
    return lay_out(Story(outline).follow(traces), outline, upcoming, cursor)


def plane_of(query: Playable, cursor: int, most: int = MOST_ROWS, at_once: int | None = None) -> PlaneLayout:
    """Lay out the plane of a query; all pictures of it share what is read of its trace. See :func:`plane`.

    With ``at_once``, not more than so many batches are read for it; of others their rows follow, picture by picture.
    """
    return lay_out(story_of(query).follow(list(query.trace), at_once), query.outline, query.upcoming(), cursor, most)


def lay_out(
    readings: Sequence[Reading], outline: Outline, upcoming: pl.DataFrame | None, cursor: int, most: int = MOST_ROWS
) -> PlaneLayout:
    """Lay out the plane from batches already read, with ``most`` rows one by one; see :func:`plane`."""
    scene = Scene(readings, outline, upcoming, min(cursor, len(readings) - 1))
    if not scene.in_sight and not scene.waiting.rows.height:
        return _blank(scene)
    return _stems(scene) if outline.event_time is None else _plane(scene, most)


def _blank(scene: Scene) -> PlaneLayout:
    """Return the plane before anything is known: its axes have no times yet."""
    outline = scene.outline
    across, up = (f"event time: {outline.event_time}", "processing time")
    if outline.event_time is None:
        across, up = "processing time", "rows in the batch"
    x, y = Axis(across, 0.0, 1.0, ()), Axis(up, 0.0, 1.0, ())
    words = "No row has arrived; each will be a mark here."
    return PlaneLayout(title=title(scene), caption=words, key=(), spoken=spoken(scene, x, y), x=x, y=y)


def _plane(scene: Scene, most: int) -> PlaneLayout:
    x, y = _axes(scene)
    stair = _stair(scene.shown)
    rows, sample = _rows(scene, most)
    bars = _bars(scene, x)
    taken = _taken(rows, bars, y) if len(rows) <= _SPARSE else []
    diagonal, no_delay = _diagonal(x, y, taken)
    return PlaneLayout(
        title=title(scene), caption=caption(scene, sample), key=key(scene), spoken=spoken(scene, x, y), x=x, y=y,
        rows=rows, strips=_strips(scene, x), stair=stair, closed=_closed(stair, x) if scene.closes else (),
        watermark=_watermark(scene, x, y, taken), now=_now(scene, x, y), bars=bars,
        provisional=_provisional(scene, x), diagonal=diagonal, no_delay=no_delay,
    )  # fmt: skip


def _stems(scene: Scene) -> PlaneLayout:
    times = np.array([r.time for r in scene.in_sight])
    most = max((len(r.placed.x) for r in scene.in_sight), default=0)
    x = _axis("processing time", times, None, scene)
    return PlaneLayout(
        title=title(scene), caption=caption(scene, ""), key=(), spoken=spoken(scene, x, x),
        x=x, y=count_axis("rows in the batch", most),
        stems=tuple(Bar(r.time, r.time, float(len(r.placed.x)), "", _stem_tip(r, x)) for r in scene.shown),
    )  # fmt: skip


def _stem_tip(reading: Reading, x: Axis) -> str:
    return f"batch {reading.batch_id}, {spell_clock(reading.time, None, x.span)}\nrows: {len(reading.placed.x)}"


# Axes


def _axes(scene: Scene) -> tuple[Axis, Axis]:
    outline = scene.outline
    xs = np.concatenate([np.array([]), *(p.x for p, _ in scene.placed())])
    ys = np.concatenate([np.array([r.time for r in scene.in_sight]), *(p.y for p, _ in scene.placed())])
    arrival = f"processing time: {outline.arrival}" if outline.arrival else "processing time"
    x = _axis(f"event time: {outline.event_time}", _whole_windows(xs, scene), scene.x_zone, scene)
    return x, _axis(arrival, ys, scene.y_zone, scene, upward=True)


def _whole_windows(xs: Numbers, scene: Scene) -> Numbers:
    window, xs = scene.outline.window, xs[np.isfinite(xs)]
    if window is None or not len(xs) or scene.endless:
        return xs
    start = last_start(np.array([xs.min(), xs.max()]), window)
    return np.array([start[0], start[1] + window.slide / MILLISECOND])


def _axis(label: str, values: Numbers, zone: str | None, scene: Scene, *, upward: bool = False) -> Axis:
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    start, end = _range(low, high, scene)
    return time_axis(label, start, end, zone, FRAME[3] if upward else FRAME[2], upward=upward)


def _range(low: float, high: float, scene: Scene) -> Point:
    if high == low:
        window = scene.outline.window
        pad = window.size / MILLISECOND if window else 60_000.0
        return low - pad, high + pad
    return _roomy(low, high) if scene.endless else (low - 0.02 * (high - low), high + 0.05 * (high - low))


def _roomy(low: float, high: float) -> Point:
    """Return a range that grows in leaps, so that a picture without an end moves seldom."""
    span = 1_000.0 * 2 ** math.ceil(math.log2(max(1.1 * (high - low), 1.0) / 1_000))
    start = math.floor(low / (span / 8)) * (span / 8)
    return start, start + span * 1.125


# Rows


def _rows(scene: Scene, most: int) -> tuple[tuple[Mark, ...], str]:
    """Return the marks, and how many of all rows they are; late rows left out of the sample follow it."""
    placed = [rows for rows, _ in scene.placed()]
    ends = np.cumsum([len(rows.x) for rows in placed])
    own = [p.codes if arrived else np.full(len(p.x), CODE[UPCOMING]) for p, arrived in scene.placed()]
    codes = np.concatenate([np.array([], dtype=np.uint8), *own])
    seen = np.concatenate([np.array([], dtype=bool), *(np.isfinite(p.x) & np.isfinite(p.y) for p in placed)])
    drawn, every = thinned(seen, most)
    extra = np.zeros(len(codes), dtype=bool)
    for code in (CODE[LATE], CODE[DROPPED]):
        kept, _ = thinned(seen & (codes == code), most)
        extra |= kept & ~drawn
    sample: list[Mark] = []
    besides: list[Mark] = []
    names = [*(r.batch_id for r in scene.shown), *(None for _ in placed[len(scene.shown) :])]
    told = [np.flatnonzero((drawn | extra)[end - len(of_it) : end]) for of_it, end in zip(own, ends, strict=True)]
    shown = [n for n, which in enumerate(told) if len(which)]
    tips = tips_of([(placed[n], told[n]) for n in shown])
    for n, words in zip(shown, tips, strict=True):
        marks = _marks(placed[n], own[n][told[n]], told[n], words, names[n])
        for mark, is_extra in zip(marks, extra[ends[n] - len(own[n]) + told[n]], strict=True):
            (besides if is_extra else sample).append(mark)
    return (*sample, *besides), _sampled(scene, codes, seen, drawn | extra) if every > 1 or scene.left_out else ""


def _sampled(scene: Scene, codes: Codes, seen: Flags, drawn: Flags) -> str:
    gone = [reading.left_out for reading in scene.in_sight]
    left_out = {LATE: sum(g.late for g in gone), DROPPED: sum(g.dropped for g in gone)}
    every_of = {
        fate: _one_in(int((seen & (codes == CODE[fate])).sum()) + more, int((drawn & (codes == CODE[fate])).sum()))
        for fate, more in left_out.items()
    }
    return sampled(int(drawn.sum()), int(seen.sum()) + scene.left_out, every_of, scene.totals.unseen)


def _one_in(all_rows: int, drawn: int) -> int:
    return max(1, round(all_rows / drawn)) if drawn else 1


def _marks(
    rows: Placed, codes: Codes, which: np.ndarray[Any, Any], tips: Sequence[str], batch_id: int | None
) -> Iterable[Mark]:
    told = zip(which.tolist(), rows.x[which].tolist(), rows.y[which].tolist(), WORD[codes].tolist(), tips, strict=True)
    return [
        Mark(x, y, fate, f"{FATES[fate]}\n{tip}", None if batch_id is None else (batch_id, i))
        for i, x, y, fate, tip in told
    ]


# The watermark and now


def _stair(shown: Sequence[Reading]) -> tuple[Point, ...]:
    """Return the watermark's steps: it stands while a batch runs, and moves when the batch ends."""
    points: list[Point] = []
    for reading in shown:
        stops = (reading.before if points else None, reading.after)
        points += [(stop, reading.time) for stop in stops if stop is not None]
    return tuple(p for i, p in enumerate(points) if i == 0 or p != points[i - 1])


def _closed(stair: Sequence[Point], x: Axis) -> tuple[Point, ...]:
    if len(stair) < 2 or stair[0][1] == stair[-1][1]:
        return ()
    return ((x.start, stair[0][1]), *stair, (x.start, stair[-1][1]))


def _watermark(scene: Scene, x: Axis, y: Axis, taken: Sequence[Point]) -> Note | None:
    at = scene.last.after if scene.last else None
    if at is None:
        return None
    text = f"watermark {spell_clock(at, scene.x_zone, x.span)}"
    if at < x.start:
        return Note(at, _clear(x.start, len(text) + 2, x, y, taken), f"◂ {text}", "left")
    if x.share(at) >= 0.75:
        return Note(at, y.start, text, "right")
    return Note(at, _clear(at, len(text), x, y, taken), text, "left")


def _clear(left: float, letters: int, x: Axis, y: Axis, taken: Sequence[Point]) -> float:
    """Return the height, low or at the edge also high, at which words right of a place hide the fewest marks."""
    line, end = 22 * y.span / FRAME[3], left + (letters * _LETTER * 1.15 + 12) * x.span / FRAME[2]
    levels = [y.start + n * line for n in range(3)] + ([y.end - line] if left <= x.start else [])
    return min(levels, key=lambda low: sum(left <= px <= end and low <= py <= low + line for px, py in taken))


def _now(scene: Scene, x: Axis, y: Axis) -> Note | None:
    if scene.last is None:
        return None
    clock = spell_clock(scene.last.time, scene.y_zone, y.span)
    return Note(x.end, scene.last.time, "\n".join(["now", *clock.rsplit(" ", 1)]), "left")


_SPARSE = 500
"""Marks among which words look for room; where there are more, there is none."""
_ALONG = (0.55, 0.75, 0.35)
"""Where words stand along the diagonal, the first that hides the least."""


def _taken(rows: Sequence[Mark], bars: Sequence[Bar], y: Axis) -> list[Point]:
    """Return where marks lie, and the numbers over bars."""
    up = 12 * y.span / FRAME[3]
    numbers = [((bar.left + bar.right) / 2, bar.y + up) for bar in bars if bar.text]
    return [*((mark.x, mark.y) for mark in rows), *numbers]


def _hidden(at: float, angle: float, x: Axis, y: Axis, taken: Sequence[Point]) -> int:
    """Return how many marks and numbers words along the diagonal around a place would lie over."""
    found = 0
    for px, py in taken:
        right, up = (px - at) / x.span * FRAME[2], (py - at) / y.span * FRAME[3]
        along, above = (right * math.cos(angle) + up * math.sin(angle)), up * math.cos(angle) - right * math.sin(angle)
        found += abs(along) < 100 and -24 < above < 8
    return found


def _diagonal(x: Axis, y: Axis, taken: Sequence[Point]) -> tuple[tuple[Point, ...], Note | None]:
    low, high = max(x.start, y.start), min(x.end, y.end)
    if high <= low:
        return (), None
    width = (high - low) / x.span * FRAME[2]
    rise = (high - low) / y.span * FRAME[3]
    angle = math.atan2(rise, width)
    at = min((low + share * (high - low) for share in _ALONG), key=lambda at: _hidden(at, angle, x, y, taken))
    note = Note(at, at, "rows with no delay would lie here", angle=math.degrees(angle))
    return ((low, low), (high, high)), note if math.hypot(width, rise) > 320 and y.share(at) > 0.12 else None


# Windows


def _strips(scene: Scene, x: Axis) -> tuple[Point, ...]:
    window = scene.outline.window
    if window is None or window.slide / MILLISECOND / x.span * FRAME[2] < 3:
        return ()
    slide, offset = window.slide / MILLISECOND, window.start / MILLISECOND
    first, last = (math.floor((end - offset) / slide) for end in (x.start, x.end))
    odd = range(first + 1 - first % 2, last + 1, 2)
    return tuple((offset + k * slide, offset + (k + 1) * slide) for k in odd)


def _own(interval: Interval, scene: Scene) -> Point:
    """Return the part of a window that it shares with no later one: its last slide."""
    window = scene.outline.window
    start = max(interval.start, interval.end - window.slide / MILLISECOND) if window else interval.start
    inset = _INSET * (interval.end - start)
    return start + inset, interval.end - inset


def _fits(text: str, left: float, right: float, x: Axis) -> bool:
    inside = x.start <= (left + right) / 2 <= x.end
    return inside and len(text) * _LETTER <= (right - left) / x.span * FRAME[2] * 1.15


def _bars(scene: Scene, x: Axis) -> tuple[Bar, ...]:
    bars = []
    for time, interval in (final for reading in scene.shown for final in reading.final):
        left, right = _own(interval, scene)
        text = interval.text if _fits(interval.text, left, right, x) else ""
        bars.append(Bar(left, right, time, text, f"final\n{interval.tip}"))
    return tuple(bars)


def _provisional(scene: Scene, x: Axis) -> tuple[Note, ...]:
    if scene.last is None or scene.outline.window is None:
        return ()
    places = [(*_own(interval, scene), f"{interval.text}…") for interval in scene.last.open]
    time = scene.last.time
    return tuple(Note((left + right) / 2, time, text) for left, right, text in places if _fits(text, left, right, x))
