"""Disks: one that records what is asked of it, and one that fails. And a sink in memory that is whole or not there."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import polars as pl

from streamnb import durable
from streamnb.durable import Disk
from streamnb.sinks.ledger import Ledger, Verdict, digest

Held = tuple[tuple[tuple[Any, ...], ...], tuple[int, int, str] | None]
"""What a table holds: its rows, and the last batch in its ledger."""


@contextmanager
def using(disk: Disk) -> Iterator[None]:
    """Have every checkpoint that is opened meanwhile written through a disk."""
    real = durable.Disk
    durable.Disk = lambda: disk  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        durable.Disk = real  # type: ignore[misc]


class Table:
    """A sink in memory with a ledger: a batch is in it, or not, at once. ``before`` and ``after`` may fail."""

    def __init__(self, held: Held = ((), None), key: tuple[str, ...] = ()) -> None:
        self.held, self._key = held, key
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None
        self._ledger = Ledger()

    def open(self, query: str, epoch: int) -> None:
        self._ledger = Ledger(query, epoch)

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.before()
        there, found = self.held
        if self._ledger.judge(found, batch_id, digest(rows)) is Verdict.WRITE:
            self.held = ((*self._kept(there, rows), *_texts(rows)), (batch_id, self._ledger.epoch, digest(rows)))
        self.after()

    def _kept(self, there: tuple[tuple[Any, ...], ...], rows: pl.DataFrame) -> list[tuple[Any, ...]]:
        """Return the rows that new ones of the same key do not replace."""
        places = [rows.columns.index(name) for name in self._key]
        new = {tuple(row[i] for i in places) for row in _texts(rows)} if places else set()
        return [row for row in there if tuple(row[i] for i in places) not in new]

    @property
    def rows(self) -> Counter[tuple[Any, ...]]:
        return Counter(self.held[0])


def _texts(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Return rows with their times as SQLite would have them."""
    return [
        tuple(value.isoformat(" ") if hasattr(value, "isoformat") else value for value in row) for row in rows.rows()
    ]


class Operation(NamedTuple):
    """One call of the file system: paths below the checkpoint, and what was written."""

    kind: Literal["create", "data", "append", "fsync", "cut", "rename", "remove", "mkdir", "sync"]
    path: str
    other: str = ""
    content: bytes = b""
    at: int = 0


class Recorder(Disk):
    """Does what is asked, and notes every operation with what the sink held by then.

    ``without`` leaves out the operations of a kind, ``"fsync"`` or ``"sync"``: a disk that is never told to wait.
    """

    def __init__(self, root: Path, table: Table, without: str = "") -> None:
        self._root, self._table, self._without = root, table, without
        self.done: list[tuple[Operation, Held]] = []

    def _note(self, kind: Any, path: Path, other: str = "", content: bytes = b"", at: int = 0) -> None:
        if kind != self._without and path.is_relative_to(self._root):
            operation = Operation(kind, path.relative_to(self._root).as_posix(), other, content, at)
            self.done.append((operation, self._table.held))

    def write(self, path: Path, content: bytes, point: str) -> None:
        super().write(path, content, point)
        self._note("create", path)
        self._note("data", path, content=content)
        self._note("fsync", path)

    def append(self, file: int, path: Path, content: bytes, at: int) -> None:
        super().append(file, path, content, at)
        self._note("append", path, content=content, at=at)

    def flush(self, file: int, path: Path) -> None:
        super().flush(file, path)
        self._note("fsync", path)

    def cut(self, file: int, path: Path, size: int) -> None:
        super().cut(file, path, size)
        self._note("cut", path, at=size)

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        self._note("rename", old, new.relative_to(self._root).as_posix())

    def remove(self, path: Path) -> None:
        super().remove(path)
        self._note("remove", path)

    def make(self, folder: Path) -> None:
        if not folder.exists():
            self.make(folder.parent)
            folder.mkdir()
            self._note("mkdir", folder)
            self.sync(folder.parent)

    def sync(self, folder: Path) -> None:
        super().sync(folder)
        self._note("sync", folder)


class Failing(Disk):
    """Fails at the ``at``-th call that writes, with ENOSPC or EIO, once or for good; a file may be half written."""

    def __init__(self, at: int = -1, code: int = errno.ENOSPC, *, for_good: bool = False) -> None:
        self.calls, self._at, self._code = 0, at, code
        self.failed, self.for_good = "", for_good

    def _fails(self, what: str) -> None:
        self.calls += 1
        if self.calls - 1 == self._at or (self.for_good and 0 <= self._at < self.calls):
            self.failed = what
            raise OSError(self._code, os.strerror(self._code), what)

    def write(self, path: Path, content: bytes, point: str) -> None:
        self._fails(f"open {path.name}")
        path.write_bytes(content[: len(content) // 2])
        self._fails(f"write {path.name}")
        super().write(path, content, point)
        self._fails(f"fsync {path.name}")

    def append(self, file: int, path: Path, content: bytes, at: int) -> None:
        self._fails(f"append {path.name}")
        super().append(file, path, content[: len(content) // 2], at)
        self._fails(f"write {path.name}")
        super().append(file, path, content, at)

    def flush(self, file: int, path: Path) -> None:
        self._fails(f"flush {path.name}")
        super().flush(file, path)

    def cut(self, file: int, path: Path, size: int) -> None:
        self._fails(f"cut {path.name}")
        super().cut(file, path, size)

    def rename(self, old: Path, new: Path) -> None:
        self._fails(f"rename {new.name}")
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._fails(f"remove {path.name}")
        super().remove(path)

    def sync(self, folder: Path) -> None:
        self._fails(f"sync {folder.name}")
        super().sync(folder)
