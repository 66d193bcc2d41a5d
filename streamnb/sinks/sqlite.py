"""SQLite: rows and the ledger of batches in one transaction; the embedded default."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress

import polars as pl

from streamnb.errors import QueryError
from streamnb.patience import still_asked
from streamnb.points import reached
from streamnb.sinks.ledger import Verdict, digest
from streamnb.sinks.plain import plain
from streamnb.sinks.target import STAGE, Target, Transactional, quoted
from streamnb.time import SECOND, Duration, duration

_CREATE = """CREATE TABLE IF NOT EXISTS _streamnb_ledger
    (query TEXT PRIMARY KEY, batch INTEGER, epoch INTEGER, digest TEXT)"""
_LAST = "SELECT batch, epoch, digest FROM _streamnb_ledger WHERE query = ?"
_NOTE = "INSERT OR REPLACE INTO _streamnb_ledger VALUES (?, ?, ?, ?)"
_LIMIT = 2**63
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_ROWS, _VALUES = 25, 999
"""How many rows, and values, a statement takes at most."""
_ATTEMPT = 0.25  # seconds that a call waits for others, deaf to an interrupt


class SQLite(Transactional):
    """Write a table of a SQLite file, exactly once.

    Append mode inserts; update mode replaces the row of the same ``key``; complete mode replaces the whole table. Rows
    and the note which batch they were are one transaction, so a batch that comes again is skipped. With ``version`` a
    row only replaces one with an older or equal value in that column: late news does not overwrite newer.

    The table is made if it is not there; one that is there needs a unique index on the key. Times are written as ISO
    text (with a zone: in UTC), durations as seconds, decimals as text, lists and structs as JSON. NaN is null to
    SQLite; in a key it is refused, and so is a number of more than 64 bits. While others write to the file, a batch
    waits for ``timeout``; those who read it are not in the way. Until the query is stopped the file is open in
    write-ahead mode: to copy it before, copy its ``-wal`` too.

    >>> sink = sn.sinks.SQLite(f"{folder}/flights.db", "hourly")
    >>> hourly.query(sink=sink).run().status
    'done'
    """

    overlaps = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        key: str | Sequence[str] | None = None,
        version: str | None = None,
        timeout: Duration = "30 seconds",
    ) -> None:
        self._seconds = duration(timeout, "SQLite") / SECOND
        self._path, self._target = os.fspath(path), Target.of("SQLite", table, key, version)
        self._open: _Open | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"SQLite({self._path!r}, {self._target.table!r})"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        until = time.monotonic() + self._seconds
        while not self._is_written(batch_id, rows, mode, last=time.monotonic() >= until):
            still_asked()

    def _is_written(self, batch_id: int, rows: pl.DataFrame, mode: str, *, last: bool) -> bool:
        """Try once; False if others hold the file."""
        try:
            self._transact(batch_id, rows, mode)
        except sqlite3.OperationalError as error:
            if last or error.sqlite_errorcode not in _BUSY:
                raise
            return False
        return True

    def _transact(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        with self._lock:
            if self._open is None or not self._open.is_at(self._path):
                self._open = _Open(self._path)
            db = self._open.db
            try:
                db.execute("BEGIN IMMEDIATE")
                self._write(self._open, batch_id, rows, mode)
                db.execute("COMMIT")
            except BaseException:
                self._let_go()
                raise

    def close(self) -> None:
        """Close the file until the next batch; one that was in another mode before is so again."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        is_open, self._open = self._open, None
        if is_open is not None:
            is_open.close()

    def _write(self, file: _Open, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        db = file.db
        is_known = file.knows(rows.schema)
        if not is_known:
            db.execute(_CREATE)
        found = db.execute(_LAST, [self._ledger.query]).fetchone()
        mine = digest(rows)
        if self._ledger.judge(found, batch_id, mine) is Verdict.SKIP:
            return
        self._target.find(rows.columns)
        values = plain("SQLite", rows if self._target.version is None else self._target.newest(rows))
        self._refuse_what_does_not_fit(values)
        if not is_known:
            self._prepare(db, values)
            file.learn(rows.schema)
        if mode == "complete":
            db.execute(f"DELETE FROM {quoted(self._target.table)}")  # noqa: S608  the name is quoted
        self._merge(db, values)
        reached("sink.rows")
        db.execute(_NOTE, [self._ledger.query, batch_id, self._ledger.epoch, mine])
        reached("sink.ledger")

    def _prepare(self, db: sqlite3.Connection, rows: pl.DataFrame) -> None:
        table, key = quoted(self._target.table), self._target.key
        columns = [f"{quoted(name)} {_type(dtype)}" for name, dtype in rows.schema.items()]
        unique = [f"UNIQUE ({', '.join(map(quoted, key))})"] if key else []
        db.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join([*columns, *unique])})")
        about = db.execute(f"PRAGMA table_info({table})").fetchall()
        self._target.compare((name for _, name, *_ in about), rows.columns)
        primary = {name for _, name, *_, place in about if place}
        if key and set(key) not in (primary, *_unique(db, table)):
            raise QueryError(
                f"SQLite: table {self._target.table!r} has no unique index on its key {list(key)}; "
                f"CREATE UNIQUE INDEX … ON {table} ({', '.join(map(quoted, key))}), or write to another table."
            )

    def _merge(self, db: sqlite3.Connection, rows: pl.DataFrame) -> None:
        key = self._target.key
        if any(rows[name].null_count() for name in key):
            is_null = rows.select(pl.any_horizontal(pl.col(name).is_null() for name in key)).to_series()
            self._merge_nulls(db, self._target.newest(rows.filter(is_null)))
            rows = rows.filter(~is_null)
        self._upsert(db, rows)

    def _upsert(self, db: sqlite3.Connection, rows: pl.DataFrame) -> None:
        """Merge rows in whose key is no null: several a statement, which costs a third less than one by one."""
        width, count = rows.width, max(1, min(_ROWS, _VALUES // rows.width))
        values: list[object] = [None] * (width * len(rows))
        for at, column in enumerate(rows):
            values[at::width] = column.to_list()
        whole = len(rows) // count * count * width
        several, one = self._target.upsert(rows.columns, count), self._target.upsert(rows.columns)
        db.executemany(several, (values[at : at + count * width] for at in range(0, whole, count * width)))
        db.executemany(one, (values[at : at + width] for at in range(whole, len(values), width)))

    def _merge_nulls(self, db: sqlite3.Connection, rows: pl.DataFrame) -> None:
        """Merge rows in whose key is a null, which is unlike any other to an index."""
        names, table = ", ".join(map(quoted, rows.columns)), quoted(self._target.table)
        db.execute(f"CREATE TEMP TABLE {STAGE} AS SELECT {names} FROM {table} WHERE 0")  # noqa: S608  names are quoted
        db.executemany(f"INSERT INTO {STAGE} VALUES ({', '.join('?' * rows.width)})", rows.rows())  # noqa: S608  names are quoted
        update = self._target.update(rows.columns, "IS")
        if update is not None:
            db.execute(update)
        db.execute(self._target.insert(rows.columns, "IS"))
        db.execute(f"DROP TABLE {STAGE}")

    def _refuse_what_does_not_fit(self, rows: pl.DataFrame) -> None:
        for column in rows:
            if column.dtype in (pl.UInt64, pl.Int128) and (wide := column.filter(abs(column) >= _LIMIT)).len():
                raise QueryError(
                    f"SQLite: column {column.name!r} holds {wide[0]}, more than its 64 bits; cast it to a string."
                )
            if column.name in self._target.key and column.dtype.is_float() and column.is_nan().any():
                raise QueryError(
                    f"SQLite: the key {column.name!r} holds NaN, which SQLite takes for null; fill it or drop it."
                )


class _Open:
    """An open file. A commit waits for the disk once, and what it has then outlives a power cut."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=_ATTEMPT, check_same_thread=False)
        self._let_go = weakref.finalize(self, self.db.close)
        self._file = _file(path)
        (self._mode,) = self.db.execute("PRAGMA journal_mode").fetchone()
        with suppress(sqlite3.OperationalError):  # somebody reads it just now
            self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = EXTRA")
        self._known: tuple[int, pl.Schema] | None = None

    def knows(self, schema: pl.Schema) -> bool:
        """Tell whether the tables for such rows were seen to be right, and nobody has changed any since."""
        return self._known == (self._version, schema)

    def learn(self, schema: pl.Schema) -> None:
        """Note that the tables are right for such rows."""
        self._known = self._version, schema

    @property
    def _version(self) -> int:
        """The number that changes with every table that is made, altered or dropped, by whomever."""
        return int(self.db.execute("PRAGMA schema_version").fetchone()[0])

    def is_at(self, path: str) -> bool:
        """Return False once the file was moved or replaced."""
        return _file(path) == self._file

    def close(self) -> None:
        if self._mode != "wal" and not self.db.in_transaction:
            with suppress(sqlite3.Error):  # somebody else has it open
                self.db.execute(f"PRAGMA journal_mode = {self._mode}")
        self._let_go()


def _file(path: str) -> tuple[int, int] | None:
    with suppress(FileNotFoundError):
        about = os.stat(path)  # noqa: PTH116  a path costs more than the call
        return about.st_dev, about.st_ino
    return None


def _unique(db: sqlite3.Connection, table: str) -> list[set[str]]:
    """Return the columns of every unique index that covers all rows."""
    whole = [
        name for _, name, unique, _, partial in db.execute(f"PRAGMA index_list({table})") if unique and not partial
    ]
    return [{column for *_, column in db.execute(f"PRAGMA index_info({quoted(name)})")} for name in whole]


def _type(dtype: pl.DataType) -> str:
    if dtype.is_integer() or dtype == pl.Boolean:
        return "INTEGER"
    if dtype.is_float():
        return "REAL"
    return "BLOB" if dtype == pl.Binary else "TEXT"
