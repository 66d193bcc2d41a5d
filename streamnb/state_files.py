"""State files: what every batch changed in every table, in the log, and now and then, in a file, the whole table.

The changes of a batch name those before them, table by table, so that none can be missing unseen.
``state/<table>/N.snapshot`` stands for those of batch N and all before; it is written behind the query's back.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.batch_log import Log
from streamnb.durable import Store
from streamnb.state import EXPIRES, Changes, StateTable

SNAPSHOT_BYTES, SNAPSHOT_DELTAS = 2**20, 100
"""A snapshot is written after so many bytes of changes (and as many as the table has), or after so many batches."""

_SNAPSHOT = "snapshot"
Job = tuple[str, Callable[[], pl.DataFrame]]


class StateFiles:
    """The tables of one query on disk. ``heads`` are the last batches that changed them, -1 where none has."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store, self._log = store, log
        self._since: dict[int, tuple[int, int]] = {}  # bytes and batches since the last snapshot of a table
        self._writer: threading.Thread | None = None
        self._newest = -1
        self.places: Sequence[int] = ()  # the folders of the tables; their numbers, if not given

    def place(self, number: int) -> int:
        """Return the number of a table's folder, by which the log names it too."""
        return self.places[number] if self.places else number

    # -- one batch

    def write(self, batch_id: int, changes: Sequence[Changes], heads: Sequence[int]) -> list[int]:
        """Write what a batch changed; return the new heads."""
        new = {n: change for n, change in enumerate(changes) if len(change.upserted) or len(change.removed)}
        if new:
            after = {self.place(n): heads[n] for n in new}
            pairs = [(change.upserted, change.removed) for change in new.values()]
            frames = [frame if len(frame) else None for pair in pairs for frame in pair]
            self._log.change(batch_id, packed({"after": after}, frames, "uncompressed"))
        self._since |= {number: self._with(number, change) for number, change in new.items()}
        return [batch_id if n in new else head for n, head in enumerate(heads)]

    # -- reading

    def load(self, tables: Sequence[StateTable], heads: Sequence[int]) -> None:
        """Make tables that have just been opened what they were at their heads."""
        for number, (table, head) in enumerate(zip(tables, heads, strict=True)):
            base, changes = self.chain(number, head)
            self._since[number] = sum(map(_bytes_of, changes)), len(changes)
            if base is not None:
                table.restore(_cast(base, table))
            for change in changes:
                table.apply(Changes(_cast(change.upserted, table), _cast(change.removed, table)))

    def chain(self, number: int, head: int) -> tuple[pl.DataFrame | None, list[Changes]]:
        """Return the newest snapshot of a table up to a head, if any, and what changed after it, oldest first."""
        changes: list[Changes] = []
        while head >= 0:
            if self.has_snapshot(number, head):
                _, (base,) = unpacked(self._store.read(_name(self.place(number), head)))
                return base, changes[::-1]
            header, parts = _parts(self._log.changed(head))
            at = [*header["after"]].index(str(self.place(number)))
            changes.append(Changes(*_pair(*parts[2 * at : 2 * at + 2])))
            head = header["after"][str(self.place(number))]
        return None, changes[::-1]

    def has_snapshot(self, number: int, head: int) -> bool:
        return self._is_there(self.place(number), head)

    def _is_there(self, place: int, head: int) -> bool:
        return (self._store.path / _name(place, head)).exists()

    def frame(self, number: int, head: int, keys: Sequence[str]) -> pl.DataFrame | None:
        """Return a whole table at a head, whoever wrote it; None if nothing was ever written."""
        base, changes = self.chain(number, head)
        frames = [frame for frame in (base, *(change.upserted for change in changes)) if frame is not None]
        if not frames:
            return None
        table = StateTable({name: t for name, t in frames[0].schema.items() if name != EXPIRES}, keys)
        table.restore(frames[0].clear() if base is None else base)
        for change in changes:
            table.apply(change)
        return table.frame()

    # -- another logic

    def fresh(self, tables: int) -> int:
        """Return the first number of a folder that no table has had, where there have been so many."""
        folders = [int(path.name) for path in (self._store.path / "state").iterdir() if path.name.isdigit()]
        return max([*folders, *self.places, tables - 1], default=-1) + 1

    def whole(self, place: int, batch_id: int, table: StateTable) -> None:
        """Write a whole table into a folder of its own."""
        self._store.write(_name(place, batch_id), packed({}, [table.frame()], "lz4"), point=_SNAPSHOT)

    def keep_only(self, places: Sequence[int]) -> None:
        """Remove the snapshots of tables that no logic has any more, or that none came to have."""
        self.wait()
        for place, found in self._snapshots():
            if place not in places:
                self._store.remove(_name(place, found))
        self._since = {}

    # -- snapshots

    def snapshot(
        self, tables: Sequence[StateTable], heads: Sequence[int], owner: object, *, whole: bool = False
    ) -> None:
        """Begin to write the tables whose changes have grown long, in a thread; nothing while one is at work.

        A ``whole`` one is of all tables that have changed, so that older files of the log can go. One that is cut
        short or finds no room does no harm: the changes are there. ``owner`` lives as long as the thread.
        """
        due = [
            n
            for n, table in enumerate(tables)
            if _is_long(self._since.get(n, (0, 0)), table) or (whole and self._since.get(n, (0, 0))[1])
        ]
        if not due or (self._writer is not None and self._writer.is_alive()):
            return
        jobs = [(_name(self.place(n), heads[n]), tables[n].frozen()) for n in due]
        self._newest = max(self._newest, *(heads[n] for n in due))
        self._since |= dict.fromkeys(due, (0, 0))
        self._writer = threading.Thread(target=self._write, args=(jobs, owner), name="streamnb snapshot", daemon=True)
        self._writer.start()

    def is_due(self, changes: Sequence[Changes], tables: Sequence[StateTable]) -> bool:
        """Tell whether some table's changes will have grown long with these."""
        return any(_is_long(self._with(n, change), tables[n]) for n, change in enumerate(changes))

    def _with(self, number: int, change: Changes) -> tuple[int, int]:
        size, count = self._since.get(number, (0, 0))
        return size + _bytes_of(change), count + 1

    def _write(self, jobs: Sequence[Job], owner: object) -> None:
        try:
            for name, rows in jobs:
                self._store.write(name, packed({}, [rows()], "lz4"), point=_SNAPSHOT)
        except OSError:
            pass  # no room for it: the changes are there

    def wait(self) -> None:
        """Wait for the snapshot at work."""
        if self._writer is not None:
            self._writer.join()

    # -- forgetting

    def forget_after(self, batch_id: int) -> None:
        """Remove the snapshots of later batches."""
        self.wait()
        gone = [(number, found) for number, found in self._snapshots() if found > batch_id]
        for number, found in gone:
            self._store.remove(_name(number, found))
        for number in {number for number, _ in gone}:
            self._store.sync(f"state/{number}")  # a batch done anew must never find the old one
        self._newest = min(self._newest, batch_id)

    def forget_snapshots_from(self, batch_id: int) -> None:
        """Make sure that a batch that is done again finds no snapshot of its first time."""
        if self._newest >= batch_id:
            self.forget_after(batch_id - 1)

    def stands(self, commit: Mapping[str, Any]) -> bool:
        """Return whether snapshots hold all tables as they were when a batch was committed."""
        return all(head < 0 or self._is_there(place, head) for place, head in _heads_by_place(commit).items())

    def prune(self, commit: Mapping[str, Any]) -> None:
        """Remove the snapshots that are older than those of a batch."""
        heads = _heads_by_place(commit)
        for number, found in self._snapshots():
            if found < heads.get(number, -1):
                self._store.remove(_name(number, found))

    def _snapshots(self) -> list[tuple[int, int]]:
        """Return (table, batch) of every snapshot, oldest first."""
        paths = [path for path in (self._store.path / "state").glob(f"*/*.{_SNAPSHOT}") if path.stem.isdigit()]
        return sorted((int(path.parent.name), int(path.stem)) for path in paths)


