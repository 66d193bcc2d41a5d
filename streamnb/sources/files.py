"""from_files: the files of a folder, each new one new input."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from streamnb.connect import Unit
from streamnb.errors import DataError, PlanError
from streamnb.schema import Schema, as_rows, microseconds, polars_schema
from streamnb.sinks.file_log import FOLDER, counted
from streamnb.time import SECOND, Clock, SystemClock

_SETTLED = 2 * SECOND
_READERS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}


@dataclass(frozen=True)
class _Seen:
    path: Path
    size: int
    modified: int


class Files:
    """CSV, JSON lines and Parquet files as a source. Offsets count files in the order in which they were taken.

    New files are taken in order of modification time, then name. Hidden files, those that begin with ``_`` or end in
    ``.tmp``, ``.part`` or ``.crdownload`` are left alone; move a finished file into place. A file that looks half
    written (a Parquet file without its footer; a text file that does not end in a line break and was changed within the
    last two seconds) waits. A file that changes after it was taken is a DataError; one that has been read may go.

    In a folder that ``sn.sinks.Files`` writes, the files that its log names are read, and no others.

    All files have the same columns, in any order; a field that JSON lines leave out is null. A file that differs is a
    DataError that names it, and the stream waits there.
    """

    def __init__(self, pattern: str, schema: Schema | None, files_per_batch: int | None, clock: Clock | None) -> None:
        if files_per_batch is not None and files_per_batch < 1:
            raise PlanError(
                f"from_files: files_per_batch={files_per_batch!r} reads nothing; give 1 or more.", code="OPTION_INVALID"
            )
        self._pattern, self._per_batch = pattern, files_per_batch
        self._clock = clock or SystemClock()
        self._taken: list[_Seen] = []
        self.schema = self._first_schema() if schema is None else polars_schema("from_files", schema)

    def _first_schema(self) -> pl.Schema:
        self._look()
        if not self._taken:
            raise DataError(
                f"from_files: no file matches {self._pattern!r} yet, so its columns are not known; give schema={{…}}."
            )
        return microseconds(_load(self._taken[0].path, None)).schema

    def _look(self) -> None:
        paths = [Path(name) for name in glob.glob(self._pattern, recursive=True)]  # noqa: PTH207  the pattern may be absolute
        known = {seen.path: seen for seen in self._taken}
        for path in known.keys() & set(paths):
            self._unchanged(known[path])
        logs = {folder: counted(folder) for folder in {path.parent for path in paths}}
        found = [self._seen(p) for p in paths if p not in known and _visible(p) and _counts(p, logs[p.parent])]
        ready = [seen for seen in found if _whole(seen, self._clock.now())]
        self._taken += sorted(ready, key=lambda seen: (seen.modified, seen.path.name))

    def _seen(self, path: Path) -> _Seen:
        stat = path.stat()
        return _Seen(path, stat.st_size, stat.st_mtime_ns // 1_000)

    def latest(self) -> int:
        self._look()
        return len(self._taken)

    def unit(self, start: int | None) -> Unit | None:
        done, end = start or 0, self.latest()
        if self._per_batch is not None:
            end = min(end, done + self._per_batch)
        return Unit(end) if end > done else None

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        frames = [self._rows(seen) for seen in self._taken[start or 0 : end]]
        return pl.concat(frames) if frames else pl.DataFrame(schema=self.schema)

    def _rows(self, seen: _Seen) -> pl.DataFrame:
        self._unchanged(seen)
        rows = _load(seen.path, self.schema)
        missing = [name for name in self.schema if name not in rows.columns]
        if missing and _format(seen.path) != "json":
            raise DataError(
                f"from_files: {seen.path} lacks the columns {missing} that other files have; "
                "give schema= and fill them, or move the file away."
            )
        return as_rows(f"from_files: {seen.path}", rows, self.schema)

    def _unchanged(self, seen: _Seen) -> None:
        if not seen.path.exists():
            raise DataError(f"from_files: {seen.path} is gone and was part of the stream; put it back.")
        if self._seen(seen.path) != seen:
            raise DataError(
                f"from_files: {seen.path} has changed since it was taken; write elsewhere and move finished files in."
            )

    def commit(self, end: int) -> None:
        """Nothing to do: the files stay."""

    def __repr__(self) -> str:
        return f"Files({self._pattern!r})"


def _visible(path: Path) -> bool:
    return path.is_file() and path.name[0] not in "._" and path.suffix not in {".tmp", ".part", ".crdownload"}


def _counts(path: Path, names: frozenset[str] | None) -> bool:
    """In a folder that ``sn.sinks.Files`` writes only the files count that its log names."""
    return path.parent.name != FOLDER and (names is None or path.name in names)


def _format(path: Path) -> str:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in _READERS:
        raise DataError(f"from_files: {path} is none of {', '.join(_READERS)}; narrow the pattern.")
    return _READERS[suffix.lower()]


def _whole(seen: _Seen, now: int) -> bool:
    if seen.path.suffix == ".gz":
        return now - seen.modified >= _SETTLED
    if _format(seen.path) == "parquet":
        return seen.size > 8 and _tail(seen.path, 4) == b"PAR1"
    return seen.size > 0 and (_tail(seen.path, 1) == b"\n" or now - seen.modified >= _SETTLED)


def _tail(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(-size, 2)
        return file.read()


def _load(path: Path, schema: pl.Schema | None) -> pl.DataFrame:
    try:
        if _format(path) == "parquet":
            return pl.read_parquet(path)
        if _format(path) == "json":
            return pl.read_ndjson(path, infer_schema_length=None)
        if schema is None:
            return pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)
        return pl.read_csv(path, schema_overrides=_loose(schema))
    except PolarsError as error:
        raise DataError(f"from_files: cannot read {path}: {error}; mend it or move it away.") from error


def _loose(schema: pl.Schema) -> dict[str, pl.DataType]:
    """Read times as text first, so that a bad one is named."""
    return {name: pl.String() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
