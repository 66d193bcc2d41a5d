"""Postgres: rows by COPY into a staging table, merged together with the ledger in one transaction."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.errors import PlanError, QueryError
from streamnb.patience import library, masked, patiently
from streamnb.points import reached
from streamnb.sinks.ledger import Verdict, digest
from streamnb.sinks.plain import plain
from streamnb.sinks.target import STAGE, Target, Transactional, quoted
from streamnb.time import SECOND, Duration, duration

if TYPE_CHECKING:
    import psycopg

_CREATE = """CREATE TABLE IF NOT EXISTS _streamnb_ledger
    (query TEXT PRIMARY KEY, batch BIGINT NOT NULL, epoch BIGINT NOT NULL, digest TEXT NOT NULL)"""
_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('streamnb ' || %s, 0))"
_LAST = "SELECT batch, epoch, digest FROM _streamnb_ledger WHERE query = %s"
_NOTE = """INSERT INTO _streamnb_ledger VALUES (%s, %s, %s, %s)
    ON CONFLICT (query) DO UPDATE SET batch = excluded.batch, epoch = excluded.epoch, digest = excluded.digest"""
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
_UNIQUE = """SELECT COALESCE((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false), array_agg(a.attname::text)
    FROM pg_index i JOIN pg_attribute a
    ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
    WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    GROUP BY i.indexrelid, 1"""
_NULLS_ARE_EQUAL = 150_000  # the version of the server from which a unique index can be told so
_REFUSED = ("authentication failed", "does not exist", "no password supplied", "no pg_hba.conf entry")


class Postgres(Transactional):
    """Write a table of a Postgres database, exactly once.

    Append mode inserts; update mode replaces the row of the same ``key`` (null is a key like any other); complete mode
    replaces the whole table, which readers see at once. Rows and the note which batch they were are one transaction, so
    a batch that comes again is skipped. With ``version`` a row only replaces one with an older or equal value in that
    column. ``table`` may name a schema too: ``"public.counts"``.

    ``dsn`` is an address as ``psql`` takes it; what it leaves out comes from the environment (``PGPASSWORD`` …). It is
    never shown. A batch that takes longer than ``timeout`` fails and is tried again. The table is made if it is not
    there; one that is there needs a unique index on the key. Lists and structs are written as JSON.

    >>> sn.sinks.Postgres("postgresql://me:secret@localhost/db", "hourly")
    Postgres('localhost:5432/db', 'hourly')
    """

    def __init__(
        self,
        dsn: str,
        table: str,
        key: str | Sequence[str] | None = None,
        version: str | None = None,
        timeout: Duration = "30 seconds",
    ) -> None:
        self._client = library("sinks.Postgres", "psycopg", "psycopg", "postgres")
        self._target = Target.of("Postgres", table, key, version)
        parts = self._parts(dsn)
        self._place = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
        # Closed over, so that the password is in no attribute.
        self._connect: Callable[..., Any] = lambda **options: self._client.connect(dsn, **options)
        self._said: Callable[[object], str] = lambda error: masked(error, [dsn, parts.get("password")])
        self._seconds = duration(timeout, "Postgres") / SECOND

    def _parts(self, dsn: str) -> dict[str, Any]:
        with suppress(self._client.Error):
            parts: dict[str, Any] = self._client.conninfo.conninfo_to_dict(dsn)
            return parts
        raise PlanError(
            "Postgres: the dsn cannot be read; write postgresql://user:password@host:5432/database, "
            "or host=… dbname=… user=….",
            code="OPTION_INVALID",
        )

    def __repr__(self) -> str:
        return f"Postgres({self._place!r}, {self._target.table!r})"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        links: list[psycopg.Connection[Any]] = []
        try:
            return patiently(lambda: self._write(links, batch_id, rows, mode), self._seconds)
        except self._client.OperationalError as error:
            failure = self._unreachable(error)
        except self._client.Error as error:
            failure = QueryError(f"Postgres: {self._said(error)}; mend the table {self._target.table!r}.")
        except BaseException:
            _cut(links)
            raise
        raise failure  # outside of the handlers, so that the client's own words are nowhere behind it

    def _unreachable(self, error: Exception) -> Exception:
        said = self._said(error)
        if any(words in said for words in _REFUSED):
            return QueryError(f"Postgres: {self._place} refuses: {said}; mend the dsn.")
        return ConnectionError(f"{self._place}: {said}")

    def _write(self, links: list[psycopg.Connection[Any]], batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        seconds = max(2, round(self._seconds))
        with self._connect(connect_timeout=seconds) as link:
            links.append(link)
            for setting in ("statement_timeout", "lock_timeout"):
                link.execute("SELECT set_config(%s, %s, true)", [setting, f"{seconds}s"])
            link.execute(_CREATE)
            link.execute(_ALONE, [self._ledger.query])
            found = link.execute(_LAST, [self._ledger.query]).fetchone()
            mine = digest(rows)
            if self._ledger.judge(found, batch_id, mine) is Verdict.SKIP:
                return
            self._merge(link, self._target.newest(rows), mode)
            reached("sink.rows")
            link.execute(_NOTE, [self._ledger.query, batch_id, self._ledger.epoch, mine])
            reached("sink.ledger")

    def _merge(self, link: psycopg.Connection[Any], rows: pl.DataFrame, mode: str) -> None:
        self._prepare(link, rows)
        table, names = _path(self._target.table), ", ".join(map(quoted, rows.columns))
        link.execute(f"CREATE TEMP TABLE {STAGE} ON COMMIT DROP AS SELECT {names} FROM {table} WITH NO DATA")
        with link.cursor().copy(f"COPY {STAGE} FROM STDIN (FORMAT csv)") as copy:
            copy.write(_csv(rows))
        if mode == "complete":
            link.execute(f"DELETE FROM {table}")
        link.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {STAGE}{self._conflict(rows.columns)}")

    def _prepare(self, link: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
        table, key = _path(self._target.table), self._target.key
        nulls = " NULLS NOT DISTINCT" if link.info.server_version >= _NULLS_ARE_EQUAL else ""
        unique = [f"UNIQUE{nulls} ({', '.join(map(quoted, key))})"] if key else []
        columns = [f"{quoted(name)} {_type(dtype)}" for name, dtype in rows.schema.items()]
        link.execute("SET LOCAL client_min_messages = warning")
        link.execute(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join([*columns, *unique])})")
        self._target.compare((name for (name,) in link.execute(_COLUMNS, [table])), rows.columns)
        if key:
            self._check_key(link.execute(_UNIQUE, [table]).fetchall(), rows)

    def _check_key(self, indexes: list[tuple[bool, list[str]]], rows: pl.DataFrame) -> None:
        key = self._target.key
        has_null = any(rows[name].null_count() for name in key)
        fitting = [nulls_are_equal for nulls_are_equal, columns in indexes if set(columns) == set(key)]
        if not fitting or (has_null and not any(fitting)):
            what = "a null, and every null is another to its" if fitting else "no"
            index = f"CREATE UNIQUE INDEX ON {_path(self._target.table)} ({', '.join(map(quoted, key))})"
            raise QueryError(
                f"Postgres: table {self._target.table!r} has {what} unique index on its key {list(key)}; "
                f"{index} NULLS NOT DISTINCT, or write to another table."
            )

    def _conflict(self, columns: Sequence[str]) -> str:
        key, version = self._target.key, self._target.version
        if not key:
            return ""
        values = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in columns if name not in key)
        there = f"{_path(self._target.table)}.{quoted(version)}" if version else ""
        newer = f" WHERE {there} IS NULL OR excluded.{quoted(version)} >= {there}" if version else ""
        then = f"UPDATE SET {values}{newer}" if values else "NOTHING"
        return f" ON CONFLICT ({', '.join(map(quoted, key))}) DO {then}"


def _cut(links: list[psycopg.Connection[Any]]) -> None:
    """Shut the connection that another thread waits at, so that it ends."""
    for link in links:
        with suppress(Exception), socket.socket(fileno=socket.dup(link.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


def _path(table: str) -> str:
    return ".".join(map(quoted, table.split(".")))


def _csv(rows: pl.DataFrame) -> bytes:
    bytes_ = [pl.col(name).bin.encode("hex") for name, dtype in rows.schema.items() if dtype == pl.Binary]
    as_bytea = [pl.concat_str(pl.lit("\\x"), text).alias(text.meta.output_name()) for text in bytes_]
    content = io.BytesIO()
    plain("Postgres", rows.with_columns(as_bytea)).write_csv(content, include_header=False)
    return content.getvalue()


_TYPES: dict[type[pl.DataType], str] = {
    pl.Boolean: "BOOLEAN", pl.Int8: "SMALLINT", pl.Int16: "SMALLINT", pl.Int32: "INTEGER", pl.Int64: "BIGINT",
    pl.UInt8: "SMALLINT", pl.UInt16: "INTEGER", pl.UInt32: "BIGINT", pl.UInt64: "NUMERIC", pl.Int128: "NUMERIC",
    pl.Float32: "REAL", pl.Float64: "DOUBLE PRECISION", pl.Decimal: "NUMERIC", pl.Binary: "BYTEA", pl.Date: "DATE",
    pl.Time: "TIME", pl.Duration: "INTERVAL", pl.List: "JSONB", pl.Array: "JSONB", pl.Struct: "JSONB",
}  # fmt: skip


def _type(dtype: pl.DataType) -> str:
    if isinstance(dtype, pl.Datetime):
        return "TIMESTAMPTZ" if dtype.time_zone else "TIMESTAMP"
    return _TYPES.get(type(dtype), "TEXT")