def _is_long(since: tuple[int, int], table: StateTable) -> bool:
    size, count = since
    return size > max(SNAPSHOT_BYTES, table.nbytes) or count >= SNAPSHOT_DELTAS


def _name(number: int, head: int) -> str:
    return f"state/{number}/{head}.{_SNAPSHOT}"


def _heads_by_place(commit: Mapping[str, Any]) -> dict[int, int]:
    heads = commit["state"]
    return dict(zip(commit.get("places") or range(len(heads)), heads, strict=True))


def _bytes_of(change: Changes) -> int:
    return int(change.upserted.estimated_size() + change.removed.estimated_size())


def packed(header: Mapping[str, Any], frames: Sequence[pl.DataFrame | None], compression: Any) -> bytes:
    """Return frames as bytes, bit for bit; None as no bytes."""
    parts = [json.dumps(header).encode()]
    for frame in frames:
        part = io.BytesIO()
        if frame is not None:
            # a copy of its own: Polars locks what it writes, and asks for the interpreter meanwhile
            frame.clone().write_ipc_stream(part, compression=compression)
        parts.append(part.getvalue())
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def unpacked(content: bytes) -> tuple[Any, list[pl.DataFrame]]:
    """Return the header and the frames that ``packed`` made bytes of."""
    header, parts = _parts(content)
    return header, [_frame(part) for part in parts]


def _parts(content: bytes) -> tuple[Any, list[bytes]]:
    parts, start = [], 0
    while start < len(content):
        size = int.from_bytes(content[start : start + 8], "big")
        parts.append(content[start + 8 : start + 8 + size])
        start += 8 + size
    return json.loads(parts[0]), parts[1:]


def _pair(upserted: bytes, removed: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return two frames of the same columns; the one without rows may have been left out."""
    one, other = _frame(upserted or removed), _frame(removed or upserted)
    return one if upserted else one.clear(), other if removed else other.clear()


def _frame(part: bytes) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(part))


def _cast(rows: pl.DataFrame, table: StateTable) -> pl.DataFrame:
    return rows.cast(dict(table.schema))  # type: ignore[arg-type]
