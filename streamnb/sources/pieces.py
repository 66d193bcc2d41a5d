"""Pieces: which bytes of which files were taken, so that they can be taken again, the very same."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

from streamnb.errors import DataError
from streamnb.time import SECOND

_SETTLED = 2 * SECOND
_TAIL = 1024
_BLOCK = 2**18
FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet"}


@dataclass(frozen=True)
class Seen:
    """A file's size and time of modification (microseconds)."""

    size: int
    modified: int


@dataclass(frozen=True)
class Taken:
    """How far a file has been taken: its end then, its time, and a checksum of the bytes just before that end."""

    end: int
    modified: int
    tail: int

    def as_json(self) -> list[Any]:
        return list(astuple(self))

    def check(self, path: Path, now: Seen) -> None:
        """Raise a DataError if a file that was taken is now another one."""
        if file_format(path) != "lines":
            if now != Seen(self.end, self.modified) and (now.size != self.end or _tail(path, self.end) != self.tail):
                raise _changed(path)
        elif now.size < self.end:
            raise DataError(
                f"from_files: {path} was read up to byte {self.end} and has {now.size} now; "
                "it was truncated or replaced: put it back, and write new lines to a new file."
            )
        elif now.modified != self.modified and _tail(path, self.end) != self.tail:
            raise DataError(
                f"from_files: {path} was read up to byte {self.end} and its lines before that are others now; "
                "put it back, and write new lines to a new file."
            )


@dataclass(frozen=True)
class Piece:
    """Some bytes of a file: all of them, or whole lines. ``checksum`` is that of the bytes, once it was needed."""

    path: str
    start: int
    end: int
    modified: int
    tail: int
    checksum: int | None = None

    @classmethod
    def of(cls, path: Path, start: int, end: int, now: Seen) -> Piece:
        return cls(str(path), start, end, now.modified, _tail(path, end))

    def taken(self) -> Taken:
        return Taken(self.end, self.modified, self.tail)

    def as_json(self) -> list[Any]:
        return list(astuple(self))

    def sealed(self) -> Piece:
        """Return the piece with the checksum of its bytes."""
        if self.checksum is not None:
            return self
        checksum, left, part = 0, self.end - self.start, memoryview(bytearray(_BLOCK))
        with self.open() as file:
            while left > 0 and (size := file.readinto(part[:left])):
                checksum, left = zlib.crc32(part[:size], checksum), left - size
        return replace(self, checksum=checksum)

    def content(self) -> bytes:
        """Return the bytes, unpacked; a DataError if they are not those that were taken."""
        content = self._bytes()
        if not self.path.endswith(".gz"):
            return content
        try:
            return gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"from_files: cannot read {self.path}: {error}; mend it or move it away.") from error

    def open(self) -> BufferedReader:
        """Open the file at the first byte of the piece; a DataError if it is not the one that was taken."""
        path = Path(self.path)
        try:
            now = seen(path)
        except FileNotFoundError:
            raise DataError(f"from_files: {path} is gone and was part of the stream; put it back.") from None
        touched = self.checksum is None and now.modified != self.modified
        if file_format(path) != "lines" and (touched or now.size != self.end):
            raise _changed(path)
        self.taken().check(path, now)
        file = path.open("rb")
        file.seek(self.start)
        return file

    def _bytes(self) -> bytes:
        with self.open() as file:
            content = file.read(self.end - self.start)
        if self.checksum is not None and zlib.crc32(content) != self.checksum:
            raise _changed(Path(self.path))
        return content


def _changed(path: Path) -> DataError:
    return DataError(f"from_files: {path} has changed since it was taken; write elsewhere and move finished files in.")


def seen(path: Path) -> Seen:
    """Return what the file system tells of a file."""
    stat = path.stat()
    return Seen(stat.st_size, stat.st_mtime_ns // 1_000)


def visible(path: Path) -> bool:
    """Tell whether a name is one of a finished file."""
    return path.is_file() and path.name[0] not in "._" and path.suffix not in {".tmp", ".part", ".crdownload"}


def file_format(path: Path) -> str:
    """Return ``"lines"`` (JSON lines that may grow), ``"json"`` (packed), ``"csv"`` or ``"parquet"``, by the ending."""
    packed = path.suffix == ".gz"
    suffix = (Path(path.stem) if packed else path).suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"from_files: {path} is none of {', '.join(FORMATS)}; narrow the pattern.")
    return "lines" if FORMATS[suffix] == "json" and not packed else FORMATS[suffix]


def whole(path: Path, now: Seen, time: int) -> bool:
    """Tell whether a file that is taken whole looks finished."""
    settled = time - now.modified >= _SETTLED
    if path.suffix == ".gz":
        return settled
    if file_format(path) == "parquet":
        return now.size > 8 and _last(path, now.size, 4) == b"PAR1"
    return now.size > 0 and (settled or _last(path, now.size, 1) == b"\n")


def ends_of_lines(path: Path, start: int, now: Seen, limit: int | None, time: int) -> Iterator[int]:
    """Yield where to cut what is new of a file: at line breaks, every ``limit`` bytes or a line more.

    A last line without its break counts once it is a whole JSON object and nothing was written for two seconds.
    """
    if start == now.size:
        return
    with path.open("rb") as file:
        end = _after_last_break(file, start, now.size)
        if end < now.size and time - now.modified >= _SETTLED and _is_object(file, end, now.size):
            end = now.size
        while limit is not None and end - start > limit:
            cut = _after_last_break(file, start, start + limit)
            start = cut if cut > start else min(end, _after_next_break(file, start + limit, end))
            yield start
    if end > start:
        yield end


def _after_last_break(file: Any, start: int, end: int) -> int:
    """Return the place after the last line break between two places; ``start`` if there is none."""
    while end > start:
        first = max(start, end - _BLOCK)
        file.seek(first)
        at = file.read(end - first).rfind(b"\n")
        if at >= 0:
            return int(first + at + 1)
        end = first
    return start


def _after_next_break(file: Any, start: int, end: int) -> int:
    file.seek(start)
    return int(start + len(file.readline(end - start)))


def _is_object(file: Any, start: int, end: int) -> bool:
    file.seek(start)
    try:
        return isinstance(json.loads(file.read(end - start)), dict)
    except ValueError:
        return False


def _last(path: Path, end: int, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(max(0, end - size))
        return file.read(min(size, end))


def _tail(path: Path, end: int) -> int:
    return zlib.crc32(_last(path, end, _TAIL))
