"""from_files: the files of a folder, each new one, and each new line of JSON, new input."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from streamnb.connect import Sifted, Unit
from streamnb.errors import DataError, PlanError
from streamnb.schema import Schema, as_rows, microseconds, polars_schema
from streamnb.sinks.file_log import FOLDER, counted
from streamnb.sources.ahead import Ahead
from streamnb.sources.partitions import columns, inferred, is_open, pattern_of, root_of, values_of
from streamnb.sources.pieces import Piece, Taken, ends_of_lines, file_format, seen, visible, whole
from streamnb.sources.sift import check_columns, csv_rows, infer_lines, json_lines
from streamnb.time import Clock, SystemClock

MAX_BYTES = 16 * 2**20
"""How many bytes of files a batch takes at most, unless told otherwise; a single larger file is still one batch."""


class Files:
    """CSV, JSON lines and Parquet files as a source. Offsets count pieces in the order in which they were taken.

    JSON lines (``.jsonl``, ``.ndjson``, ``.json``) are read as they grow, up to the last line break; a piece is some of
    a file's lines. A CSV, Parquet or compressed file is one piece: move it into place when it is finished. One that
    looks half written (a Parquet file without its footer; a CSV file that does not end in a line break and was changed
    within the last two seconds) waits. Hidden files, those that begin with ``_`` or end in ``.tmp``, ``.part`` or
    ``.crdownload`` are left alone. New files are taken in order of modification time, then name.

    Folders below the first ``*`` that are called ``name=value`` are columns: those that ``schema`` names, in its
    types; without one all of them, in types guessed as Spark does. A value that does not fit its column is a DataError.

    In a folder that ``sn.sinks.Files`` writes, the files that its log names are read, and no others.

    A file that was taken and is truncated, replaced or, before it is read, gone is a DataError; one that has been read
    may go. All files have the same columns, in any order; a field that JSON lines leave out is null. A record that
    does not fit is set aside (``q.dead_letters``); a file with other columns is a DataError, and the stream waits.
    """

    def __init__(
        self,
        pattern: str,
        schema: Schema | None,
        files_per_batch: int | None,
        clock: Clock | None,
        max_bytes_per_batch: int | None = MAX_BYTES,
    ) -> None:
        for name, value in {"files_per_batch": files_per_batch, "max_bytes_per_batch": max_bytes_per_batch}.items():
            if value is not None and value < 1:
                raise PlanError(f"from_files: {name}={value!r} reads nothing; give 1 or more.", code="OPTION_INVALID")
        self._given, self._pattern, self._root = pattern, pattern_of(pattern), root_of(pattern_of(pattern))
        self._per_batch, self._bytes = files_per_batch, max_bytes_per_batch
        self._clock = clock or SystemClock()
        self._done = 0  # what was read once must still be there
        self.recall([])
        self.schema = self._first_schema() if schema is None else polars_schema("from_files", schema)

    def _first_schema(self) -> pl.Schema:
        self._look()
        if not self._pieces:
            raise DataError(
                f"from_files: no file matches {self._pattern!r} yet, so its columns are not known; give schema={{…}}."
            )
        paths = [Path(path) for path in dict.fromkeys(piece.path for piece in self._pieces)]
        folders = inferred([(path, values_of(path, self._root)) for path in paths])
        path = Path(self._pieces[0].path)
        try:
            return pl.Schema({**microseconds(_inferred(path)).schema, **folders})
        except PolarsError as error:
            raise _unreadable(path, error) from error

    # -- what is there

    def latest(self) -> int:
        self._look()
        return self._first + len(self._pieces)

    def unit(self, start: int | None) -> Unit | None:
        first = (start or 0) - self._first
        if first >= len(self._pieces):
            self._look()
        taken = self._at_once(self._pieces[first:])
        return Unit((start or 0) + taken) if taken else None

    def _at_once(self, pieces: Sequence[Piece]) -> int:
        """Return how many pieces a batch takes: one at least, then as many as its limits allow."""
        size = 0
        for count, piece in enumerate(pieces):
            size += piece.end - piece.start
            if count and (count == self._per_batch or (self._bytes is not None and size > self._bytes)):
                return count
        return len(pieces)

    def _look(self) -> None:
        paths = [Path(name) for name in glob.glob(self._pattern, recursive=True)]  # noqa: PTH207  the pattern may be absolute
        logs = {folder: counted(folder) for folder in {path.parent for path in paths}}
        ready = [p for p in paths if visible(p) and is_open(p, self._root) and _counts(p, logs[p.parent])]
        found = [piece for path in ready for piece in self._found(path)]
        self._pieces += sorted(found, key=lambda piece: (piece.modified, Path(piece.path).name, piece.start))
        for piece in found:
            self._taken[piece.path] = piece.taken()

    def _found(self, path: Path) -> Iterator[Piece]:
        """Yield the pieces of a file that are new."""
        taken = self._taken.get(str(path))
        try:
            now = seen(path)
        except FileNotFoundError:  # it went away a moment ago
            return
        if taken is not None:
            taken.check(path, now)
        if file_format(path) == "lines":
            start = 0 if taken is None else taken.end
            for end in ends_of_lines(path, start, now, self._bytes, self._clock.now()):
                yield Piece.of(path, start, end, now)
                start = end
        elif taken is None and whole(path, now, self._clock.now()):
            yield Piece.of(path, 0, now.size, now)

    # -- reading

    def read(self, start: int | None, end: int) -> Sifted:
        pieces = self._between(start, end)
        parts = [self._rows(piece, rows) for piece, rows in zip(pieces, self._ahead.take(pieces), strict=True)]
        if len(parts) == 1:
            return parts[0]
        rows = pl.concat([part.rows for part in parts]) if parts else pl.DataFrame(schema=self.schema)
        return Sifted(rows, [bad for part in parts for bad in part.bad])

    def prepare(self, start: int) -> None:
        pieces = self._pieces[start - self._first :]
        pieces = pieces[: self._at_once(pieces)]
        if pieces and all(file_format(Path(p.path)) == "parquet" and p.checksum is None for p in pieces):
            self._ahead.begin(pieces)

    def _between(self, start: int | None, end: int) -> list[Piece]:
        return self._pieces[(start or 0) - self._first : end - self._first]

    def _rows(self, piece: Piece, decoded: pl.DataFrame | None) -> Sifted:
        folders = columns(values_of(Path(piece.path), self._root), self.schema, piece.path)
        named = {column.meta.output_name() for column in folders}
        found = self._rows_within(piece, named) if decoded is None else self._parquet(piece, decoded, named)
        if not folders and found.rows.columns == self.schema.names():
            return found
        return Sifted(found.rows.with_columns(folders).select(self.schema.names()), found.bad)

    def _rows_within(self, piece: Piece, without: set[str]) -> Sifted:
        """Return what a file itself says of the columns that its folders do not give."""
        content, kind = piece.content(), file_format(Path(piece.path))
        try:
            if kind == "parquet":
                return self._parquet(piece, pl.read_parquet(content), without)
            schema = self._schema_within(without)
            if kind == "csv":
                return csv_rows(content, piece.path, schema)
            return json_lines(content, piece.path, piece.start, schema)
        except PolarsError as error:
            raise _unreadable(piece.path, error) from error

    def _parquet(self, piece: Piece, decoded: pl.DataFrame, without: set[str]) -> Sifted:
        rows = decoded.drop(without, strict=False) if without else decoded
        schema = self._schema_within(without)
        check_columns(piece.path, rows.columns, schema)
        return Sifted(as_rows(f"from_files: {piece.path}", rows, schema))

    def _schema_within(self, without: set[str]) -> pl.Schema:
        return pl.Schema({name: dtype for name, dtype in self.schema.items() if name not in without})

    def commit(self, end: int) -> None:
        self._done = max(self._done, end)

    # -- for one query

    def reader(self) -> Files:
        """Return the same source for one query, which has taken nothing yet."""
        fresh = copy(self)
        fresh.recall([])
        return fresh

    def summary(self, end: int) -> dict[str, Any]:
        taken = self._before | {piece.path: piece.taken() for piece in self._between(self._first, end)}
        return {"first": end, "taken": {path: t.as_json() for path, t in taken.items()}}

    def note(self, start: int | None, end: int) -> dict[str, Any]:
        return {"pieces": [piece.sealed().as_json() for piece in self._between(start, end)]}

    def recall(self, notes: Sequence[Any]) -> None:
        self._first = 0
        self._pieces: list[Piece] = []
        self._before: dict[str, Taken] = {}
        for note in notes:
            if "taken" in note:
                self._first, self._pieces = note["first"], []
                self._before = {path: Taken(*taken) for path, taken in note["taken"].items()}
            self._pieces += [Piece(*piece) for piece in note.get("pieces", ())]
        self._taken = self._before | {piece.path: piece.taken() for piece in self._pieces}
        self._done = self._first + len(self._pieces)
        self._ahead = Ahead()

    def forget(self, end: int | None) -> None:
        self._pieces = self._between(self._first, max(end or 0, self._done))
        self._taken = self._before | {piece.path: piece.taken() for piece in self._pieces}

    def __repr__(self) -> str:
        return f"Files({self._given!r})"


def _counts(path: Path, names: frozenset[str] | None) -> bool:
    """In a folder that ``sn.sinks.Files`` writes only the files count that its log names."""
    return path.parent.name != FOLDER and (names is None or path.name in names)


def _unreadable(path: object, error: Exception) -> DataError:
    return DataError(f"from_files: cannot read {path}: {error}; mend it or move it away.")


def _inferred(path: Path) -> pl.DataFrame:
    piece, kind = Piece.of(path, 0, path.stat().st_size, seen(path)), file_format(path)
    content = piece.content()
    if kind == "parquet":
        return pl.DataFrame(schema=pl.read_parquet_schema(content))
    if kind == "csv":
        return pl.read_csv(content, try_parse_dates=True, infer_schema_length=None)
    return infer_lines(content)
