"""Log file: records one behind the other in one file. What is torn at its end is cut off, what is damaged is told.

A record says up to where the file was on the disk when it was written. So a bad record is torn if nothing behind it
was written after a wait for the disk that covered it, and damaged otherwise.
"""

from __future__ import annotations

import os
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from streamnb.durable import Disk
from streamnb.errors import CheckpointError
from streamnb.points import reached

_MAGIC = b"snb\n"
_HEAD = struct.Struct(">4sIIBqQQ")  # magic, checksum of the head, of the content; kind, batch, synced, length


@dataclass(frozen=True)
class Record:
    """A record in a file: its kind, its batch, its place, and up to where the file was on the disk before it."""

    kind: int
    batch: int
    start: int
    length: int
    synced: int
    checksum: int

    @property
    def end(self) -> int:
        return self.start + _HEAD.size + self.length


def head_of(content: bytes, kind: int, batch: int, *, start: int = 0, synced: int = 0) -> Record:
    """Return what is said of a content at a place."""
    return Record(kind, batch, start, len(content), synced, zlib.crc32(content))


def record(name: str, head: Record, content: bytes) -> bytes:
    """Return a record as bytes, for one place of one file: nowhere else is it valid."""
    fields = struct.pack(">IBqQQ", head.checksum, head.kind, head.batch, head.synced, head.length)
    return _MAGIC + _seal(name, head.start, fields).to_bytes(4, "big") + fields + content


def _seal(name: str, start: int, fields: bytes) -> int:
    return zlib.crc32(fields, zlib.crc32(f"{name} {start}".encode()))


class LogFile:
    """A log that is written at its end. ``add`` hands a record to the system, ``sync`` waits until all is on the disk.

    After a call that failed or was interrupted, the next one cuts the file back to what is known to be on the disk, and
    writes what was added since once more.
    """

    def __init__(self, path: Path, disk: Disk, end: int) -> None:
        self.path, self._disk = path, disk
        self._file = disk.open(path)
        self._let_go = weakref.finalize(self, os.close, self._file)
        self._at: tuple[int, tuple[bytes, ...]] = end, ()  # what is on the disk, and what was added since
        self._is_torn = False
        self._lock = threading.Lock()

    @property
    def end(self) -> int:
        synced, fresh = self._at
        return synced + sum(map(len, fresh))

    def add(self, kind: int, batch: int, content: bytes, point: str) -> Record:
        """Write a record at the end, and return where it is."""
        with self._lock:
            self._mend()
            reached(f"{point}.begun")
            (synced, fresh), start = self._at, self.end
            head = head_of(content, kind, batch, start=start, synced=synced)
            new = record(self.path.name, head, content)
            self._is_torn = True
            self._disk.append(self._file, self.path, new, start)
            self._at = synced, (*fresh, new)
            self._is_torn = False
            reached(f"{point}.done")
            return head

    def sync(self) -> None:
        """Wait until all that was added is on the disk."""
        with self._lock:
            if self._at[1] and self._let_go.alive:
                self._mend()
                self._is_torn = True
                self._disk.flush(self._file, self.path)
                self._at = self.end, ()
                self._is_torn = False

    def _mend(self) -> None:
        if self._is_torn:
            synced, fresh = self._at
            self._disk.cut(self._file, self.path, synced)
            self._disk.append(self._file, self.path, b"".join(fresh), synced)
            self._is_torn = False

    def settle(self, size: int) -> None:
        """Cut off what is torn of a file of so many bytes that was just opened, and wait for the disk."""
        if size > self.end:
            self._disk.cut(self._file, self.path, self.end)
        else:
            self._disk.flush(self._file, self.path)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._let_go()


class LogReader:
    """The records of a log file, as they stand now. ``end`` is where the first bad one begins, if any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise CheckpointError(f"checkpoint: {path} is missing; restore it or start anew.") from None
        self._size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def records(self) -> list[Record]:
        """Return the records up to what a crash has torn; a CheckpointError if the first of them, or more, is damaged.

        The content of what was on the disk in time is checked when it is read.
        """
        found = self._untorn(list(self._heads()))
        end = found[-1].end if found else 0
        if not found or any(later.synced > end for later in self._behind(end)):
            raise self._damaged()
        return found

    def _heads(self) -> Iterator[Record]:
        start = 0
        while (head := self._head(start)) is not None:
            yield head
            start = head.end

    def _untorn(self, found: Sequence[Record]) -> list[Record]:
        synced = max((head.synced for head in found), default=0)
        torn = (n for n, head in enumerate(found) if head.end > synced and not self._is_whole(head))
        return list(found[: next(torn, len(found))])

    def _behind(self, start: int) -> Iterator[Record]:
        """Return whole records behind a bad one."""
        rest = os.pread(self._file.fileno(), self._size - start, start)
        place = rest.find(_MAGIC)
        while place >= 0:
            head = self._head(start + place)
            if head is not None and self._is_whole(head):
                yield head
            place = rest.find(_MAGIC, place + 1)

    def _head(self, start: int) -> Record | None:
        read = os.pread(self._file.fileno(), _HEAD.size, start)
        if len(read) < _HEAD.size:
            return None
        magic, seal, checksum, kind, batch, synced, length = _HEAD.unpack(read)
        head = Record(kind, batch, start, length, synced, checksum)
        right = magic == _MAGIC and seal == _seal(self.path.name, start, read[8:]) and head.end <= self._size
        return head if right else None

    def _is_whole(self, head: Record) -> bool:
        return zlib.crc32(self._content(head)) == head.checksum

    def _content(self, head: Record) -> bytes:
        return os.pread(self._file.fileno(), head.length, head.start + _HEAD.size)

    def read(self, head: Record) -> bytes:
        """Return the content of a record; a CheckpointError if it is damaged."""
        content = self._content(head)
        if zlib.crc32(content) != head.checksum:
            raise self._damaged(f" at batch {head.batch}")
        return content

    def _damaged(self, where: str = "") -> CheckpointError:
        return CheckpointError(f"checkpoint: {self.path} is damaged{where}; restore it or start anew.")
