"""The log of a folder of files: numbered entries, each made once, that say which files count, and whose they are."""

from __future__ import annotations

import base64
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.errors import QueryError
from streamnb.points import reached

FOLDER = "_streamnb"
_WHOLE_EVERY = 50
Note = tuple[int, int, str]


@dataclass(frozen=True)
class Entry:
    """What a batch added, or put in place of all that was there: its note in the ledger, its files, its columns."""

    ledger: Mapping[str, Note]
    files: Sequence[str]
    schema: pl.Schema
    replaces: bool = False
    replaced: Sequence[str] = ()


@dataclass(frozen=True)
class State:
    """All entries before ``number``: the files that count, and the last batch of every query."""

    number: int = 0
    files: Sequence[str] = ()
    ledger: Mapping[str, Note] = field(default_factory=dict)
    schema: pl.Schema | None = None
    whole: int = 0  # the newest entry that stands for all before it
    replaced: Sequence[str] = ()  # the files it took away; a reader may still be at them

    def then(self, entry: Entry) -> State:
        number, ledger = self.number + 1, {**self.ledger, **entry.ledger}
        if entry.replaces:
            return State(number, entry.files, ledger, entry.schema, self.number, entry.replaced)
        return replace(self, number=number, files=[*self.files, *entry.files], ledger=ledger, schema=entry.schema)


class FileLog:
    """The entries ``_streamnb/0, 1, …`` of a folder. An entry is made by linking a finished file to the next number.

    Linking fails if the number is taken, so of two writers one finds out. Every fiftieth entry, and every one that
    replaces, stands for all before it; older ones are removed when the next such entry is made.
    """

    def __init__(self, path: Path) -> None:
        self._data, self._path = path, path / FOLDER
        self._state = State()

    def latest(self) -> State:
        """Return what all entries say by now."""
        state = self._state
        if not (self._path / str(state.number - 1)).exists():
            state = self._newest_whole()
        while (entry := self._entry(state.number)) is not None:
            state = state.then(entry)
        self._state = state
        return state

    def append(self, state: State, entry: Entry) -> bool:
        """Add an entry behind the others; False if another writer added one since ``state``."""
        if entry.replaces:
            entry = replace(entry, ledger={**state.ledger, **entry.ledger}, replaced=state.files)
        elif (state.number + 1) % _WHOLE_EVERY == 0:
            after = state.then(entry)
            entry = Entry(after.ledger, after.files, entry.schema, replaces=True)
        self._path.mkdir(exist_ok=True)
        if not self._link(state.number, _encode(state.number, entry)):
            return False
        self._remove_rivals(state, entry)
        if entry.replaces:
            self._remove_superfluous(state)
        return True

    def _newest_whole(self) -> State:
        """Return the state from which to read on: before the newest entry that stands for all before it."""
        for number in reversed(self._numbers()):
            entry = self._entry(number)
            if entry is not None and entry.replaces:
                return State(number)
        return State()

    def _numbers(self) -> list[int]:
        return sorted(int(p.name) for p in self._path.iterdir() if p.name.isdigit()) if self._path.exists() else []

    def _entry(self, number: int) -> Entry | None:
        try:
            content = (self._path / str(number)).read_bytes()
        except FileNotFoundError:
            return None
        return _decode(self._path / str(number), content)

    def _link(self, number: int, content: bytes) -> bool:
        hidden = self._path / f".{number}-{os.urandom(4).hex()}.tmp"
        hidden.write_bytes(content)
        synced(hidden)
        reached("sink.ledger")
        try:
            os.link(hidden, self._path / str(number))
        except FileExistsError:
            return False
        finally:
            hidden.unlink()
        if number and not (self._path / str(number - 1)).exists():
            (self._path / str(number)).unlink()  # the log has moved on so far that this number was free again
            return False
        synced(self._path)
        return True

    def _remove_rivals(self, before: State, entry: Entry) -> None:
        """Remove what others wrote for this number and the last: they are dead, or will find it taken."""
        counting = {*before.files, *entry.files}
        for number in (before.number - 1, before.number):
            for path in self._data.glob(f"*part-{number:08d}-*"):
                if path.name not in counting:
                    path.unlink(missing_ok=True)

    def _remove_superfluous(self, before: State) -> None:
        """Remove entries, oldest first, and files, that the newest but one of the whole entries stands for."""
        for number in self._numbers():
            if number < before.whole:
                (self._path / str(number)).unlink(missing_ok=True)
        for name in before.replaced:
            (self._data / name).unlink(missing_ok=True)


def counted(folder: Path) -> frozenset[str] | None:
    """Return the names that count in a folder; None if it has no log, so that all do."""
    return frozenset(FileLog(folder).latest().files) if (folder / FOLDER).is_dir() else None


def synced(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(number: int, entry: Entry) -> bytes:
    columns = io.BytesIO()
    pl.DataFrame(schema=entry.schema).write_ipc(columns)
    fields = {**vars(entry), "schema": base64.b64encode(columns.getvalue()).decode()}
    body = json.dumps(fields).encode()
    return b"v1 %08x\n" % _checksum(number, body) + body


def _decode(path: Path, content: bytes) -> Entry:
    head, _, body = content.partition(b"\n")
    if head != b"v1 %08x" % _checksum(int(path.name), body):
        raise QueryError(f"Files: {path} is damaged, so it is not known which files count; restore it.")
    fields: dict[str, Any] = json.loads(body)
    ledger: dict[str, Note] = {query: (note[0], note[1], note[2]) for query, note in fields["ledger"].items()}
    schema = pl.read_ipc(io.BytesIO(base64.b64decode(fields["schema"]))).schema
    return Entry(ledger, fields["files"], schema, fields["replaces"], fields["replaced"])


def _checksum(number: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(str(number).encode()))
