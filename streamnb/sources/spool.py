"""Spool: a local log of what was received, so that a source that forgets can be read again."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import tempfile
import threading
import weakref
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from streamnb.errors import DataError, PlanError
from streamnb.sinks.file_log import synced

_HEAD = struct.Struct(">III")  # length of a record's body, its checksum, and that of both with the record's number
_BODY = struct.Struct(">qH")  # when it came (microseconds), and the length of its tag
_EVERY = 64  # one place in so many is remembered
_SEGMENTS = 16

_opened: weakref.WeakValueDictionary[Path, Spool] = weakref.WeakValueDictionary()


class RefusedError(DataError):
    """What trying again will not mend, such as a wrong password."""


@dataclass(frozen=True)
class Received:
    """One record: its number, when it came (microseconds), what it came with (a topic, an event), and its bytes."""

    number: int
    at: int
    tag: str
    payload: bytes


@dataclass
class _Segment:
    path: Path
    first: int
    count: int = 0
    size: int = 0
    places: array[int] = field(default_factory=lambda: array("Q"))


class Spool:
    """A folder in which received records are kept, numbered from 0.

    Opened a second time in one process, as by a cell that is run again, the newer one has the folder. Records are
    written as they come; ``fsync`` also waits for the disk before a query hears of them, so that they
    outlive a loss of power and not only of the process. At ``limit`` bytes the oldest records go that every query has
    committed; so far back can a query be rewound. What no query has committed is never dropped: the source stops
    receiving until there is room.

    Parameters
    ----------
    path
        A folder of its own, for one process at a time; it is gone on from when it is opened again. None: a temporary
        folder that goes with the source, so that rewinding works and going on from a checkpoint does not.
    limit
        In bytes.
    fsync
        False: faster, and a loss of power may take the last seconds with it.

    >>> spool = sn.Spool(f"{folder}/received")
    >>> lines = sn.from_tcp("localhost", 7000, {"n": "int64"}, spool=spool)
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, limit: int = 256_000_000, fsync: bool = True
    ) -> None:
        if limit < 1:
            raise PlanError(f"Spool: limit={limit!r} holds no record; give bytes.", code="OPTION_INVALID")
        self.path = Path(tempfile.mkdtemp(prefix="streamnb-spool-") if path is None else path)
        self.limit, self.fsync = limit, fsync
        self.path.mkdir(parents=True, exist_ok=True)
        if path is None:
            weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._lock, self._closed = threading.RLock(), False
        self._files: list[BinaryIO] = []  # the one that is written to
        weakref.finalize(self, _close, self._files)
        self._own()
        self._segments = self._found()
        self._unsynced = False
        self._committed = 0
        self.room = threading.Event()

    def _own(self) -> None:
        older = _opened.pop(self.path.resolve(), None)
        if older is not None:
            older.close()
        lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
        self._let_go = weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._let_go()
            raise DataError(
                f"spool: {self.path} is in use by another process; stop that, or use another folder."
            ) from None
        _opened[self.path.resolve()] = self

    def close(self) -> None:
        """Let go of the folder; a newer source of this process has it then."""
        with self._lock:
            self._closed = True
            _close(self._files)
            self._let_go()

    def _mine(self) -> None:
        if self._closed:
            raise RefusedError(f"spool: {self.path} was taken over by a newer source of this process; use that one.")

    # -- what is there

    @property
    def first(self) -> int:
        """The oldest record that is kept."""
        return self._segments[0].first

    @property
    def end(self) -> int:
        """The number that the next record will have."""
        return self._segments[-1].first + self._segments[-1].count

    @property
    def nbytes(self) -> int:
        return sum(segment.size for segment in self._segments)

    def read(self, start: int, end: int) -> list[Received]:
        """Return records; a DataError if they are not kept any more, or not as they were written."""
        with self._lock:
            self._mine()
            if start < self.first:
                raise DataError(
                    f"spool: record {start} of {self.path} was dropped, {self.first} is the oldest; "
                    "rewind less far, or give the spool a greater limit."
                )
            if end > self.end:
                raise DataError(
                    f"spool: {self.path} ends at record {self.end} and {end} was read before; "
                    "give spool= the folder that it was, or start on a new checkpoint."
                )
            return [record for segment in self._segments for record in _records(segment, start, end)]

    # -- what comes

    def append(self, at: int, tag: str, payload: bytes) -> bool:
        """Write a record; False if there is no room for it now."""
        body = _BODY.pack(at, len(tag.encode())) + tag.encode() + payload
        size = _HEAD.size + len(body)
        if size > self.limit:
            raise RefusedError(f"spool: a record of {len(payload)} bytes is more than limit={self.limit}; raise it.")
        with self._lock:
            self._mine()
            if not self._has_room(size):
                self.room.clear()
                return False
            segment = self._open_segment()
            self._write(segment, _head(self.end, len(body), zlib.crc32(body)) + body)
            return True

    def _write(self, segment: _Segment, record: bytes) -> None:
        try:
            self._files[0].write(record)
        except BaseException:
            os.truncate(segment.path, segment.size)
            raise
        if segment.count % _EVERY == 0:
            segment.places.append(segment.size)
        segment.count, segment.size, self._unsynced = segment.count + 1, segment.size + len(record), True

    def _open_segment(self) -> _Segment:
        last = self._segments[-1]
        if last.size * _SEGMENTS > self.limit:
            self.sync()
            last = _Segment(self._name(self.end), self.end)
            self._segments.append(last)
            _close(self._files)
        if not self._files:
            self._files.append(last.path.open("ab", buffering=0))
            if self.fsync:
                synced(self.path)
        return last

    def sync(self) -> None:
        """Wait until all records are on the disk, if that was asked for."""
        with self._lock:
            if self.fsync and self._unsynced and self._files:
                os.fsync(self._files[0].fileno())
            self._unsynced = False

    # -- what goes

    def forget(self, before: int) -> None:
        """Hear that every query has committed the records before a number."""
        with self._lock:
            self._committed = max(self._committed, before)
        self.room.set()

    def _has_room(self, size: int) -> bool:
        while self.nbytes + size > self.limit:
            oldest = self._segments[0]
            if len(self._segments) == 1 or oldest.first + oldest.count > self._committed:
                return False
            oldest.path.unlink()
            del self._segments[0]
        return True

    # -- opening

    def _name(self, first: int) -> Path:
        return self.path / f"{first:020}.log"

    def _found(self) -> list[_Segment]:
        paths = sorted(self.path.glob("*.log"))
        segments = [_Segment(path, int(path.stem)) for path in paths] or [_Segment(self._name(0), 0)]
        for segment in segments:
            if segment.path.exists():
                _scan(segment, is_last=segment is segments[-1])
        for before, after in pairwise(segments):
            if before.first + before.count != after.first:
                raise DataError(f"spool: records are missing between {before.path} and {after.path}; restore them.")
        return segments

    def __repr__(self) -> str:
        return f"Spool({str(self.path)!r})"


