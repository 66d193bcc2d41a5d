"""Chaos: what goes wrong with a stream on its way, added on purpose: seeded, visible, the same each time it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from streamnb.connect import BadRecord, Offset, Sifted, Source, Unit
from streamnb.errors import PlanError, column_not_found
from streamnb.ops.read import Read
from streamnb.schema import as_rows, polars_schema
from streamnb.time import Duration, duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

Delay = Duration | int


@dataclass(frozen=True)
class Piece:
    """A unit of input on its way: its number from 0, the number of its first row, its time and its rows."""

    number: int
    first: int
    time: int | None
    rows: pl.DataFrame
    random: np.random.Generator


@dataclass(frozen=True)
class Later:
    """Rows that come after their time: in the unit ``number`` or the first one at or after ``time`` (microseconds)."""

    rows: pl.DataFrame
    number: int = 0
    time: int | None = None

    def due(self, number: int, time: int | None) -> bool:
        return number >= self.number and (self.time is None or time is None or time >= self.time)


Disturb = Callable[[Piece], tuple[pl.DataFrame, list[Later]]]


def duplicate(source: StreamFrame | Source, p: float = 0.05, *, after: Delay = 0, seed: int = 0) -> StreamFrame:
    """Send each row again with probability ``p``: ``after`` a duration, or so many units, 0 being its own unit.

    A duration needs a source that tells the time of its units, such as a replay with ``arrival``; that column of the
    copy says when the copy comes.

    >>> len(sn.chaos.duplicate(flights, p=0.1).collect())
    153
    """
    _share("duplicate", p)

    def disturb(piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        again = piece.rows.filter(piece.random.random(len(piece.rows)) < p)
        if after == 0:
            return pl.concat([piece.rows, again]), []
        return piece.rows, [_later("duplicate", piece, again, after, wrapped.arrival)]

    wrapped = _Disturbed(_source("duplicate", source), disturb, seed)
    return _frame(wrapped)


def delay(source: StreamFrame | Source, p: float = 0.1, *, by: Delay = 1, seed: int = 0) -> StreamFrame:
    """Hold each row back with probability ``p``: ``by`` a duration, or so many units. ``arrival`` moves with it.

    >>> len(sn.chaos.delay(flights, p=0.5, by=2).collect())
    145
    """
    _share("delay", p)

    def disturb(piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        held = piece.random.random(len(piece.rows)) < p
        slow = _later("delay", piece, piece.rows.filter(held), by, wrapped.arrival)
        return piece.rows.filter(~held), [slow]

    wrapped = _Disturbed(_source("delay", source), disturb, seed)
    return _frame(wrapped)


def reorder(source: StreamFrame | Source, k: int = 10, *, seed: int = 0) -> StreamFrame:
    """Shuffle the rows: each is overtaken by at most ``k`` others, from units to come as well.

    >>> sn.chaos.reorder(flights, k=3).collect()["arr"].is_monotonic_increasing
    False
    """
    if k < 0:
        raise PlanError(f"reorder: k={k!r} is no number of places; give 0 or more.", code="OPTION_INVALID")
    inner = _source("reorder", source)
    shuffle = _Shuffle(k, polars_schema("reorder", inner.schema).to_frame())
    return _frame(_Disturbed(inner, shuffle, seed, shuffle.rest))


def bad_clock(
    source: StreamFrame | Source,
    column: str,
    by: Duration = "2 days",
    *,
    row: int | None = None,
    p: float = 0.0,
    seed: int = 0,
) -> StreamFrame:
    """Set the clock in ``column`` wrong ``by`` a duration: that of one ``row`` (from 0, as they arrive), or a share.

    >>> sn.chaos.bad_clock(flights, "dep", by="2 days", row=5).collect()["dep"].max()
    Timestamp('2013-02-10 05:40:00')
    """
    _share("bad_clock", p)
    inner = _source("bad_clock", source)
    schema = polars_schema("bad_clock", inner.schema)
    if column not in schema:
        raise column_not_found("bad_clock", column, list(schema))
    wrong = pl.col(column) + pl.duration(microseconds=duration(by, "bad_clock"))

    def disturb(piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        hit = piece.random.random(len(piece.rows)) < p
        if row is not None and piece.first <= row < piece.first + len(piece.rows):
            hit[row - piece.first] = True
        return piece.rows.with_columns(pl.when(pl.lit(pl.Series(hit))).then(wrong).otherwise(column).alias(column)), []

    return _frame(_Disturbed(inner, disturb, seed))


def drop(source: StreamFrame | Source, p: float = 0.05, *, seed: int = 0) -> StreamFrame:
    """Lose each row with probability ``p``.

    >>> len(sn.chaos.drop(flights, p=0.1).collect())
    137
    """
    _share("drop", p)

    def disturb(piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        return piece.rows.filter(piece.random.random(len(piece.rows)) >= p), []

    return _frame(_Disturbed(_source("drop", source), disturb, seed))


def burst(source: StreamFrame | Source, units: int = 4) -> StreamFrame:
    """Let nothing through for ``units - 1`` units, and then all at once, again and again.

    >>> len(sn.chaos.burst(flights, units=4).query().run().progress)
    32
    """
    if units < 1:
        raise PlanError(f"burst: units={units!r} lets nothing through; give 1 or more.", code="OPTION_INVALID")

    def disturb(piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        gate = piece.number // units * units + units - 1
        return (piece.rows, []) if piece.number == gate else (piece.rows.clear(), [Later(piece.rows, gate)])

    return _frame(_Disturbed(_source("burst", source), disturb, 0))


class _Shuffle:
    """Gives each row a place at most ``k`` after its own, and lets it go when no row to come can take that place."""

    def __init__(self, k: int, rows: pl.DataFrame) -> None:
        self._k, self._rows, self._places = k, rows, np.empty(0, np.int64)

    def __call__(self, piece: Piece) -> tuple[pl.DataFrame, list[Later]]:
        end = piece.first + len(piece.rows)
        places = np.arange(piece.first, end) + piece.random.integers(0, self._k + 1, len(piece.rows))
        rows, places = pl.concat([self._rows, piece.rows]), np.concatenate([self._places, places])
        order = np.argsort(places, kind="stable")
        ready = int(np.searchsorted(places[order], end))
        self._rows, self._places = rows[order[ready:]], places[order[ready:]]
        return rows[order[:ready]], []

    def rest(self) -> pl.DataFrame:
        rows, self._rows = self._rows, self._rows.clear()
        self._places = np.empty(0, np.int64)
        return rows


@dataclass
class _Disturbed:
    """A source behind a disturbance. Offsets count units; what came out is kept, so that it can be read again.

    Memory: all rows given out. When the source has nothing more, rows still held back follow, in units of their own.
    """

    inner: Source
    disturb: Disturb
    seed: int
    rest: Callable[[], pl.DataFrame] | None = None  # rows that the disturbance itself holds back
    _units: list[pl.DataFrame] = field(default_factory=list)
    _times: list[int | None] = field(default_factory=list)
    _held: list[Later] = field(default_factory=list)
    _bad: dict[int, Sequence[BadRecord]] = field(default_factory=dict)  # records that are no rows, by unit
    _read: Offset = None
    _rows: int = 0

    def __post_init__(self) -> None:
        self.schema = polars_schema("chaos", self.inner.schema)
        self.arrival: str | None = getattr(self.inner, "arrival", None)

    def latest(self) -> int:
        while self._more():
            pass
        return len(self._units)

    def read(self, start: int | None, end: int) -> pl.DataFrame | Sifted:
        rows = pl.concat([self.schema.to_frame(), *self._upto(start or 0, end)])
        bad = [record for unit in range(start or 0, end) for record in self._bad.get(unit, ())]
        return Sifted(rows, bad) if bad else rows

    def _upto(self, start: int, end: int) -> Iterator[pl.DataFrame]:
        while len(self._units) < end and self._more():
            pass
        yield from self._units[start:end]

    def unit(self, start: int | None) -> Unit | None:
        end = (start or 0) + 1
        if len(self._units) < end and not self._more():
            return None
        return Unit(end, self._times[end - 1])

    def commit(self, end: int) -> None:
        """Nothing to tell: what came out is kept here."""

    def _more(self) -> bool:
        """Let one more unit through; False if there is none."""
        unit = self._next()
        if unit is None:
            return self._flush()
        found = self.inner.read(self._read, unit.end)
        rows, bad = (found.rows, found.bad) if isinstance(found, Sifted) else (found, ())
        self._bad[len(self._units)] = bad
        rows = as_rows("chaos", rows, self.schema)
        number = len(self._units)
        random = np.random.default_rng([self.seed, number])
        out, later = self.disturb(Piece(number, self._rows, unit.time, rows, random))
        self._read, self._rows = unit.end, self._rows + len(rows)
        self._held += [held for held in later if len(held.rows)]
        self._give(out, unit.time)
        return True

    def _next(self) -> Unit | None:
        if hasattr(self.inner, "unit"):
            found: Unit | None = self.inner.unit(self._read)
            return found
        end = self.inner.latest()
        return None if not end or end == self._read else Unit(end)

    def _flush(self) -> bool:
        """Give out what is held back, the first due first."""
        if self.rest is not None and len(rows := self.rest()):
            self._held.append(Later(rows))
        if not self._held:
            return False
        first = min(self._held, key=lambda held: (held.time or 0, held.number))
        time = max((t for t in (first.time, self._times[-1]) if t is not None), default=None)
        self._give(first.rows.clear(), time, number=max(first.number, len(self._units)))
        return True

    def _give(self, rows: pl.DataFrame, time: int | None, number: int | None = None) -> None:
        at = len(self._units) if number is None else number
        due = [held for held in self._held if held.due(at, time)]
        self._held = [held for held in self._held if not held.due(at, time)]
        self._units.append(pl.concat([*(held.rows for held in due), rows]))
        self._times.append(time)

    def __repr__(self) -> str:
        return f"chaos({self.inner!r})"


def _later(verb: str, piece: Piece, rows: pl.DataFrame, by: Delay, arrival: str | None) -> Later:
    if isinstance(by, int):
        return Later(rows, piece.number + by)
    wait = duration(by, verb)
    if piece.time is None:
        raise PlanError(
            f"{verb}: {by!r} is a time, and this source tells none; give a number of units, or replay with arrival=.",
            code="OPTION_INVALID",
        )
    if arrival is not None and wait:
        rows = rows.with_columns(pl.col(arrival) + pl.duration(microseconds=wait))
    return Later(rows, piece.number, piece.time + wait)


def _share(verb: str, p: float) -> None:
    if not 0 <= p <= 1:
        raise PlanError(f"{verb}: p={p!r} is no share; give a number from 0 to 1.", code="OPTION_INVALID")


def _source(verb: str, given: Any) -> Source:
    node = getattr(given, "node", None)
    if isinstance(node, Read):
        return node.source
    if node is None and isinstance(given, Source):
        return given
    raise PlanError(
        f"{verb}: it disturbs a source, not {'a query upon one' if node is not None else repr(given)}; "
        "put it right behind the source.",
        code="SOURCE_MISSING",
    )


def _frame(wrapped: Source) -> StreamFrame:
    from streamnb.frame import stream

    return stream(wrapped)
