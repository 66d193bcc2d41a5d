"""Time as whole microseconds: durations, windows as pure functions, and the clock."""

from __future__ import annotations

import datetime as dt
import re
import time as _time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.errors import PlanError

MILLISECOND = 1_000
SECOND = 1_000_000
DAY = 86_400 * SECOND
MONTH = 31 * DAY
NEVER_LATE = -(2**62)
ALL_PAST = 2**62

_UNITS = {
    "us": 1, "microsecond": 1, "ms": MILLISECOND, "millisecond": MILLISECOND,
    "s": SECOND, "sec": SECOND, "second": SECOND, "m": 60 * SECOND, "min": 60 * SECOND, "minute": 60 * SECOND,
    "h": 3600 * SECOND, "hour": 3600 * SECOND, "d": DAY, "day": DAY, "w": 7 * DAY, "week": 7 * DAY,
    "month": MONTH, "year": 12 * MONTH,
}  # fmt: skip
_TERM = re.compile(r"\s*([+-]?\s*\d+(?:\.\d+)?)\s*([a-zA-Zµ]+)\s*,?")

Duration = str | dt.timedelta
"""What the user may write for a duration; ``pandas.Timedelta`` is a ``timedelta``."""


def duration(value: Duration, verb: str, *, months: bool = False) -> int:
    """Return a duration in microseconds.

    ``months=True`` takes months of 31 days and years of 12 such months, as Spark does for a watermark's delay, and
    only there: a window of months would not have one length.
    """
    if isinstance(value, dt.timedelta):
        return value // dt.timedelta(microseconds=1)
    if not isinstance(value, str):
        raise _unreadable(verb, value)
    text = re.sub(r"^\s*interval\s+", "", value, flags=re.IGNORECASE).strip()
    total, end = 0.0, 0
    for term in _TERM.finditer(text):
        if term.start() != end:
            break
        end = term.end()
        total += float(term[1].replace(" ", "")) * _unit(term[2], value, verb, months=months)
    if not text or end != len(text):
        raise _unreadable(verb, value)
    return round(total)


def _unit(name: str, value: str, verb: str, *, months: bool) -> int:
    word = name.lower().replace("µ", "u")
    size = _UNITS.get(word) or _UNITS.get(word.removesuffix("s"))
    if size is None:
        raise _unreadable(verb, value)
    if size >= MONTH and not months:
        raise PlanError(
            f"{verb}: {value!r} has months, and a month has no fixed length; write it in days, such as '30 days'.",
            code="DURATION_INVALID",
        )
    return size


def _unreadable(verb: str, value: object) -> PlanError:
    return PlanError(
        f"{verb}: cannot read the duration {value!r}; write it like '10 minutes', '90s' or '1h30m'.",
        code="DURATION_INVALID",
    )


def spell(microseconds: int) -> str:
    """Return a duration as people write it: ``5400000000`` is ``"1 hour 30 minutes"``."""
    if microseconds == 0:
        return "0 seconds"
    if microseconds < 0:
        return f"-{spell(-microseconds)}"
    parts = []
    for unit in ("day", "hour", "minute", "second", "millisecond", "microsecond"):
        count, microseconds = divmod(microseconds, _UNITS[unit])
        if count:
            parts.append(f"{count} {unit}{'s' if count > 1 else ''}")
    return " ".join(parts)