def _close(files: list[BinaryIO]) -> None:
    while files:
        files.pop().close()


def _scan(segment: _Segment, *, is_last: bool) -> None:
    """Count the records of a file; a last one that was not written to its end is cut off."""
    length = segment.path.stat().st_size
    with segment.path.open("rb") as file:
        while (place := file.tell()) < length:
            if _next(file, segment.first + segment.count) is None:
                file.seek(place)
                if not is_last or not _is_torn(file.read(), segment.first + segment.count):
                    raise _damaged(segment, segment.first + segment.count)
                os.truncate(segment.path, place)
                break
            if segment.count % _EVERY == 0:
                segment.places.append(place)
            segment.count, segment.size = segment.count + 1, file.tell()


def _head(number: int, length: int, checksum: int) -> bytes:
    return _HEAD.pack(length, checksum, zlib.crc32(f"{number} {length} {checksum}".encode()))


def _is_torn(rest: bytes, number: int) -> bool:
    """Tell a record that was being written, or zeros that a file system left, from damage in the middle."""
    if len(rest) < _HEAD.size or not rest.strip(b"\0"):
        return True
    length, checksum, _ = _HEAD.unpack_from(rest)
    return rest.startswith(_head(number, length, checksum)) and length + _HEAD.size >= len(rest)


def _next(file: BinaryIO, number: int) -> Received | None:
    """Return the record that begins here, None if what is here is none."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum, _ = _HEAD.unpack(head)
    body = file.read(length) if head == _head(number, length, checksum) else b""
    if len(body) < max(length, _BODY.size) or zlib.crc32(body) != checksum:
        return None
    at, tagged = _BODY.unpack_from(body)
    start = _BODY.size + tagged
    return Received(number, at, body[_BODY.size : start].decode(), body[start:])


def _records(segment: _Segment, start: int, end: int) -> Iterator[Received]:
    """Yield the records of one file that are in a range."""
    first, last = max(start, segment.first), min(end, segment.first + segment.count)
    if first >= last:
        return
    skipped = (first - segment.first) // _EVERY
    with segment.path.open("rb") as file:
        file.seek(segment.places[skipped])
        for number in range(segment.first + skipped * _EVERY, last):
            record = _next(file, number)
            if record is None:
                raise _damaged(segment, number)
            if number >= first:
                yield record


def _damaged(segment: _Segment, number: int) -> DataError:
    return DataError(f"spool: record {number} in {segment.path} is damaged; restore the file, or start on a new spool.")
