"""Checkpoint: the log of a query on disk. Intent, state, commit; every file whole or not there, and checked when read.

Layout, as Spark's: ``metadata``; ``offsets/N`` written before batch N runs; ``state/<table>/N.delta`` or ``N.snapshot``
before the sink hears of it; ``commits/N`` when the sink has it. A checksum covers each file's name and content.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.durable import Disk, Store
from streamnb.errors import CheckpointError, CheckpointMismatchError
from streamnb.state import Changes, StateTable

FORMAT = 1
_RETAIN = 100
_SNAPSHOT_AFTER = 2**20


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
class Recovered:
    """Where a checkpoint stands: the last batch done, and the one that was begun and must be done again, if any."""

    done: int
    offsets: Sequence[Any] | None
    late: int
    watermark: int
    policy: str
    again: Intent | None


class Checkpoint:
    """The folder of one query. One owner at a time, by a file lock; ``close()`` lets go of it."""

    def __init__(self, path: str | os.PathLike[str], disk: Disk | None = None) -> None:
        self.path = Path(path)
        self._store = Store(self.path, disk)
        for folder in ("offsets", "commits", "state"):
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path / "LOCK", os.O_RDWR | os.O_CREAT, 0o644)
        self.close = weakref.finalize(self, os.close, lock)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise CheckpointError(
                f"checkpoint: {self.path} is in use by another process; stop that query, or use another folder."
            ) from None
        self._since_snapshot: dict[int, int] = {}
        self.run = ("", 0)  # the query's id, and the number of this run

    # -- opening

    def open(self, tables: Sequence[StateTable], sources: int) -> Recovered | None:
        """Load the tables as they were after the last batch done; None if nothing has ever run here.

        A plan whose tables or sources are not those of the checkpoint is a CheckpointMismatchError.
        """
        shapes = [{"keys": t.keys, "columns": {n: str(d) for n, d in t.schema.items()}} for t in tables]
        mine = {"format": FORMAT, "sources": sources, "tables": shapes}
        if not (self.path / "metadata").exists():
            if self._store.numbers("offsets"):
                raise CheckpointError(f"checkpoint: {self.path} has batches and no metadata; restore that file.")
            self._write("metadata", {"id": uuid.uuid4().hex, **mine})
        else:
            _compare(self.path, self._read("metadata"), mine)
        epoch = self._read("epoch")["epoch"] + 1 if (self.path / "epoch").exists() else 0
        self._write("epoch", {"epoch": epoch})
        self.run = (self._read("metadata")["id"], epoch)
        return self._recover(tables)

    def _recover(self, tables: Sequence[StateTable]) -> Recovered | None:
        begun, done = self._store.numbers("offsets"), self._store.numbers("commits")
        if not begun:
            return None
        last = done[-1] if done else -1
        if begun[-1] not in {last, last + 1}:
            raise CheckpointError(
                f"checkpoint: {self.path} has begun batch {begun[-1]} and finished {last}; files are missing between."
            )
        self._load(tables, last)
        again = Intent(**self._read(f"offsets/{begun[-1]}")) if begun[-1] > last else None
        intent = Intent(**self._read(f"offsets/{last}")) if last in begun else None
        watermark = self._read(f"commits/{last}")["next_watermark"] if last >= 0 else 0
        policy = (intent or again or Intent((), 0, False, 0, False, "min")).policy
        offsets = None if intent is None else intent.offsets
        return Recovered(last, offsets, intent.watermark if intent else 0, watermark, policy, again)

    # -- one batch

    def begin(self, batch_id: int, intent: Intent) -> None:
        """Log what a batch is going to do."""
        self._write(f"offsets/{batch_id}", asdict(intent))

    def keep(self, batch_id: int, tables: Sequence[StateTable], changes: Sequence[Changes]) -> None:
        """Write what a batch changed in every table; now and then the whole table instead."""
        for number, (table, change) in enumerate(zip(tables, changes, strict=True)):
            size = int(change.upserted.estimated_size() + change.removed.estimated_size())
            self._since_snapshot[number] = self._since_snapshot.get(number, 0) + size
            folder = self.path / "state" / str(number)
            folder.mkdir(exist_ok=True)
            if self._since_snapshot[number] > max(_SNAPSHOT_AFTER, table.nbytes):
                self._since_snapshot[number] = 0
                self._write_frames(f"state/{number}/{batch_id}.snapshot", [table.frame()], "lz4")
            elif len(change.upserted) or len(change.removed):
                frames = [change.upserted, change.removed]
                self._write_frames(f"state/{number}/{batch_id}.delta", frames, "uncompressed")

    def commit(self, batch_id: int, next_watermark: int) -> None:
        """Log that a batch has happened."""
        self._write(f"commits/{batch_id}", {"next_watermark": next_watermark})
        if batch_id % _RETAIN == 0:
            self._prune(batch_id)

    def rewind(self, to: int) -> None:
        """Forget the batches after ``to``, newest first."""
        for folder in ("commits", "offsets"):
            for batch_id in reversed(self._store.numbers(folder)):
                if batch_id > to:
                    self._store.remove(f"{folder}/{batch_id}")
            self._store.sync(folder)
        for file in (self.path / "state").glob("*/*.*"):
            if file.suffix in {".delta", ".snapshot"} and int(file.stem) > to:
                self._store.remove(f"state/{file.parent.name}/{file.name}")

    # -- state files

    def _load(self, tables: Sequence[StateTable], last: int) -> None:
        for number, table in enumerate(tables):
            files = self._state_files(number, last)
            start = max((i for i, (_, kind) in enumerate(files) if kind == "snapshot"), default=-1)
            if start >= 0:
                table.restore(self._frames(number, *files[start], table)[0])
            for batch_id, kind in files[start + 1 :]:
                upserted, removed = self._frames(number, batch_id, kind, table)
                table.apply(Changes(upserted, removed))

    def _state_files(self, number: int, last: int) -> list[tuple[int, str]]:
        """Return (batch, kind) of a table's files up to a batch, oldest first."""
        files = (self.path / "state" / str(number)).glob("*.*")
        names = [(int(p.stem), p.suffix[1:]) for p in files if p.suffix in {".delta", ".snapshot"} and p.stem.isdigit()]
        return sorted(name for name in names if name[0] <= last)

    def _frames(self, number: int, batch_id: int, kind: str, table: StateTable) -> list[pl.DataFrame]:
        payload = self._store.read(f"state/{number}/{batch_id}.{kind}")
        frames, start = [], 0
        while start < len(payload):
            size = int.from_bytes(payload[start : start + 8], "big")
            frame = pl.read_ipc(io.BytesIO(payload[start + 8 : start + 8 + size]))
            frames.append(frame.cast(dict(table.schema)))  # type: ignore[arg-type]
            start += 8 + size
        return frames

    def _write_frames(self, name: str, frames: Iterable[pl.DataFrame], compression: Any) -> None:
        payload = io.BytesIO()
        for frame in frames:
            part = io.BytesIO()
            frame.write_ipc(part, compression=compression)
            payload.write(part.tell().to_bytes(8, "big") + part.getvalue())
        self._store.write(name, payload.getvalue())

    def _prune(self, batch_id: int) -> None:
        """Drop logs older than the last hundred batches, and state that a later snapshot stands for."""
        for folder in ("offsets", "commits"):
            for old in self._store.numbers(folder):
                if old < batch_id - _RETAIN:
                    self._store.remove(f"{folder}/{old}")
        for number in range(len(self._since_snapshot)):
            files = self._state_files(number, batch_id - _RETAIN)
            start = max((i for i, (_, kind) in enumerate(files) if kind == "snapshot"), default=0)
            for old, kind in files[:start]:
                self._store.remove(f"state/{number}/{old}.{kind}")

    # -- files

    def _write(self, name: str, body: Mapping[str, Any]) -> None:
        self._store.write(name, json.dumps(body).encode())

    def _read(self, name: str) -> Any:
        return json.loads(self._store.read(name))


