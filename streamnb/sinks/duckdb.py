"""DuckDB: rows and the ledger of batches in one transaction of a DuckDB file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from streamnb.errors import QueryError
from streamnb.patience import library
from streamnb.points import reached
from streamnb.sinks.ledger import Verdict, digest
from streamnb.sinks.target import STAGE, Target, Transactional, quoted

if TYPE_CHECKING:
    import duckdb

_CREATE = """CREATE TABLE IF NOT EXISTS _streamnb_ledger
    (query VARCHAR, batch BIGINT, epoch BIGINT, digest VARCHAR)"""
_LAST = "SELECT batch, epoch, digest FROM _streamnb_ledger WHERE query = ?"
_FORGET = "DELETE FROM _streamnb_ledger WHERE query = ?"
_NOTE = "INSERT INTO _streamnb_ledger VALUES (?, ?, ?, ?)"
_SAME = "IS NOT DISTINCT FROM"


class DuckDB(Transactional):
    """Write a table of a DuckDB file, exactly once.

    Append mode inserts; update mode replaces the row of the same ``key`` (null is a key like any other); complete mode
    replaces the whole table. Rows and the note which batch they were are one transaction, so a batch that comes again
    is skipped. With ``version`` a row only replaces one with an older or equal value in that column.

    The table is made if it is not there, with DuckDB's own types: lists, structs, decimals, time zones. The file is
    open only while a batch is written; another process that holds it open makes the batch fail and be tried again.

    >>> sink = sn.sinks.DuckDB(f"{folder}/flights.duckdb", "hourly")
    >>> hourly.query(sink=sink).run().status
    'done'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        table: str,
        key: str | Sequence[str] | None = None,
        version: str | None = None,
    ) -> None:
        self._client = library("sinks.DuckDB", "duckdb", "duckdb", "duckdb")
        self._path, self._target = os.fspath(path), Target.of("DuckDB", table, key, version)

    def __repr__(self) -> str:
        return f"DuckDB({self._path!r}, {self._target.table!r})"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        with self._client.connect(self._path) as db:
            db.begin()
            try:
                self._write(db, batch_id, rows, mode)
            except BaseException:
                db.rollback()
                raise
            db.commit()

    def _write(self, db: duckdb.DuckDBPyConnection, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        _run(db, _CREATE)
        found = _run(db, _LAST, self._ledger.query)
        mine = digest(rows)
        if self._ledger.judge(found[0] if found else None, batch_id, mine) is Verdict.SKIP:
            return
        self._merge(db, _typed(self._target.newest(rows)), mode)
        reached("sink.rows")
        _run(db, _FORGET, self._ledger.query)
        _run(db, _NOTE, self._ledger.query, batch_id, self._ledger.epoch, mine)
        reached("sink.ledger")

    def _merge(self, db: duckdb.DuckDBPyConnection, rows: pl.DataFrame, mode: str) -> None:
        db.register(STAGE, rows.to_arrow())
        table = quoted(self._target.table)
        _run(db, f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM {STAGE} LIMIT 0")  # noqa: S608  names are quoted
        self._target.compare((name for name, *_ in _run(db, f"DESCRIBE {table}")), rows.columns)
        if mode == "complete":
            _run(db, f"DELETE FROM {table}")  # noqa: S608  the name is quoted
        update = self._target.update(rows.columns, _SAME) if self._target.key else None
        if update is not None:
            _run(db, update)
        _run(db, self._target.insert(rows.columns, _SAME))


def _run(db: duckdb.DuckDBPyConnection, sql: str, *values: object) -> list[Any]:
    """Run a statement to its end: a result that is left open refuses the next statement."""
    rows: list[Any] = db.execute(sql, values).fetchall()
    return rows


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in types that DuckDB takes from Arrow."""
    wide = [column.name for column in rows if column.dtype in (pl.Int128, pl.Object)]
    if wide:
        raise QueryError(f"DuckDB: it takes no {rows[wide[0]].dtype} as in column {wide[0]!r}; cast it to a string.")
    return rows.with_columns(pl.col(pl.Null, pl.Categorical, pl.Enum).cast(pl.String))
