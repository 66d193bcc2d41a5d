"""Checkpoint: the folder in which a query keeps how far it is, and from which it goes on.

``metadata`` says what the query was, ``logic/K`` what it became, ``epoch`` how often it was opened. In ``log`` stand,
batch by batch: before its rows are computed, what it is going to do; before the sink hears of it, what it changed in
state; that it has happened, when the sink has it. The disk is waited for once a batch, before the sink hears of it.
Beside it are ``state/<table>/N.snapshot`` and ``dead_letters/N``. Everything has a checksum.
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
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.batch_log import Intent, Log, Note, Recovered
from streamnb.compatible import FORMAT, Shape, compare
from streamnb.durable import Disk, Store
from streamnb.errors import CheckpointError
from streamnb.logics import Logic, Logics, renewed
from streamnb.state import Changes, StateTable
from streamnb.state_files import StateFiles, packed, unpacked

RETAIN = 100
"""How many batches can still be gone back to on disk, at least."""

_FOLDERS = ("log", "state", "dead_letters", "logic")


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
        self.log, self.logics = Log(self._store), Logics(self._store)
        self.state = StateFiles(self._store, self.log)
        self._heads: dict[int, list[int]] = {}  # the last changes of each table, after the batches just done
        self._dead: dict[int, int] = {}  # how many dead letters there were after them
        self._logic: Logic | None = None  # the newest, where it is not that of the metadata
        self._epoch_file = os.fspath(self.path / "epoch")
        self._epoch = 0, 0, 0  # which file it is that this run wrote
        self._entered: tuple[object, Logic] | None = None  # the change that it came by
        self.run = ("", 0)  # the query's id, and the number of this run

    @property
    def sink_since(self) -> int:
        """From which batch on the sink is the query's."""
        return 0 if self._logic is None else self._logic.sink_since

    def reload(self, tables: Sequence[StateTable], batch_id: int) -> None:
        """Load tables that have just been opened as they were after a batch."""
        self.state.load(tables, self.heads(batch_id, len(tables)))

    def sync(self) -> None:
        """Wait until the commit of the last batch is on the disk."""
        self.log.sync()

    def close(self) -> None:
        """Wait for the snapshot at work and the disk, and let go of the folder."""
        self.state.wait()
        with contextlib.suppress(OSError):  # the last batch is then done again
            self.logics.take_back()
            self.log.sync()
        self.log.close()
        self._let_go()

    # -- opening

    def open(self, tables: Sequence[StateTable], shape: Shape, *, changed: bool = False) -> Recovered | None:
        """Load the tables as they were after the last batch done; None if nothing has ever run here.

        A plan that cannot go on from here is a CheckpointMismatchError, unless it is known to be ``changed``.
        """
        is_new = not (self.path / "metadata").exists()
        if not is_new:
            compare(self.path, self.logics.shapes(), shape, changed=changed)
            self.log.load()  # it must be there
        self.log.open()
        if is_new:
            if self.log.begun:
                raise CheckpointError(f"checkpoint: {self.path} has batches and no metadata; restore that file.")
            self._write("metadata", {"format": FORMAT, "id": uuid.uuid4().hex, **asdict(shape)})
        epoch = self._read("epoch")["epoch"] + 1 if (self.path / "epoch").exists() else 0
        self._write("epoch", {"epoch": epoch})
        self._epoch = self._epoch_now()
        self.run = (self._read("metadata")["id"], epoch)
        found = self.log.recovered()
        self._forget_after(-1 if found is None else found.done)
        newest = self.logics.newest()
        if newest is not None:
            self._holds(newest)
            if found is not None and found.done == newest.after:
                found = replace(found, late=newest.marks[0], watermark=newest.marks[1])
        if found is not None and not changed:
            self.reload(tables, found.done)
            self._rewritten(shape, found.done, (found.late, found.watermark), len(tables))
        return found

    # -- another logic

    def _holds(self, entry: Logic) -> None:
        """Go by an entry: tables in its folders, the batch before it with its heads."""
        self._logic, self._heads = entry, {}
        self.state.places = entry.places
        self.state.keep_only(entry.places)

    def _rewritten(self, shape: Shape, done: int, marks: Sequence[int], tables: int) -> None:
        """Log that a query that goes on from here is written otherwise, if it is."""
        if renewed(shape, self.logics.shapes()[-1]):
            places = [self.state.place(number) for number in range(tables)]
            entry = Logic(done, "restart", asdict(shape), marks, self.sink_since, places, self.heads(done, tables))
            self.log.sync()
            self.logics.enter(entry)
            self._holds(entry)

    def change(self, entry: Logic, tables: Sequence[StateTable], kept: Mapping[int, int], change: object) -> None:
        """Log which logic decides after a batch, with its tables; ``kept`` says which of them are which old ones.

        The same ``change`` once more, after an interrupt, is one entry.
        """
        if self._entered is None or self._entered[0] is not change:
            self._still_mine()
            self.log.sync()  # the batch before it must not be lost where the entry is not
            old = self.heads(entry.after, len(self.logics.shapes()[-1]["tables"]))
            self._entered = change, self.logics.change(entry, tables, kept, old, self.state)
        with contextlib.suppress(OSError):  # what is left over goes when the folder is opened
            self._holds(self._entered[1])

    def frames(self, batch_id: int) -> list[pl.DataFrame | None]:
        """Return the tables as they are on disk after a batch, of whatever logic they are."""
        return self.logics.frames(self.state, self.heads(batch_id, len(self.logics.shapes()[-1]["tables"])))

    def _write(self, name: str, body: Mapping[str, Any]) -> None:
        self._store.write(name, json.dumps(body).encode())

    def _read(self, name: str) -> Any:
        return json.loads(self._store.read(name))

    # -- one batch

    def begin(self, batch_id: int, intent: Intent, notes: Mapping[int, Note] | None = None) -> None:
        """Log what a batch is going to do."""
        self._still_mine()
        self.logics.take_back()
        self.state.forget_snapshots_from(batch_id)
        self.log.begin(batch_id, intent, notes or {})

    def remember(self, rules: str, number: int, rows: pl.DataFrame) -> None:
        """Write a version of rules down, if it is not there yet."""
        if not (self.path / "rules" / rules / str(number)).exists():
            self._store.write(f"rules/{rules}/{number}", packed({}, [rows], "lz4"))

    def versions(self, rules: str) -> dict[int, pl.DataFrame]:
        """Return the versions of rules by number."""
        folder = f"rules/{rules}"
        numbers = self._store.numbers(folder) if (self.path / folder).exists() else []
        return {number: unpacked(self._store.read(f"{folder}/{number}"))[1][0] for number in numbers}

    def retract(self, batch_id: int) -> None:
        """Forget what a batch was going to do."""
        self.log.back(batch_id - 1)

    def _still_mine(self) -> None:
        """Raise if a later run has taken the folder, though this one holds the lock."""
        with contextlib.suppress(FileNotFoundError):
            if self._epoch_now() == self._epoch:
                return
        epoch = self._read("epoch")["epoch"]
        if epoch != self.run[1]:
            raise CheckpointError(
                f"checkpoint: run {epoch} of this query has taken {self.path} over, and this is run {self.run[1]}; "
                "stop it."
            )

    def _epoch_now(self) -> tuple[int, int, int]:
        about = os.stat(self._epoch_file)  # noqa: PTH116  a path costs more than the call
        return about.st_dev, about.st_ino, about.st_mtime_ns

    def keep(self, batch_id: int, changes: Sequence[Changes], dead: pl.DataFrame | None = None) -> None:
        """Write what a batch changed in every table, and what it set aside; wait until all so far is on the disk."""
        heads = self.heads(batch_id - 1, len(changes))
        before = self.dead_letters_after(batch_id - 1)
        if dead is not None and len(dead):
            self._store.write(f"dead_letters/{batch_id}", packed({"before": before}, [dead], "uncompressed"))
        self._dead = {batch_id - 1: before, batch_id: before + (0 if dead is None else len(dead))}
        self._heads = {batch_id - 1: heads, batch_id: self.state.write(batch_id, changes, heads)}
        self.log.sync()

    def commit(self, batch_id: int, next_watermark: int) -> None:
        """Log that a batch has happened. The disk is waited for with the next batch, or by ``sync``."""
        body: dict[str, Any] = {"next_watermark": next_watermark, "state": self._heads[batch_id]}
        body |= {"dead_letters": self._dead[batch_id]}
        body |= {"places": list(self.state.places)} if self.state.places else {}
        self.log.commit(batch_id, body)

    def settle(self, batch_id: int, tables: Sequence[StateTable], summaries: Mapping[int, Note] | None = None) -> None:
        """Tidy up after a batch that has happened: begin a snapshot where one is due, now and then prune.

        ``summaries`` stand for all notes of the sources so far; they are given when ``is_pruned_after`` says so.
        """
        is_pruned = self.is_pruned_after(batch_id)
        if is_pruned:
            self.log.roll(batch_id, summaries or {})
        self.state.snapshot(tables, self.heads(batch_id, len(tables)), self, whole=is_pruned)
        if is_pruned and (kept := self.log.drop(batch_id - RETAIN, self.state.stands)) is not None:
            self.state.prune(kept)

    def is_due(self, batch_id: int, changes: Sequence[Changes], tables: Sequence[StateTable]) -> bool:
        """Tell whether ``settle`` will have something to do after a batch that changes so much."""
        return self.is_pruned_after(batch_id) or self.state.is_due(changes, tables)

    def is_pruned_after(self, batch_id: int) -> bool:
        return batch_id > 0 and batch_id % RETAIN == 0

    def heads(self, batch_id: int, tables: int) -> list[int]:
        """Return the last batches that had changed each table, after a batch."""
        if self._logic is not None and batch_id == self._logic.after:
            return list(self._logic.heads)
        if batch_id not in self._heads:
            self._heads[batch_id] = self.log.commit_of(batch_id)["state"] if batch_id >= 0 else [-1] * tables
        return self._heads[batch_id]

    # -- dead letters

    def dead_letters_after(self, batch_id: int) -> int:
        """Return how many records had been set aside after a batch."""
        if batch_id not in self._dead:
            self._dead[batch_id] = self.log.commit_of(batch_id)["dead_letters"] if batch_id >= 0 else 0
        return self._dead[batch_id]

    def dead_letters(self, last: int) -> list[pl.DataFrame]:
        """Return the records set aside up to a batch, a frame a batch."""
        return dead_letters_in(self._store, self.log, last)

    # -- rewinding

    def rewind(self, to: int) -> None:
        """Forget the batches after ``to``. Cut short, it has not begun, or is finished when the folder is opened."""
        self.log.back(to)
        self.log.sync()
        self._heads, self._dead = {}, {}
        self._forget_after(to)

    def _forget_after(self, batch_id: int) -> None:
        """Remove the files of later batches."""
        self.state.forget_after(batch_id)
        gone = [number for number in self._store.numbers("dead_letters") if number > batch_id]
        for number in gone:
            self._store.remove(f"dead_letters/{number}")
        if gone:
            self._store.sync("dead_letters")


def dead_letters_in(store: Store, log: Log, last: int) -> list[pl.DataFrame]:
    """Return the records set aside up to a batch; if some are missing, a CheckpointError."""
    numbers = [number for number in store.numbers("dead_letters") if number <= last]
    frames = [unpacked(store.read(f"dead_letters/{number}"))[1][0] for number in numbers]
    expected = log.commit_of(last)["dead_letters"] if last >= 0 else 0
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
