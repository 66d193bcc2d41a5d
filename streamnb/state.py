"""StateTable: what an operator remembers, keyed, columnar, and changed at the cost of the change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, HashIndex, Slots

EXPIRES = "__expires"
"""The column of a state table with the watermark that ends a row (microseconds; null: never)."""

FOREVER = np.iinfo(np.int64).max
_PART_RATIO, _MOST_PARTS = 4, 8


@dataclass(frozen=True, eq=False)
class Changes:
    """What one batch did to a table: the new version of every row it wrote, and the rows it removed."""

    upserted: pl.DataFrame
    removed: pl.DataFrame


class StateTable:
    """Rows by key. Looking up, writing and evicting cost the rows named, not the rows held.

    New versions of rows are appended to columnar parts; a hash index says which version is the newest, a calendar which
    keys end when. What a batch appended is its difference to the batch before, so checkpoints, rewinding and the view
    of what changed all read the same frames. Dead versions are swept once they outnumber the living.

    A hash is only a hint: keys are compared, and two keys with one hash make the table hash anew with another seed.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> None:
        self.schema = pl.Schema({**schema, EXPIRES: pl.Int64()})
        self.keys = list(keys)
        self._seed = 0
        self._reset(pl.DataFrame(schema=self.schema))

    def _reset(self, rows: pl.DataFrame) -> None:
        self._index, self._frame = HashIndex(), rows.clear()
        self._parts: list[pl.DataFrame] = []
        self._live = self._size = 0
        self._row_of = np.empty(0, np.int64)
        self._ends_at = np.empty(0, np.int64)
        self._free: list[Slots] = []
        self._calendar: list[tuple[NDArray[np.int64], Slots]] = []
        self._upserted: list[pl.DataFrame] = []
        self._removed: list[pl.DataFrame] = []
        self._returned = False  # whether this batch has written rows after it removed some
        if len(rows):
            self._write(rows, np.full(len(rows), -1, np.int64))

    def __len__(self) -> int:
        return self._live

    def like(self) -> StateTable:
        """Return an empty table of the same shape."""
        return StateTable({n: t for n, t in self.schema.items() if n != EXPIRES}, self.keys)

    # -- reading

    def find(self, keys: pl.DataFrame) -> Slots:
        """Return the slot of every key, -1 where the table has none."""
        return self._match(keys[self.keys], whole=False)[0]

    def match(self, keys: pl.DataFrame) -> tuple[Slots, pl.DataFrame]:
        """Return the slot of every key, -1 where the table has none, and the newest rows of those that it has."""
        return self._match(keys[self.keys], whole=True)

    def _match(self, keys: pl.DataFrame, *, whole: bool) -> tuple[Slots, pl.DataFrame]:
        slots = self._index.find(keys.hash_rows(self._seed).to_numpy())
        known = np.flatnonzero(slots >= 0)
        if not len(known):
            return slots, self._frame.clear()
        every = len(known) == len(slots)
        held = self._frame if whole else self._frame[self.keys]
        rows = taken(held, self._row_of[slots if every else slots[known]])
        if not (rows[self.keys] if whole else rows).equals(keys if every else taken(keys, known), null_equal=True):
            self._reseed()
            return self._match(keys, whole=whole)
        return slots, rows

    def rows(self, slots: Slots) -> pl.DataFrame:
        """Return the newest rows of slots that ``find`` gave (none of them -1)."""
        return taken(self._frame, self._row_of[slots])

    def frame(self) -> pl.DataFrame:
        """Return every row, oldest write first. Costs the whole table."""
        return self._frame[np.sort(self._row_of[self._row_of >= 0])]

    def frozen(self) -> Callable[[], pl.DataFrame]:
        """Return a way to have ``frame()`` as it is now, later and in another thread."""
        frame, row_of = self._frame, self._row_of.copy()
        return lambda: frame[np.sort(row_of[row_of >= 0])]

    # -- writing

    def upsert(self, rows: pl.DataFrame, slots: Slots | None = None) -> None:
        """Write rows with distinct keys; ``slots`` are theirs as ``find`` gave them for this very batch."""
        if not len(rows):
            return
        rows = rows[self.schema.names()] if rows.columns != self.schema.names() else rows
        self._upserted.append(rows)
        self._returned = self._returned or len(self._removed) > 0
        self._write(rows, self.find(rows) if slots is None else slots)

    def _write(self, rows: pl.DataFrame, slots: Slots) -> None:
        fresh = slots < 0
        news = slots if not fresh.any() else np.where(fresh, -1, slots)
        if fresh.any():
            news[fresh] = self._take(int(fresh.sum()))
        self._row_of[news] = np.arange(self._size, self._size + len(rows))
        self._append(rows)
        self._schedule(rows[EXPIRES], news)
        if fresh.any() and not self._add(rows if fresh.all() else taken(rows, np.flatnonzero(fresh)), news[fresh]):
            self._reseed()
        self._sweep()

    def _add(self, rows: pl.DataFrame, slots: Slots) -> bool:
        """Index new keys; False if two of them share a hash."""
        hashes = self._hash(rows)
        self._live += len(rows)
        return self._index.insert(hashes, slots)

    def evict(self, watermark: int) -> pl.DataFrame:
        """Remove and return the rows that end at or before ``watermark``, first ended first."""
        return self.remove(self._ended(watermark)[1])

    def due(self, watermark: int) -> Slots:
        """Return the slots of the rows that ``evict`` would remove, first ended first; they stay. Costs those rows."""
        ends, slots = self._ended(watermark)
        if len(slots):
            self._calendar.append((ends, slots))
        return slots

    def _ended(self, watermark: int) -> tuple[NDArray[np.int64], Slots]:
        """Take the ends up to ``watermark``, each with its slot, out of the calendar."""
        if all(ends[0] > watermark for ends, _ in self._calendar):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        due = [self._cut(i, watermark) for i in range(len(self._calendar))]
        self._calendar = [run for run in self._calendar if len(run[0])]
        ends, slots = (np.concatenate(part) for part in zip(*due, strict=True))
        order = np.argsort(ends, kind="stable")
        ends, slots = ends[order], slots[order]
        still = np.flatnonzero((self._ends_at[slots] == ends) & (self._row_of[slots] >= 0))
        still = still[self._first_of_each(slots[still])]
        return ends[still], slots[still]

    def _first_of_each(self, slots: Slots) -> NDArray[np.int64]:
        """Return where each slot stands first: a freed slot may stand twice in the calendar."""
        places, first = np.arange(len(slots)), np.empty(len(self._row_of), np.int64)
        first[slots[::-1]] = places[::-1]  # of places with one slot the last one written stays
        return np.flatnonzero(first[slots] == places)

    def _cut(self, run: int, watermark: int) -> tuple[NDArray[np.int64], Slots]:
        ends, slots = self._calendar[run]
        cut = int(np.searchsorted(ends, watermark, side="right"))
        self._calendar[run] = (ends[cut:], slots[cut:])
        return ends[:cut], slots[:cut]

    def remove(self, slots: Slots) -> pl.DataFrame:
        """Remove and return the rows of some slots."""
        if not len(slots):
            return self._frame.clear()
        gone = self.rows(slots)
        self._index.remove(slots)
        self._row_of[slots], self._ends_at[slots] = -1, FOREVER
        self._free.append(slots)
        self._live -= len(slots)
        self._removed.append(gone)
        self._sweep()
        return gone

    # -- one batch to the next

    def pending(self) -> Changes:
        """Return what this batch has changed so far. A row that was removed and written again is not removed."""
        removed = _joined(self._removed, self._frame)
        if self._returned and len(removed):
            removed = removed.filter(pl.Series(self.find(removed) < 0))
        return Changes(_joined(self._upserted, self._frame), removed)

    def commit(self) -> Changes:
        """Close the batch: return what it changed, and start counting anew."""
        changes = self.pending()
        self._upserted, self._removed, self._returned = [], [], False
        return changes

    def restore(self, rows: pl.DataFrame) -> None:
        """Hold exactly ``rows``, as if nothing else had ever been written."""
        self._reset(rows)

    def apply(self, changes: Changes) -> None:
        """Do again what a batch did; of a row that it wrote twice, the last version counts."""
        self.upsert(changes.upserted.unique(self.keys, keep="last", maintain_order=True))
        if len(changes.removed):
            self.remove(np.unique(self.find(changes.removed)))
        self.commit()

    @property
    def nbytes(self) -> int:
        """Bytes held for rows, index and calendar, dead versions included."""
        arrays = self._row_of.nbytes + self._ends_at.nbytes + self._index.nbytes
        calendar = sum(ends.nbytes + slots.nbytes for ends, slots in self._calendar)
        return int(self._frame.estimated_size()) + arrays + calendar

    # -- inside

    def _hash(self, rows: pl.DataFrame) -> Hashes:
        return rows[self.keys].hash_rows(self._seed).to_numpy()

    def _take(self, count: int) -> Slots:
        """Return free slots, new ones where needed."""
        taken, old = [], len(self._row_of)
        while count and self._free:
            free = self._free.pop()
            taken.append(free[:count])
            if len(free) > count:
                self._free.append(free[count:])
            count -= len(taken[-1])
        if not count:
            return np.concatenate(taken)
        needed = old + count
        grown = max(needed, 2 * old, 16)
        self._row_of = _grown(self._row_of, grown, -1)
        self._ends_at = _grown(self._ends_at, grown, FOREVER)
        self._free.append(np.arange(needed, grown))
        return np.concatenate([*taken, np.arange(old, needed)])

    def _append(self, rows: pl.DataFrame) -> None:
        """Add a part. Parts stay few: small ones at the end are joined, so that each is several times the next."""
        self._size += len(rows)
        self._parts.append(rows)
        if len(self._parts) <= _MOST_PARTS:
            self._frame = self._frame.vstack(rows) if len(self._parts) > 1 else rows
            return
        tail = self._parts.pop()
        while self._parts and len(self._parts[-1]) <= _PART_RATIO * len(tail):
            tail = pl.concat([self._parts.pop(), tail], rechunk=True)
        self._parts.append(tail)
        self._frame = pl.concat(self._parts, rechunk=False)

    def _schedule(self, expires: pl.Series, slots: Slots) -> None:
        ends = (expires.fill_null(FOREVER) if expires.null_count() else expires).to_numpy()
        news = self._ends_at[slots] != ends
        self._ends_at[slots] = ends
        news &= ends != FOREVER
        if not news.any():
            return
        run = _sorted(ends[news], slots[news])
        while self._calendar and len(self._calendar[-1][0]) <= _PART_RATIO * len(run[0]):
            last = self._calendar.pop()
            run = _sorted(np.concatenate([last[0], run[0]]), np.concatenate([last[1], run[1]]))
        self._calendar.append(run)

    def _sweep(self) -> None:
        """Rewrite the living rows once most versions are dead, unless they are few and small."""
        dead = self._size - self._live
        if dead <= self._live or (dead <= self._live + 1024 and self._frame.estimated_size() < 2**20):
            return
        live, slot_of = np.flatnonzero(self._row_of >= 0), np.full(self._size, -1)
        slot_of[self._row_of[live]] = live
        live = slot_of[slot_of >= 0]
        kept = self.rows(live).rechunk()
        self._row_of[live] = np.arange(len(live))
        self._parts, self._frame, self._size = [kept], kept, len(kept)

    def _reseed(self) -> None:
        """Two keys met in one hash: hash all with the next seed."""
        kept = self._upserted, self._removed, self._returned
        self._seed += 1
        self._reset(self.frame())
        self._upserted, self._removed, self._returned = kept


def taken(rows: pl.DataFrame, numbers: NDArray[np.int64]) -> pl.DataFrame:
    """Return some rows by their numbers, which are not negative."""
    return rows[numbers.astype(np.uint32)]


def _sorted(ends: NDArray[np.int64], slots: Slots) -> tuple[NDArray[np.int64], Slots]:
    order = np.argsort(ends, kind="stable")
    return ends[order], slots[order]


def _grown(values: NDArray[np.int64], size: int, fill: int) -> NDArray[np.int64]:
    grown = np.full(size, fill, values.dtype)
    grown[: len(values)] = values
    return grown


def _joined(frames: Sequence[pl.DataFrame], like: pl.DataFrame) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    return pl.concat(frames) if frames else like.clear()
