"""SQLite: rows and the ledger of batches in one transaction; the embedded default."""

from __future__ import annotations

import datetime as dt
import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import polars as pl

from streamnb.errors import PlanError, QueryError
from streamnb.points import reached
from streamnb.sinks.ledger import Ledger, Verdict, digest

_CREATE = """CREATE TABLE IF NOT EXISTS _streamnb_ledger
    (query TEXT PRIMARY KEY, batch INTEGER, epoch INTEGER, digest TEXT)"""
_LAST = "SELECT batch, epoch, digest FROM _streamnb_ledger WHERE query = ?"
_NOTE = "INSERT OR REPLACE INTO _streamnb_ledger VALUES (?, ?, ?, ?)"
_TYPES = {pl.Int64: "INTEGER", pl.Int32: "INTEGER", pl.Float64: "REAL", pl.Boolean: "INTEGER", pl.Binary: "BLOB"}


class SQLite:
    """Write a table of a SQLite file, exactly once.

    Append mode inserts; update mode replaces the row of the same ``key``; complete mode replaces the whole table. Rows
    and the note which batch they were are one transaction, so a batch that comes again is skipped. With ``version`` a
    row only replaces one with an older or equal value in that column: late news does not overwrite newer.
    Times are written as ISO text, lists and structs as JSON.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        key: str | Sequence[str] | None = None,
        version: str | None = None,
    ) -> None:
        self._path, self._table, self._version = os.fspath(path), table, version
        self._key = [key] if isinstance(key, str) else list(key or ())
        self._ledger = Ledger()

    def open(self, query: str, epoch: int) -> None:
        """Hear for which query, and which of its runs, the batches are."""
        self._ledger = Ledger(query, epoch)

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        if mode == "update" and not self._key:
            raise PlanError(
                "SQLite: update mode replaces rows by key; give key=, the columns of the grouping.",
                code="OPTION_INVALID",
            )
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=30)) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                self._write(db, batch_id, rows, mode)
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _write(self, db: sqlite3.Connection, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        db.execute(_CREATE)
        found = db.execute(_LAST, [self._ledger.query]).fetchone()
        mine = digest(rows)
        if self._ledger.judge(found, batch_id, mine) is Verdict.SKIP:
            return
        self._prepare(db, rows)
        if mode == "complete":
            db.execute(f"DELETE FROM {_quoted(self._table)}")  # noqa: S608  the name is quoted
        db.executemany(self._statement(rows.columns), map(_values, rows.iter_rows()))
        reached("sink.rows")
        db.execute(_NOTE, [self._ledger.query, batch_id, self._ledger.epoch, mine])
        reached("sink.ledger")

    def _prepare(self, db: sqlite3.Connection, rows: pl.DataFrame) -> None:
        columns = [f"{_quoted(n)} {_TYPES.get(t.base_type(), 'TEXT')}" for n, t in rows.schema.items()]
        unique = [f"UNIQUE ({', '.join(map(_quoted, self._key))})"] if self._key else []
        db.execute(f"CREATE TABLE IF NOT EXISTS {_quoted(self._table)} ({', '.join([*columns, *unique])})")
        there = {name for _, name, *_ in db.execute(f"PRAGMA table_info({_quoted(self._table)})")}
        missing = [name for name in rows.columns if name not in there]
        if missing:
            raise QueryError(
                f"SQLite: table {self._table!r} has no columns {missing}; add them, or write to another table."
            )

    def _statement(self, columns: Sequence[str]) -> str:
        names = ", ".join(map(_quoted, columns))
        insert = f"INSERT INTO {_quoted(self._table)} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  names are quoted
        if not self._key:
            return insert
        others = [_quoted(c) for c in columns if c not in self._key]
        update = "DO UPDATE SET " + ", ".join(f"{c} = excluded.{c}" for c in others) if others else "DO NOTHING"
        newer = ""
        if self._version is not None and others:
            version = _quoted(self._version)
            newer = f" WHERE excluded.{version} >= {_quoted(self._table)}.{version}"
        return f"{insert} ON CONFLICT ({', '.join(map(_quoted, self._key))}) {update}{newer}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _values(row: Iterable[Any]) -> list[Any]:
    return [_value(value) for value in row]


def _value(value: Any) -> Any:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat(" ") if isinstance(value, dt.datetime) else value.isoformat()
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(seconds=1)
    if isinstance(value, list | dict):
        return json.dumps(value, default=str)
    return value
