"""Time on an axis: ticks at round times, instants as words in one zone; positions are milliseconds since 1970 UTC."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

_SECOND, _MINUTE, _HOUR, _DAY = 1e3, 6e4, 3.6e6, 8.64e7
_STEPS = (
    *(n * unit for unit in (1, 10, 100) for n in (1, 2, 5)),
    *(n * _SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14, 30, 91, 365, 3650, 36500)),
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FIRST, _LAST = -6.2e13, 2.5e14


@dataclass(frozen=True)
class Axis:
    """What an axis says: its label, its range, and its ticks as (position, words)."""

    label: str
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]
    zone: str | None = None

    @property
    def span(self) -> float:
        """Return the length of the range."""
        return self.end - self.start

    def share(self, position: float) -> float:
        """Return where a position lies: 0 at the start, 1 at the end."""
        return (position - self.start) / self.span


def wall(at: float, zone: str | None) -> dt.datetime:
    """Return what a clock in ``zone`` shows at an instant; None is a time taken as it stands."""
    moment = _EPOCH + dt.timedelta(milliseconds=min(max(at, _FIRST), _LAST))
    return moment.astimezone(ZoneInfo(zone)) if zone else moment


def spell_clock(at: float, zone: str | None, span: float) -> str:
    """Return an instant as a reader of a range of ``span`` needs it: ``10:31``, ``10:31:07``, or with its day."""
    moment = wall(at, zone)
    clock = _clock(moment, _HOUR if span >= 2 * _HOUR else _SECOND if span >= 10 * _SECOND else 1)
    return f"{moment.day} {moment:%b} {clock}" if span > 2 * _DAY else clock


def time_axis(label: str, start: float, end: float, zone: str | None, pixels: int, *, upward: bool = False) -> Axis:
    """Return the axis of a range, with as many ticks as ``pixels`` hold, all at round times of the zone."""
    named = f"{label} ({zone})" if zone else label
    room = (lambda _: 40) if upward else _room
    step = next((s for s in _STEPS if (end - start) / s * room(s) <= pixels), _STEPS[-1])
    offset = (wall(start, zone).utcoffset() or dt.timedelta()) / dt.timedelta(milliseconds=1)
    words = _tick_words(step, zone)
    ticks = tuple((at - offset, words(at - offset)) for at in _round(start, end, step, offset))
    return Axis(named, start, end, ticks, zone)


def count_axis(label: str, most_rows: int) -> Axis:
    """Return the axis of a number of rows, from 0."""
    end = max(most_rows, 1) * 1.1
    step = next(n * 10**power for power in range(18) for n in (1, 2, 5) if end / (n * 10**power) <= 6)
    return Axis(label, 0.0, end, tuple((float(n), f"{n:,}") for n in range(0, int(end) + 1, step)))


def _room(step: float) -> int:
    """Return the pixels that the words of a tick need."""
    if _MINUTE <= step < 30 * _DAY:
        return 42
    return 66 if _SECOND <= step < _MINUTE else 92


def _round(start: float, end: float, step: float, offset: float) -> Iterable[float]:
    first, last = math.ceil((start + offset) / step), math.floor((end + offset) / step)
    return (k * step for k in range(first, last + 1))


def _tick_words(step: float, zone: str | None) -> Callable[[float], str]:
    def words(at: float) -> str:
        moment = wall(at, zone)
        if step >= 30 * _DAY:
            return f"{moment.day} {moment:%b %Y}"
        if moment.hour == moment.minute == moment.second == moment.microsecond == 0:
            return f"{moment.day} {moment:%b}"
        return _clock(moment, step)

    return words


def _clock(moment: dt.datetime, step: float) -> str:
    if step >= _MINUTE:
        return f"{moment:%H:%M}"
    return f"{moment:%H:%M:%S}" + ("" if step >= _SECOND else f".{moment.microsecond // 1000:03d}")