@dataclass(frozen=True)
class Window:
    """Event time to intervals ``[start, end)`` of ``size``, one every ``slide``, from 1970-01-01T00:00 UTC + ``start``.

    All in microseconds. A time zone or daylight saving plays no part: a day is 24 hours from midnight UTC.
    Spark: ``window(time, size, slide, start)``.
    """

    size: int
    slide: int
    start: int = 0

    def __post_init__(self) -> None:
        if self.size <= 0:
            raise _window(f"a size of {spell(self.size)} holds no row", "give it a size above zero")
        if not 0 < self.slide <= self.size:
            raise _window(
                f"a slide of {spell(self.slide)} with a size of {spell(self.size)}",
                "slide by more than nothing and at most the size",
            )
        if abs(self.start) >= self.slide:
            raise _window(
                f"a start of {spell(self.start)} with a slide of {spell(self.slide)}",
                "start within one slide",
            )

    @property
    def overlap(self) -> int:
        """How many windows a row is in, at most."""
        return -(-self.size // self.slide)

    def last_start(self, time: pl.Expr) -> pl.Expr:
        """Return the start of the last window that holds ``time`` (microseconds)."""
        shifted = time - self.start if self.start else time
        return time - shifted % self.slide

    def numbers(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
        """Return the last window that holds each time, counted from that of the first, and the start of that one."""
        least = int(times.min())
        first = least - (least - self.start) % self.slide
        numbers = times - first
        unsigned = numbers.view(np.uint64)
        unsigned //= np.uint64(self.slide)  # half the time of signed numbers
        return numbers, first

    def each(self, rows: pl.DataFrame, time: pl.Expr, start: str) -> pl.DataFrame:
        """Return rows in their order, once for each of their windows, the earliest first; ``start`` is its start.

        A row with a null time is in no window.
        """
        back = pl.Series(np.tile(np.arange(self.overlap)[::-1] * self.slide, len(rows)))
        copies = rows[np.repeat(np.arange(len(rows)), self.overlap)]
        at = time.to_physical()
        return copies.with_columns((self.last_start(at) - back).alias(start)).filter(pl.col(start) + self.size > at)

    def __str__(self) -> str:
        slide = "" if self.slide == self.size else f" every {spell(self.slide)}"
        return f"{spell(self.size)}{slide}"


def _window(wrong: str, way_out: str) -> PlanError:
    return PlanError(f"window: {wrong}; {way_out}.", code="WINDOW_INVALID")


class Clock(Protocol):
    """The processing time of a query, in microseconds since 1970 UTC."""

    def now(self) -> int: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return _time.time_ns() // 1_000


class ManualClock:
    """A clock that moves when told to, for tests and lessons.

    >>> clock = sn.ManualClock("2013-02-08 09:00")
    >>> clock.advance("30 minutes")
    >>> clock.now() == sn.ManualClock("2013-02-08 09:30").now()
    True
    """

    def __init__(self, start: str | dt.datetime = "1970-01-01") -> None:
        at = dt.datetime.fromisoformat(start) if isinstance(start, str) else start
        self._now = instant(at)

    def now(self) -> int:
        return self._now

    def advance(self, by: Duration) -> None:
        """Move on by a duration, never back."""
        step = duration(by, "ManualClock.advance")
        if step < 0:
            raise PlanError(f"ManualClock.advance: {by!r} goes back; a clock only advances.", code="DURATION_INVALID")
        self._now += step

    def wait(self, seconds: float) -> bool:
        """Take no time: the clock moves on by so many seconds. False: nobody ended the wait."""
        self._now += round(seconds * SECOND)
        return False


_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  naive times are taken as they stand


def instant(at: dt.datetime) -> int:
    """Return microseconds since 1970; a naive time is taken as it stands."""
    if at.tzinfo is not None:
        at = at.astimezone(dt.UTC).replace(tzinfo=None)
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def moment(microseconds: int) -> dt.datetime:
    """Return the naive time of an instant."""
    return _EPOCH + dt.timedelta(microseconds=microseconds)


Asks = Callable[[int], tuple[int, bool]]
"""What an input asks for at a processing time, and whether it is idle."""


def candidate(largest: int, delay: int) -> int:
    """Return the watermark that a largest event time asks for."""
    return largest // MILLISECOND * MILLISECOND - delay // MILLISECOND * MILLISECOND


class Watermark:
    """The event time a query is done with: per input the largest seen minus its delay, then min or max over inputs.

    It starts at 1970, never goes back, and moves between batches only: a batch drops late rows by the watermark that
    the batch before it ran with (``late``) and evicts by its own (``current``). Resolution is one millisecond.
    Times further than ``guard`` beyond the clock (microseconds) are not believed and move nothing. Inputs that are idle
    are not waited for.
    """

    def __init__(self, policy: str = "min", *, single: bool = False, guard: int | None = None) -> None:
        self._late, self.current = 0, 0
        self.single, self.policy, self.guard = single, policy, guard
        self._candidates: list[int] = []
        self._idle: list[bool] = []
        self._asks: list[Asks | None] = []

    @property
    def late(self) -> int:
        """The watermark by which rows are late: that of the batch before; with ``single`` that of this batch."""
        return self.current if self.single else self._late

    @classmethod
    def of_a_table(cls) -> Watermark:
        """Return the watermark of a query over a whole table: no row is late, all state ends."""
        watermark = cls()
        watermark._late, watermark.current = NEVER_LATE, ALL_PAST
        return watermark

    def like(self) -> Watermark:
        """Return a watermark that has seen nothing, with the same settings."""
        return Watermark(self.policy, single=self.single, guard=self.guard)

    def add_input(self, asks: Asks | None = None) -> int:
        """Return the number of a new input; an input without rows counts as 1970.

        ``asks`` tells what one that may fall silent asks for at a processing time, and whether it is idle.
        """
        self._candidates.append(0)
        self._idle.append(False)
        self._asks.append(asks)
        return len(self._candidates) - 1

    def candidate(self, number: int) -> int:
        """Return what one input asks for."""
        return self._candidates[number]

    def observe(self, number: int, largest: int, delay: int) -> bool:
        """Take the largest event time of an input in this batch; True if it is a new largest."""
        asked = candidate(largest, delay)
        new = asked > self._candidates[number]
        if new:
            self._candidates[number] = asked
        return new

    def ask(self, number: int, asked: int, idle: bool) -> None:  # noqa: FBT001  as Asks gives them
        """Take what an input that may fall silent asks for in this batch."""
        self._candidates[number], self._idle[number] = asked, idle

    def is_idle(self, number: int) -> bool:
        """Tell whether an input is not waited for."""
        return self._idle[number]

    def awake_at(self, time: int) -> list[bool]:
        """Tell which inputs are waited for at a processing time; if none is, all of them."""
        awake = [asks is None or not asks(time)[1] for asks in self._asks]
        return awake if any(awake) else [True] * len(awake)

    def next(self) -> int:
        """Return the watermark that the next batch will run with."""
        return self._agreed(list(zip(self._candidates, self._idle, strict=True)))

    def next_at(self, time: int) -> int:
        """Return the watermark to which a batch without input at a processing time would move on."""
        now = zip(self._candidates, self._idle, strict=True)
        return self._agreed([old if asks is None else asks(time) for asks, old in zip(self._asks, now, strict=True)])

    def _agreed(self, asked: Sequence[tuple[int, bool]]) -> int:
        """Return what the inputs that are not idle agree on; if all are, the one furthest ahead counts."""
        if not asked:
            return 0
        awake = [at for at, idle in asked if not idle]
        pick = min if awake and self.policy == "min" else max
        return max(self.current, pick(awake or [at for at, _ in asked]))

    def advance(self) -> None:
        """Go on to the next batch."""
        self._late, self.current = self.current, self.next()

    def recover(self, late: int, current: int, policy: str) -> None:
        """Go on from a checkpoint, which keeps the watermark and the policy, not what each input asked for."""
        self._late, self.current, self.policy = late, current, policy
        self._candidates = [0] * len(self._candidates)
        self._idle = [False] * len(self._candidates)

    def snapshot(self) -> tuple[int, ...]:
        return self._late, self.current, *self._candidates

    def restore(self, snapshot: tuple[int, ...]) -> None:
        self._late, self.current, *self._candidates = snapshot
        self._idle = [False] * len(self._candidates)  # the next batch tells
