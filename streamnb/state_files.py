"""State files: what every batch changed in every table, and now and then, behind its back, the whole table.

A delta, ``state/<table>/N.delta``, names the one before it, so that none can be missing unseen. ``N.snapshot`` stands
for delta N and all before it.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.durable import Store
from streamnb.state import Changes, StateTable

SNAPSHOT_BYTES, SNAPSHOT_DELTAS = 2**20, 100
"""A snapshot is written after so many bytes of deltas (and as many as the table has), or after so many deltas."""

_DELTA, _SNAPSHOT = "delta", "snapshot"
Job = tuple[str, Callable[[], pl.DataFrame]]


class StateFiles:
    """The tables of one query on disk. ``heads`` are the numbers of their newest deltas, -1 where there is none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: dict[int, tuple[int, int]] = {}  # bytes and deltas since the last snapshot of a table
        self._writer: threading.Thread | None = None
        self._newest = -1

    # -- one batch

    def write(self, batch_id: int, changes: Sequence[Changes], heads: Sequence[int]) -> list[int]:
        """Write what a batch changed; return the new heads."""
        return [self._delta(n, batch_id, change, heads[n]) for n, change in enumerate(changes)]

    def _delta(self, number: int, batch_id: int, change: Changes, head: int) -> int:
        if not len(change.upserted) and not len(change.removed):
            return head
        content = packed({"after": head}, [change.upserted, change.removed], "uncompressed")
        self._store.write(f"state/{number}/{batch_id}.{_DELTA}", content)
        size, count = self._since.get(number, (0, 0))
        self._since[number] = size + len(content), count + 1
        return batch_id

    # -- reading

    def load(self, tables: Sequence[StateTable], heads: Sequence[int]) -> None:
        """Make tables that have just been opened what they were at their heads."""
        for number, (table, head) in enumerate(zip(tables, heads, strict=True)):
            base, changes = self.chain(number, head)
            size = sum(int(c.upserted.estimated_size() + c.removed.estimated_size()) for c in changes)
            self._since[number] = size, len(changes)
            if base is not None:
                table.restore(_cast(base, table))
            for change in changes:
                table.apply(Changes(_cast(change.upserted, table), _cast(change.removed, table)))

    def chain(self, number: int, head: int) -> tuple[pl.DataFrame | None, list[Changes]]:
        """Return the newest snapshot of a table up to a head, if any, and what changed after it, oldest first."""
        changes: list[Changes] = []
        while head >= 0:
            if (self._store.path / f"state/{number}/{head}.{_SNAPSHOT}").exists():
                _, (base,) = unpacked(self._store.read(f"state/{number}/{head}.{_SNAPSHOT}"))
                return base, changes[::-1]
            header, (upserted, removed) = unpacked(self._store.read(f"state/{number}/{head}.{_DELTA}"))
            changes.append(Changes(upserted, removed))
            head = header["after"]
        return None, changes[::-1]

    # -- snapshots

    def snapshot(self, tables: Sequence[StateTable], heads: Sequence[int], owner: object) -> None:
        """Begin to write the tables whose deltas have grown long, in a thread; nothing while one is at work.

        A snapshot that is cut short or finds no room does no harm: the deltas are there. ``owner`` lives as long as
        the thread.
        """
        due = [n for n, table in enumerate(tables) if self._is_long(n, table)]
        if not due or (self._writer is not None and self._writer.is_alive()):
            return
        jobs = [(f"state/{n}/{heads[n]}.{_SNAPSHOT}", tables[n].frozen()) for n in due]
        self._newest = max(self._newest, *(heads[n] for n in due))
        self._since |= dict.fromkeys(due, (0, 0))
        self._writer = threading.Thread(target=self._write, args=(jobs, owner), name="streamnb snapshot", daemon=True)
        self._writer.start()

    def _is_long(self, number: int, table: StateTable) -> bool:
        size, count = self._since.get(number, (0, 0))
        return size > max(SNAPSHOT_BYTES, table.nbytes) or count >= SNAPSHOT_DELTAS

    def _write(self, jobs: Sequence[Job], owner: object) -> None:
        try:
            for name, rows in jobs:
                self._store.write(name, packed({}, [rows()], "lz4"), point=_SNAPSHOT)
        except OSError:
            pass  # no room for it: the deltas go on

    def wait(self) -> None:
        """Wait for the snapshot at work."""
        if self._writer is not None:
            self._writer.join()

    # -- forgetting

    def forget_after(self, batch_id: int) -> None:
        """Remove the files of later batches."""
        self.wait()
        for number, found, kind in self._files():
            if found > batch_id:
                self._store.remove(f"state/{number}/{found}.{kind}")
        self._newest = min(self._newest, batch_id)

    def forget_snapshots_from(self, batch_id: int) -> None:
        """Make sure that a batch that is done again finds no snapshot of its first time."""
        if self._newest >= batch_id:
            self.forget_after(batch_id - 1)

    def prune(self, before: int) -> None:
        """Remove what a finished snapshot of a batch up to ``before`` stands for."""
        files = self._files()
        for number in {n for n, _, _ in files}:
            snapshots = [found for n, found, kind in files if n == number and kind == _SNAPSHOT and found <= before]
            if not snapshots:
                continue
            self._store.sync(f"state/{number}")
            for n, found, kind in files:
                if n == number and (found < max(snapshots) or (found == max(snapshots) and kind == _DELTA)):
                    self._store.remove(f"state/{number}/{found}.{kind}")

    def _files(self) -> list[tuple[int, int, str]]:
        """Return (table, batch, kind) of every file, oldest first."""
        paths = [path for path in (self._store.path / "state").glob("*/*.*") if path.stem.isdigit()]
        return sorted((int(path.parent.name), int(path.stem), path.suffix[1:]) for path in paths)


def packed(header: Mapping[str, Any], frames: Sequence[pl.DataFrame], compression: Any) -> bytes:
    """Return frames as bytes, bit for bit."""
    parts = [json.dumps(header).encode()]
    for frame in frames:
        part = io.BytesIO()
        frame.write_ipc(part, compression=compression)
        parts.append(part.getvalue())
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def unpacked(content: bytes) -> tuple[Any, list[pl.DataFrame]]:
    """Return the header and the frames that ``packed`` made bytes of."""
    parts, start = [], 0
    while start < len(content):
        size = int.from_bytes(content[start : start + 8], "big")
        parts.append(content[start + 8 : start + 8 + size])
        start += 8 + size
    return json.loads(parts[0]), [pl.read_ipc(io.BytesIO(part)) for part in parts[1:]]


def _cast(rows: pl.DataFrame, table: StateTable) -> pl.DataFrame:
    return rows.cast(dict(table.schema))  # type: ignore[arg-type]
