"""Checkpoint: the log of a query on disk. Intent, state, commit; every file whole or not there, and checked when read.

Layout, as Spark's: ``metadata``; before batch N runs ``sources/<source>/N``, what a source took, and ``offsets/N``,
the intent; before the sink hears of it ``state/<table>/N.delta`` and ``dead_letters/N``; ``commits/N`` when the sink
has it. The commit says which files it rests on. A checksum covers each file's name and content.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import uuid
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.compatible import FORMAT, Shape, compare
from streamnb.durable import Disk, Store
from streamnb.errors import CheckpointError, QueryError
from streamnb.state import Changes, StateTable
from streamnb.state_files import StateFiles, packed, unpacked

RETAIN = 100
"""How many batches can still be gone back to on disk, at least."""

_FOLDERS = ("offsets", "commits", "state", "sources", "dead_letters")


@dataclass(frozen=True)
class Intent:
    """What a batch is going to do: the offsets up to which it reads, its time, and the watermark it runs with."""

    offsets: Sequence[Any]
    time: int
    replayed: bool
    watermark: int
    has_data: bool
    policy: str


@dataclass(frozen=True)
class Note:
    """What a source took between two offsets (from None: all up to the second), in its own words."""

    start: Any
    end: Any
    note: Any


@dataclass(frozen=True)
class Recovered:
    """Where a checkpoint stands: the last batch done, and the one that was begun and must be done again, if any."""

    done: int
    offsets: Sequence[Any] | None
    late: int
    watermark: int
    policy: str
    again: Intent | None
    notes: Mapping[int, Sequence[Any]] = field(default_factory=dict)


class Checkpoint:
    """The folder of one query. One owner at a time, by a file lock; ``close()`` lets go of it."""

    def __init__(self, path: str | os.PathLike[str], disk: Disk | None = None) -> None:
        self.path = Path(path)
        self._store = Store(self.path, disk)
        for folder in _FOLDERS:
            self._store.folder(self.path / folder)
        lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
        self._let_go = weakref.finalize(self, os.close, lock)
        _lock(lock, self.path, self._let_go)
        self.log = Log(self._store)
        self.state = StateFiles(self._store)
        self._heads: dict[int, list[int]] = {}  # the newest deltas after the batches just done
        self._dead: dict[int, int] = {}  # how many dead letters there were after them
        self._noted: tuple[int, set[int]] = -1, set()  # which sources wrote a note for the last batch begun
        self.run = ("", 0)  # the query's id, and the number of this run

    def reload(self, tables: Sequence[StateTable], batch_id: int) -> None:
        """Load tables that have just been opened as they were after a batch."""
        self.state.load(tables, self.heads(batch_id, len(tables)))

    def close(self) -> None:
        """Wait for the snapshot at work, and let go of the folder."""
        self.state.wait()
        self._let_go()

    # -- opening

    def open(self, tables: Sequence[StateTable], shape: Shape) -> Recovered | None:
        """Load the tables as they were after the last batch done; None if nothing has ever run here.

        A plan that cannot go on from here is a CheckpointMismatchError.
        """
        if not (self.path / "metadata").exists():
            if self._store.numbers("offsets"):
                raise CheckpointError(f"checkpoint: {self.path} has batches and no metadata; restore that file.")
            self.log.write("metadata", {"format": FORMAT, "id": uuid.uuid4().hex, **asdict(shape)})
        else:
            compare(self.path, self.log.read("metadata"), shape)
        if (self.path / "rewind").exists():
            self._finish_rewind()
        epoch = self.log.read("epoch")["epoch"] + 1 if (self.path / "epoch").exists() else 0
        self.log.write("epoch", {"epoch": epoch})
        self.run = (self.log.read("metadata")["id"], epoch)
        found = self.log.recovered()
        if found is not None:
            self._forget_after(found.done + (found.again is not None), state=found.done)
            self.reload(tables, found.done)
        return found

    # -- one batch

    def begin(self, batch_id: int, intent: Intent, notes: Mapping[int, Note] | None = None) -> None:
        """Log what a batch is going to do."""
        self._still_mine()
        self.state.forget_snapshots_from(batch_id)
        notes = notes or {}
        if self._noted[0] == batch_id and self._noted[1] - set(notes):
            self.retract(batch_id)  # another plan than the first time
        self._noted = batch_id, set(notes)
        for source, note in notes.items():
            self.log.write(f"sources/{source}/{batch_id}", asdict(note))
        self.log.write(f"offsets/{batch_id}", asdict(intent))

    def retract(self, batch_id: int) -> None:
        """Forget what a batch was going to do."""
        self.log.forget_after(batch_id - 1, batch_id - 1)

    def _still_mine(self) -> None:
        """Raise if a later run has taken the folder, though this one holds the lock."""
        epoch = self.log.read("epoch")["epoch"]
        if epoch != self.run[1]:
            raise CheckpointError(
                f"checkpoint: run {epoch} of this query has taken {self.path} over, and this is run {self.run[1]}; "
                "stop it."
            )

    def keep(self, batch_id: int, changes: Sequence[Changes], dead: pl.DataFrame | None = None) -> None:
        """Write what a batch changed in every table, and what it set aside."""
        heads = self.heads(batch_id - 1, len(changes))
        before = self.dead_letters_after(batch_id - 1)
        if dead is not None and len(dead):
            self._store.write(f"dead_letters/{batch_id}", packed({"before": before}, [dead], "uncompressed"))
        self._dead = {batch_id - 1: before, batch_id: before + (0 if dead is None else len(dead))}
        self._heads = {batch_id - 1: heads, batch_id: self.state.write(batch_id, changes, heads)}

    def commit(self, batch_id: int, next_watermark: int) -> None:
        """Log that a batch has happened."""
        body = {"next_watermark": next_watermark, "state": self._heads[batch_id], "dead_letters": self._dead[batch_id]}
        self.log.write(f"commits/{batch_id}", body)

    def settle(self, batch_id: int, tables: Sequence[StateTable], summaries: Mapping[int, Note] | None = None) -> None:
        """Tidy up after a batch that has happened: begin a snapshot where one is due, now and then prune.

        ``summaries`` stand for all notes of the sources so far; they are given when ``is_pruned_after`` says so.
        """
        self.state.snapshot(tables, self.heads(batch_id, len(tables)), self)
        if self.is_pruned_after(batch_id):
            for source, note in (summaries or {}).items():
                self.log.write(f"sources/{source}/{batch_id}.compact", asdict(note))
            self.log.prune(batch_id - RETAIN)
            self.state.prune(batch_id - RETAIN)

    def is_pruned_after(self, batch_id: int) -> bool:
        return batch_id > 0 and batch_id % RETAIN == 0

    def heads(self, batch_id: int, tables: int) -> list[int]:
        """Return the numbers of the newest deltas after a batch."""
        if batch_id not in self._heads:
            self._heads[batch_id] = self.log.read(f"commits/{batch_id}")["state"] if batch_id >= 0 else [-1] * tables
        return self._heads[batch_id]

    # -- dead letters

    def dead_letters_after(self, batch_id: int) -> int:
        """Return how many records had been set aside after a batch."""
        if batch_id not in self._dead:
            self._dead[batch_id] = self.log.read(f"commits/{batch_id}")["dead_letters"] if batch_id >= 0 else 0
        return self._dead[batch_id]

    def dead_letters(self, last: int) -> list[pl.DataFrame]:
        """Return the records set aside up to a batch, a frame a batch."""
        return dead_letters_in(self._store, last)

    # -- rewinding

    def rewind(self, to: int) -> None:
        """Forget the batches after ``to``. Cut short, it is finished when the folder is opened again."""
        first = self.log.first()
        if to < first:
            raise QueryError(f"rewind: the checkpoint no longer has batch {to}; it goes back to batch {first}.")
        self.log.write("rewind", {"to": to})
        self._finish_rewind()

    def _finish_rewind(self) -> None:
        to = self.log.read("rewind")["to"]
        self._forget_after(to, state=to)
        self._heads, self._dead = {}, {}
        self._store.remove("rewind")
        self._store.sync("")

    def _forget_after(self, batch_id: int, state: int) -> None:
        self.state.forget_after(state)
        self.log.forget_after(batch_id, state)


class Log:
    """The small files of a checkpoint: who ran, what every batch was to do and did, what its sources took."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, name: str, body: Mapping[str, Any]) -> None:
        self._store.write(name, json.dumps(body).encode())

    def read(self, name: str) -> Any:
        return json.loads(self._store.read(name))

    def intent(self, batch_id: int) -> Intent:
        return Intent(**self.read(f"offsets/{batch_id}"))

    def first(self) -> int:
        """Return the earliest batch that can be gone back to; -1 is the beginning."""
        done = self._store.numbers("commits")
        return -1 if not done or done[0] == 0 else done[0]

    def recovered(self) -> Recovered | None:
        """Return where the log ends; None if no batch has ever begun."""
        begun, done = self._store.numbers("offsets"), self._store.numbers("commits")
        if not begun and not done:
            return None
        last = done[-1] if done else -1
        if not begun or begun[-1] not in {last, last + 1} or (last >= 0 and last not in begun):
            raise CheckpointError(
                f"checkpoint: {self._store.path} has begun batch {begun[-1] if begun else -1} and finished {last}; "
                "files are missing between."
            )
        again = self.intent(begun[-1]) if begun[-1] > last else None
        intent = self.intent(last) if last >= 0 else None
        watermark = self.read(f"commits/{last}")["next_watermark"] if last >= 0 else 0
        newest = again or intent
        assert newest is not None  # noqa: S101  something has begun
        offsets = None if intent is None else intent.offsets
        late = 0 if intent is None else intent.watermark
        return Recovered(last, offsets, late, watermark, newest.policy, again, self._notes(begun[-1], newest.offsets))

    def _notes(self, last: int, offsets: Sequence[Any]) -> dict[int, list[Any]]:
        """Return what the sources noted up to a batch; a gap is a CheckpointError."""
        return {source: self._notes_of(source, last, offsets[source]) for source in self._store.numbers("sources")}

    def _notes_of(self, source: int, last: int, offset: Any) -> list[Any]:
        files = [file for file in self._files_of(source) if file[0] <= last]
        start = max((at for at, (_, ending) in enumerate(files) if ending), default=0)
        notes = [Note(**self.read(f"sources/{source}/{number}{ending}")) for number, ending in files[start:]]
        place: Any = None
        for note in notes:
            if note.start != place and note.start is not None:
                break
            place = note.end
        if place != offset:
            raise CheckpointError(
                f"checkpoint: {self._store.path / 'sources' / str(source)} tells what was read up to {place!r}, "
                f"and batch {last} reads up to {offset!r}; restore the missing files."
            )
        return [note.note for note in notes]

    def _files_of(self, source: int) -> list[tuple[int, str]]:
        """Return (batch, ending) of a source's notes, oldest first; a summary comes after the batch's own."""
        paths = (self._store.path / "sources" / str(source)).iterdir()
        return sorted((int(path.stem), path.suffix) for path in paths if path.stem.isdigit())

    def forget_after(self, batch_id: int, done: int) -> None:
        """Remove what was logged of later batches; of what only a batch done may have, after ``done``."""
        for folder, last in {"commits": done, "dead_letters": done, "offsets": batch_id}.items():
            gone = [number for number in self._store.numbers(folder) if number > last]
            for number in reversed(gone):
                self._store.remove(f"{folder}/{number}")
            if gone:
                self._store.sync(folder)
        for source in self._store.numbers("sources"):
            later = [f for f in self._files_of(source) if f[0] > (done if f[1] else batch_id)]
            for number, ending in later:
                self._store.remove(f"sources/{source}/{number}{ending}")
            if later:
                self._store.sync(f"sources/{source}")

    def prune(self, before: int) -> None:
        """Remove the logs of batches before ``before``, and notes that a summary stands for."""
        for folder in ("offsets", "commits"):
            for number in self._store.numbers(folder):
                if number < before:
                    self._store.remove(f"{folder}/{number}")
        for source in self._store.numbers("sources"):
            files = self._files_of(source)
            start = max((at for at, (n, ending) in enumerate(files) if ending and n <= before), default=0)
            for number, ending in files[:start]:
                self._store.remove(f"sources/{source}/{number}{ending}")


