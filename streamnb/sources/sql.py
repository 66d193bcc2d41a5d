"""from_sql: a table of SQLite or Postgres, polled by a column that grows."""

from __future__ import annotations

import datetime as dt
import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import polars as pl

from streamnb.connect import Sifted, Source, Unit
from streamnb.contact import Reached
from streamnb.errors import PlanError, column_not_found, one_of
from streamnb.patience import library, shown
from streamnb.schema import Schema, polars_schema
from streamnb.sources.answers import Answers
from streamnb.sources.records import decoded, fitted, rows_of
from streamnb.time import SECOND, Duration, duration


def from_sql(
    table: str,
    where: str,
    by: str,
    schema: Schema | None = None,
    *,
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Read a table as it grows: new rows are those with a greater value in the column ``by``.

    The value must be one row's alone and must grow with every insert, such as an id that the database gives. A row
    that comes later with a value that was read already, or with a smaller one, is never seen: so it goes with times
    (two rows of one second, a clock that is set back) and with long transactions. One that is changed or deleted is not
    noticed.

    Parameters
    ----------
    table
        Its name, with its schema if need be: ``"public.orders"``.
    where
        The file of a SQLite database, or ``"postgresql://user:password@host/db"``, or ``"host=… dbname=…"``; the
        password is never shown.
    by
        A column of whole numbers, text or times, with an index.
    schema
        The columns to read. None: all that the table has now, in its own types; a column that it gets later is not
        read. One that it loses is a DataError, and a value that does not fit is a dead letter.
    rows_per_batch
        At most so many rows in one step.
    timeout
        How long the database may take to answer.

    >>> db = sqlite3.connect(f"{folder}/a.db")
    >>> _ = db.executescript("create table t (id integer primary key); insert into t values (1), (2)")
    >>> sn.from_sql("t", f"{folder}/a.db", by="id").collect()["id"].tolist()
    [1, 2]
    """
    seconds = duration(timeout, "from_sql") / SECOND
    if rows_per_batch < 1:
        raise PlanError(
            f"from_sql: rows_per_batch={rows_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
        )
    database: _Database = _Postgres(where, seconds) if _is_postgres(where) else _SQLite(where, seconds)
    return Table(database, table, by, schema, rows_per_batch)


def _is_postgres(where: str) -> bool:
    """Tell an address of Postgres, ``host=… dbname=…`` too, from a path."""
    if where.startswith(("postgresql://", "postgres://")):
        return True
    if "://" in where:
        raise one_of("from_sql", "where", shown(where), ("a file of SQLite", "postgresql://user:password@host/db"))
    return re.match(r"\s*\w+\s*=", where) is not None and not Path(where).exists()


class Table(Reached):
    """A table as a source. An offset is a value of its growing column."""

    def __init__(self, database: _Database, table: str, by: str, schema: Schema | None, rows_per_batch: int) -> None:
        self._database, self._table, self._by, self._rows_per_batch = database, table, by, rows_per_batch
        self.contact = database.answers.contact
        self._name, self._quoted = ".".join(map(database.quoted, table.split("."))), database.quoted(by)
        there = database.answers.must(lambda: database.columns(self._name))
        wanted = there if schema is None else polars_schema("from_sql", schema)
        for name in (by, *wanted):
            if name not in there:
                raise column_not_found("from_sql", name, there)
        self.schema = pl.Schema(wanted)

    def latest(self) -> Any:
        statement = f"SELECT max({self._quoted}) FROM {self._name}"  # noqa: S608  names are quoted
        found = self._database.answers.ask(lambda: self._database.select(statement, ()), [])
        return _plain(found[0][0]) if found else None

    def unit(self, start: Any) -> Unit | None:
        """Take the next rows; all with the value of the last one, should it not be one row's alone."""
        by, values = self._quoted, () if start is None else (start,)
        after = f"WHERE {by} > {self._database.mark}" if values else ""
        rows = f"SELECT {by} AS b FROM {self._name} {after} ORDER BY {by} LIMIT {self._rows_per_batch}"  # noqa: S608
        statement = f"SELECT max(b) FROM ({rows}) AS part"  # noqa: S608
        found = self._database.answers.ask(lambda: self._database.select(statement, values), [])
        return Unit(_plain(found[0][0])) if found and found[0][0] is not None else None

    def read(self, start: Any, end: Any) -> Sifted:
        by, mark, values = self._quoted, self._database.mark, (end,) if start is None else (start, end)
        names = ", ".join(map(self._database.quoted, self.schema))
        after = "" if start is None else f"{by} > {mark} AND "
        statement = f"SELECT {names} FROM {self._name} WHERE {after}{by} <= {mark} ORDER BY {by}"  # noqa: S608
        found = self._database.answers.must(lambda: self._database.select(statement, values))
        rows, _, bad = rows_of(_Columns(self.schema), found, lambda n: f"row {n + 1} after {self._by}={start!r}")
        return Sifted(rows, bad)

    def commit(self, end: Any) -> None:
        """Nothing to do: the rows stay."""

    def __repr__(self) -> str:
        return f"Table({self._table!r} of {self._database.label}, by {self._by!r})"


class _Columns:
    """A row as the database gave it."""

    def __init__(self, schema: pl.Schema) -> None:
        self.schema = schema

    def value(self, payload: Sequence[Any]) -> Any:
        return {name: _value(v, dtype) for (name, dtype), v in zip(self.schema.items(), payload, strict=True)}

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return fitted(values, self.schema)


def _value(value: Any, dtype: pl.DataType) -> Any:
    """Return a value as the column has it: what has no type of its own here becomes text."""
    if dtype == pl.String() and isinstance(value, bytes):
        return decoded(value)
    if dtype == pl.String() and not isinstance(value, str | None):
        return json.dumps(value) if isinstance(value, dict | list) else str(value)
    return bool(value) if dtype == pl.Boolean() and isinstance(value, int) else value


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; the database reads it back."""
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal | UUID) else value


class _Database(Protocol):
    """What differs between databases. ``mark`` stands for a value in a statement."""

    label: str
    mark: str
    answers: Answers

    def quoted(self, name: str) -> str: ...
    def columns(self, table: str) -> dict[str, pl.DataType]: ...
    def select(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]: ...


_SQLITE: dict[str, pl.DataType] = {
    "INT": pl.Int64(), "CHAR": pl.String(), "CLOB": pl.String(), "TEXT": pl.String(), "BLOB": pl.Binary(),
    "REAL": pl.Float64(), "FLOA": pl.Float64(), "DOUB": pl.Float64(), "BOOL": pl.Boolean(),
    "DATETIME": pl.Datetime("us"), "TIMESTAMP": pl.Datetime("us"), "DATE": pl.Date(),
}  # fmt: skip


class _SQLite:
    mark = "?"

    def __init__(self, path: str, seconds: float) -> None:
        self.label, self._seconds = path, seconds
        self.answers = Answers("from_sql", path, (sqlite3.Error,), _is_busy, seconds=seconds, secrets=())

    def quoted(self, name: str) -> str:
        return f"`{name.replace('`', '``')}`"  # in double quotes SQLite takes a column that is gone for text

    def _open(self) -> closing[sqlite3.Connection]:
        address = f"{Path(self.label).resolve().as_uri()}?mode=ro"  # a wrong name makes no new file
        link = sqlite3.connect(address, uri=True, timeout=self._seconds)
        link.text_factory = _text_if_it_is
        return closing(link)

    def columns(self, table: str) -> dict[str, pl.DataType]:
        with self._open() as link:
            link.execute(f"SELECT 1 FROM {table} LIMIT 0")  # noqa: S608  the name is quoted
            found = link.execute(f"PRAGMA table_info({table})").fetchall()
        return {name: _sqlite_type(declared) for _, name, declared, *_ in found}

    def select(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._open() as link:
            return link.execute(statement, values).fetchall()


def _text_if_it_is(raw: bytes) -> str | bytes:
    """Return text; bytes that are none stay bytes, so that only their row is set aside."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _is_busy(error: BaseException) -> bool:
    codes = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)
    return getattr(error, "sqlite_errorcode", None) in codes


