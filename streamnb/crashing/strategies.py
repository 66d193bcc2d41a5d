"""Strategies: ways of writing batches into a table of SQLite, and what each promises when the process dies."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import polars as pl

from streamnb.points import reached
from streamnb.sinks.plain import plain
from streamnb.sinks.sqlite import SQLite

if TYPE_CHECKING:
    import pandas as pd

Write = Callable[["pd.DataFrame", int, sqlite3.Connection], object]
"""What a batch does with its rows, its id and a connection; what it leaves open is committed at its end."""

Rows = Counter[tuple[Any, ...]]


@dataclass(frozen=True)
class Strategy:
    """A way of writing, in words: its guarantee, and what it does in two lines."""

    name: str
    guarantee: str
    code: str
    write: Write | None = None


STRATEGIES = (
    Strategy("commit, then write", "at most once", "log.commit(k)\nsink.append(rows)"),
    Strategy("append rows", "at least once", "sink.append(rows)\nlog.commit(k)"),
    Strategy("add to a counter", "at least once", "sink[key] += n\nlog.commit(k)"),
    Strategy("overwrite by key", "idempotent", "sink[key] = row\nlog.commit(k)"),
    Strategy("rows and batch id together", "transactional", "with sink.begin():\n    rows + k, or skip k"),
)
LATER, APPEND, COUNT, OVERWRITE, TOGETHER = (strategy.name for strategy in STRATEGIES)


def yours(name: str, write: Write) -> Strategy:
    """Return a strategy that is a function of the user's own."""
    return Strategy(name, "yours", f"{getattr(write, '__name__', 'function')}(rows, k, db)\nlog.commit(k)", write)


class Trying:
    """A sink that writes by a strategy into one file; the point ``sink.rows`` is reached halfway."""

    def __init__(self, path: Path, strategy: Strategy, key: Sequence[str], *, upsert: bool) -> None:
        self._path, self._strategy, self._key = path, strategy, list(key)
        self._waiting: pl.DataFrame | None = None
        self._whole = SQLite(path, "sink", key=self._key if upsert else None)

    def open(self, query: str, epoch: int) -> None:
        self._whole.open(query, epoch)

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        if self._strategy.name == LATER:
            self._waiting = rows
        elif self._strategy.name == TOGETHER:
            self._whole.write_polars(batch_id, rows, mode)
        else:
            with closing(_connected(self._path, yours=self._strategy.write is not None)) as db:
                self._write(db, batch_id, rows)
                db.commit()

    def hear(self, point: str) -> None:
        """Write what was put off until the log has the batch."""
        if point == "batch.end" and self._waiting is not None:
            with closing(_connected(self._path)) as db:
                _insert(db, self._waiting)
            self._waiting = None

    def _write(self, db: sqlite3.Connection, batch_id: int, rows: pl.DataFrame) -> None:
        if self._strategy.write is not None:
            self._strategy.write(rows.to_pandas(), batch_id, db)
        elif self._strategy.name == COUNT:
            counted = rows.select(self._key).with_columns(n=1)
            _insert(db, counted, self._key, "ON CONFLICT DO UPDATE SET n = n + 1")
        elif self._strategy.name == OVERWRITE:
            _insert(db, rows, self._key, conflict="OR REPLACE")
        else:
            _insert(db, rows)

    def held(self, columns: Sequence[str]) -> Rows:
        """Return what a reader finds now: rows; of a counter its keys, each as often as it was counted."""
        if not self._path.exists():
            return Counter()
        if self._strategy.name == COUNT:
            counts: Rows = Counter()
            for *key, n in _read(self._path, [*self._key, "n"]):
                counts[tuple(key)] += n
            return counts
        return Counter(_read(self._path, columns))


def _read(path: Path, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Return the rows of every table that has these columns."""
    with closing(sqlite3.connect(path)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            there = {name for _, name, *_ in db.execute(f"PRAGMA table_info({_quoted(table)})")}
            if there.issuperset(columns):
                yield from db.execute(f"SELECT {', '.join(map(_quoted, columns))} FROM {_quoted(table)}")  # noqa: S608  names are quoted


def _insert(
    db: sqlite3.Connection, rows: pl.DataFrame, key: Sequence[str] = (), then: str = "", conflict: str = ""
) -> None:
    """Insert rows one by one, with what to do about a key that is there."""
    names = ", ".join(map(_quoted, rows.columns))
    db.execute(f"CREATE TABLE IF NOT EXISTS sink ({names})")
    if key:
        parts = ", ".join(f"ifnull({_quoted(name)}, char(0))" for name in key)
        db.execute(f"CREATE UNIQUE INDEX IF NOT EXISTS sink_key ON sink ({parts})")
    places = ", ".join("?" * rows.width)
    db.executemany(f"INSERT {conflict} INTO sink ({names}) VALUES ({places}) {then}", plain("crash", rows).rows())  # noqa: S608  names are quoted


class _Halfway(sqlite3.Connection):
    """A connection that stops to be looked at halfway through many rows, and between two statements that write."""

    wrote = False

    def cursor(self, *_: Any) -> _Cursor:  # type: ignore[override]
        return super().cursor(_Cursor)

    def execute(self, *given: Any) -> _Cursor:
        return self.cursor().execute(*given)

    def executemany(self, *given: Any) -> _Cursor:
        return self.cursor().executemany(*given)


class _Cursor(sqlite3.Cursor):
    connection: _Halfway

    def execute(self, sql: str, *given: Any) -> Self:
        self._about_to(sql)
        return super().execute(sql, *given)

    def executemany(self, sql: str, given: Iterable[Any]) -> Self:
        self._about_to(sql)
        rows = list(given)
        super().executemany(sql, rows[: len(rows) // 2])
        reached("sink.rows")
        return super().executemany(sql, rows[len(rows) // 2 :])

    def _about_to(self, sql: str) -> None:
        if sql.lstrip()[:6].upper() in {"INSERT", "UPDATE", "DELETE", "REPLAC"}:
            if self.connection.wrote:
                reached("sink.ledger")
            self.connection.wrote = True


def _connected(path: Path, *, yours: bool = False) -> sqlite3.Connection:
    """Connect; each statement of ours is a transaction, a function of the user's has Python's usual ones."""
    db = sqlite3.connect(path, factory=_Halfway, isolation_level="DEFERRED" if yours else None)
    db.execute("PRAGMA synchronous = OFF")  # a process dies here, not the power
    return db


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