def dead_letters_in(store: Store, last: int) -> list[pl.DataFrame]:
    """Return the records set aside up to a batch; if some are missing, a CheckpointError."""
    numbers = [number for number in store.numbers("dead_letters") if number <= last]
    frames = [unpacked(store.read(f"dead_letters/{number}"))[1][0] for number in numbers]
    expected = Log(store).read(f"commits/{last}")["dead_letters"] if last >= 0 else 0
    if sum(map(len, frames)) != expected:
        raise CheckpointError(
            f"checkpoint: {store.path} has {sum(map(len, frames))} of {expected} dead letters; restore the others."
        )
    return frames


def _lock(lock: int, path: Path, let_go: Any) -> None:
    """Take the folder's lock and leave this process's number in it."""
    for _ in range(3):  # who only looks holds it for a moment
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            return
        threading.Event().wait(0.02)
    owner = os.pread(lock, 20, 0).decode(errors="replace")
    let_go()
    raise CheckpointError(
        f"checkpoint: {path} is in use by another process{f' ({owner})' if owner else ''}; "
        "stop that query, or use another folder."
    )


def owner(path: Path) -> str | None:
    """Return the number of the process that runs a query on a folder; None if no one does."""
    lock = os.open(path / "LOCK", os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.pread(lock, 20, 0).decode(errors="replace") or "unknown"
    else:
        return None
    finally:
        os.close(lock)