def _compare(path: Path, theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> None:
    """Refuse a plan that cannot go on from a checkpoint, by name."""
    if theirs["format"] > FORMAT:
        raise CheckpointError(f"checkpoint: {path} has format {theirs['format']} of a newer streamnb; update streamnb.")
    if theirs["sources"] != mine["sources"]:
        raise CheckpointMismatchError(
            f"checkpoint: {path} was made with {theirs['sources']} sources and the query has {mine['sources']}; "
            "start the changed query on a new folder.",
            code="CHECKPOINT_SOURCES",
        )
    if len(theirs["tables"]) != len(mine["tables"]):
        raise CheckpointMismatchError(
            f"checkpoint: {path} holds {len(theirs['tables'])} state tables and the query keeps {len(mine['tables'])}; "
            "start the changed query on a new folder.",
            code="CHECKPOINT_STATE",
        )
    for number, (old, new) in enumerate(zip(theirs["tables"], mine["tables"], strict=True)):
        if old != new:
            what = "keys" if old["keys"] != new["keys"] else "columns"
            raise CheckpointMismatchError(
                f"checkpoint: the {what} of state table {number} in {path} are {old[what]} and the query's are "
                f"{new[what]}; start the changed query on a new folder.",
                code="CHECKPOINT_STATE",
            )
