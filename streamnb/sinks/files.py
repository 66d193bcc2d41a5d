"""Files: every batch a file of a folder, and a log that says which files count."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from streamnb.errors import PlanError, QueryError, one_of
from streamnb.points import reached
from streamnb.sinks.file_format import Format, format_of
from streamnb.sinks.file_log import Entry, FileLog, State, synced
from streamnb.sinks.ledger import Ledger, Verdict, digest

if TYPE_CHECKING:
    import pandas as pd


class Files:
    """Write every batch as a file of a folder: ``"parquet"``, ``"csv"`` or ``"json"`` (lines). Exactly once.

    Append mode adds a file; complete mode replaces all that was there; update mode is refused, as Spark does. A file
    counts when the log ``_streamnb/N`` names it, and only whole files are ever named: what a killed writer left behind
    is not there for ``read()``, for ``sn.from_files`` of this folder, nor, while it is half written, for anyone who
    leaves out names that begin with a dot. After a kill another reader may see one whole file that does not count;
    ``files()`` gives the ones that do. Batches without rows write no file. A stream that reads the folder takes every
    file once; in complete mode that is each new table, as new rows.

    Parquet keeps every type. CSV and JSON keep numbers, text and times, and refuse others; JSON has no NaN, it is null.

    Spark: ``writeStream.format("parquet")`` with its log ``_spark_metadata``.

    >>> sink = sn.sinks.Files(f"{folder}/hourly", "csv")
    >>> hourly.query(sink=sink).run().status
    'done'
    """

    def __init__(self, path: str | os.PathLike[str], format: str = "parquet") -> None:
        if format not in Format.__members__:
            raise one_of("Files", "format", format, Format.__members__)
        self._path, self._format = Path(path), Format[format]
        self._log = FileLog(self._path)
        self._ledger = Ledger()

    def __repr__(self) -> str:
        return f"Files({str(self._path)!r}, {self._format.name!r})"

    def check(self, mode: str) -> None:
        if mode == "update":
            raise PlanError(
                "Files: a file cannot replace rows of another, so there is no update mode; "
                "use append or complete, or sn.sinks.Delta or sn.sinks.DuckDB with a key.",
                code="OPTION_INVALID",
            )

    def open(self, query: str, epoch: int) -> None:
        """Hear for which query, and which of its runs, the batches are."""
        self._ledger = Ledger(query, epoch)

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        self._path.mkdir(parents=True, exist_ok=True)
        while not self._written(batch_id, rows, mode):
            pass  # somebody else wrote meanwhile: judge again

    def _written(self, batch_id: int, rows: pl.DataFrame, mode: str) -> bool:
        mine, state = digest(rows), self._log.latest()
        if self._ledger.judge(state.ledger.get(self._ledger.query), batch_id, mine) is Verdict.SKIP:
            return True
        if mode != "complete":
            self._refuse_other_columns(state, rows.schema)
        names = [self._put(state.number, rows)] if len(rows) else []
        reached("sink.rows")
        note = {self._ledger.query: (batch_id, self._ledger.epoch, mine)}
        done = self._log.append(state, Entry(note, names, rows.schema, replaces=mode == "complete"))
        if not done:
            self._remove(names)
        return done

    def _refuse_other_columns(self, state: State, schema: pl.Schema) -> None:
        if state.schema is not None and state.schema != schema:
            raise QueryError(
                f"Files: {self._path} holds the columns {_words(state.schema)} and the batch has {_words(schema)}; "
                "write to another folder."
            )

    def _put(self, number: int, rows: pl.DataFrame) -> str:
        """Write a data file under a name that no other run can have, hidden until it is whole."""
        name = f"part-{number:08d}-{os.urandom(4).hex()}.{self._format.value}"
        hidden = self._path / f".{name}.tmp"
        self._format.write(rows, hidden)
        synced(hidden)
        hidden.rename(self._path / name)
        synced(self._path)
        return name

    def _remove(self, names: list[str]) -> None:
        for name in names:
            (self._path / name).unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the files that count, in the order of their batches."""
        return [self._path / name for name in self._log.latest().files]

    def read(self) -> pd.DataFrame:
        """Return the rows of all batches that are there, in the columns and types in which they were written."""
        return self.read_polars().to_pandas()

    def read_polars(self) -> pl.DataFrame:
        """Return the same as :meth:`read`, in Polars."""
        while True:
            state = self._log.latest()
            try:
                return self._rows(state)
            except FileNotFoundError:
                if state == self._log.latest():
                    raise QueryError(f"Files: a file that {self._path} names is gone; put it back.") from None

    def _rows(self, state: State) -> pl.DataFrame:
        if state.schema is None:
            raise QueryError(f"Files: {self._path} holds no batch yet; run a query that writes there.")
        frames = [format_of(name).read(self._path / name, state.schema) for name in state.files]
        return pl.concat([pl.DataFrame(schema=state.schema), *frames])


def _words(schema: pl.Schema | None) -> str:
    return ", ".join(f"{name} {dtype}" for name, dtype in (schema or {}).items())