def _sqlite_type(declared: str) -> pl.DataType:
    """Return a column's type by its declaration, as SQLite's rules of affinity go; the longest word counts."""
    words = sorted((word for word in _SQLITE if word in declared.upper()), key=len)
    return _SQLITE[words[-1]] if words else pl.String()


_POSTGRES: dict[str, pl.DataType] = {
    "int2": pl.Int16(), "int4": pl.Int32(), "int8": pl.Int64(), "float4": pl.Float32(), "float8": pl.Float64(),
    "bool": pl.Boolean(), "bytea": pl.Binary(), "date": pl.Date(), "timestamp": pl.Datetime("us"),
    "timestamptz": pl.Datetime("us", "UTC"),
}  # fmt: skip


class _Postgres:
    mark = "%s"

    def __init__(self, dsn: str, seconds: float) -> None:
        self._psycopg = library("from_sql", "psycopg", "psycopg", "postgres")
        self._dsn, self._seconds = dsn, seconds
        try:
            parts = self._psycopg.conninfo.conninfo_to_dict(dsn)
        except self._psycopg.ProgrammingError:
            raise PlanError(
                "from_sql: the address cannot be read; write 'postgresql://user:password@host/db'.",
                code="OPTION_INVALID",
            ) from None
        self._options = parts.get("options", "")  # the user's own come first, ours are added
        self.label = f"postgresql://{parts.get('host', '')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
        secrets, error = (parts.get("password"),), self._psycopg.Error
        self.answers = Answers("from_sql", self.label, (error,), self._is_away, seconds=seconds, secrets=secrets)

    def _is_away(self, error: BaseException) -> bool:
        return isinstance(error, self._psycopg.OperationalError)

    def quoted(self, name: str) -> str:
        return '"' + name.replace('"', '""').replace("%", "%%") + '"'

    def _open(self) -> Any:
        limit = max(2, round(self._seconds))
        ours = f"-c statement_timeout={int(self._seconds * 1000)} -c default_transaction_read_only=on"
        return self._psycopg.connect(self._dsn, connect_timeout=limit, options=f"{self._options} {ours}")

    def columns(self, table: str) -> dict[str, pl.DataType]:
        with self._open() as link:
            described = link.execute(f"SELECT * FROM {table} LIMIT 0", ()).description  # noqa: S608  quoted
        names = {column.name: self._psycopg.adapters.types.get(column.type_code) for column in described}
        return {name: _POSTGRES.get(getattr(kind, "name", ""), pl.String()) for name, kind in names.items()}

    def select(self, statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._open() as link:
            rows: list[tuple[Any, ...]] = link.execute(statement, values).fetchall()
            return rows
