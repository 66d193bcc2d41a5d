"""StateTable: what an operator remembers, keyed, columnar, and changed at the cost of the change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.block import Block, fits
from streamnb.hash_index import Hashes, HashIndex, Slots
from streamnb.order import ordered
from streamnb.store import EXPIRES, FOREVER, Held, Store
from streamnb.versions import Versions, columns, taken

__all__ = ["EXPIRES", "FOREVER", "Changes", "StateTable", "taken"]
_RUN_RATIO, _MOST_RUNS = 4, 32
_LARGE = 2**16


@dataclass(frozen=True, eq=False)
class Changes:
    """What one batch did to a table: the new version of every row it wrote, and the rows it removed."""

    upserted: pl.DataFrame
    removed: pl.DataFrame


class StateTable:
    """Rows by key. Looking up, writing and evicting cost the rows named, not the rows held.

    A hash index leads from a key to a slot in the store, a calendar says which slots end when. What a batch wrote and
    removed is its difference to the batch before, so checkpoints, rewinding and the view of what changed all read the
    same frames. Rows of fixed width are kept in a block and changed in place; of others new versions are appended.

    A hash is only a hint: keys are compared, and two keys with one hash make the table hash anew with another seed.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], keys: Sequence[str]) -> None:
        self.schema = pl.Schema({**schema, EXPIRES: pl.Int64()})
        self.keys = list(keys)
        self._seed = 0
        self._reset(pl.DataFrame(schema=self.schema))

    def _reset(self, rows: pl.DataFrame) -> None:
        self._index, self._none = HashIndex(), rows.clear()
        store = Block if fits(self.schema, self.keys) else Versions
        self._store: Store = store(self.schema, self.keys)
        self._live = self._room = 0
        self._free: list[Slots] = []
        self._calendar: list[tuple[NDArray[np.int64], Slots]] = []
        self._upserted: list[pl.DataFrame] = []
        self._removed: list[pl.DataFrame] = []
        self._returned = False  # whether this batch has written rows after it removed some
        if len(rows):
            self._write(rows, self._store.held(rows), np.full(len(rows), -1, np.int64))

    def __len__(self) -> int:
        return self._live

    def like(self) -> StateTable:
        """Return an empty table of the same shape."""
        return StateTable({n: t for n, t in self.schema.items() if n != EXPIRES}, self.keys)

    # -- reading

    def find(self, keys: pl.DataFrame) -> Slots:
        """Return the slot of every key, -1 where the table has none."""
        return self._known(self._store.held_keys(keys))[0]

    def match(self, keys: pl.DataFrame) -> tuple[Slots, pl.DataFrame]:
        """Return the slot of every key, -1 where the table has none, and the newest rows of those that it has."""
        slots, old = self._known(self._store.held_keys(keys), whole=True)
        return slots, self._none if old is None else self._store.rows(old)

    def _known(self, keys: Held, *, whole: bool = False) -> tuple[Slots, Held | None]:
        """Return the slot of every key, and what is held in those that there are, None if there are none."""
        slots = self._index.find(self._hash(keys))
        known = np.flatnonzero(slots >= 0)
        if not len(known):
            return slots, None
        if len(known) < len(slots):
            found = self._store.match(slots[known], self._store.picked(keys, known), whole=whole)
        else:
            found = self._store.match(slots, keys, whole=whole)
        if found is None:
            self._reseed()
            return self._known(keys, whole=whole)
        return slots, found

    def rows(self, slots: Slots) -> pl.DataFrame:
        """Return the newest rows of slots that ``find`` gave (none of them -1)."""
        return self._store.rows(self._store.at(slots)) if len(slots) else self._none

    def frame(self) -> pl.DataFrame:
        """Return every row, oldest write first. Costs the whole table."""
        return self.frozen()()

    def frozen(self) -> Callable[[], pl.DataFrame]:
        """Return a way to have ``frame()`` as it is now, later and in another thread."""
        return self._store.frozen()

    # -- writing

    def upsert(self, rows: pl.DataFrame, slots: Slots | None = None) -> None:
        """Write rows with distinct keys; ``slots`` are theirs as ``find`` gave them for this very batch."""
        if not len(rows):
            return
        rows = self._ordered(rows)
        self._noted(rows)
        held = self._store.held(rows)
        self._write(rows, held, self._known(held)[0] if slots is None else slots)

    def add_up(self, rows: pl.DataFrame, summed: Collection[str]) -> pl.DataFrame | None:
        """Write rows with distinct keys, some columns added to those of the rows that are there.

        Return what is written, the keys that were there first; None, with nothing written, where columns hold nulls
        or are not held side by side.
        """
        held = self._store.held(self._ordered(rows))
        slots, old = self._known(held, whole=True)
        if old is not None:
            new = slots < 0
            if new.any():
                order = np.concatenate([np.flatnonzero(~new), np.flatnonzero(new)])
                slots, held = slots[order], self._store.picked(held, order)
            held = self._store.added(held, old, summed)
        if held is None:
            return None
        written = self._store.rows(held)
        self._noted(written)
        self._write(written, held, slots)
        return written

    def _ordered(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows if rows.columns == self.schema.names() else columns(rows, self.schema)

    def _noted(self, rows: pl.DataFrame) -> None:
        """Count rows as written in this batch."""
        self._upserted.append(rows)
        self._returned = self._returned or len(self._removed) > 0

    def _write(self, rows: pl.DataFrame, held: Held, slots: Slots) -> None:
        new = slots < 0
        fresh = np.flatnonzero(new)
        if len(fresh):
            slots = slots.copy()
            slots[fresh] = self._take(len(fresh))
        self._schedule(self._store.ends_of(held), slots, ~new)
        self._store.write(slots, held)
        if len(fresh):
            self._live += len(fresh)
            self._note_new(rows, fresh, slots[fresh])
            keys = held if len(fresh) == len(slots) else self._store.picked(held, fresh)
            if not self._index.insert(self._hash(keys), slots[fresh]):
                self._reseed()

    def _note_new(self, rows: pl.DataFrame, fresh: NDArray[np.int64], slots: Slots) -> None:
        """Hear which of the rows written have new keys, and their slots."""

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
        ends, slots = _sorted(ends, slots)
        still = np.flatnonzero((self._store.ends(slots) == ends) & (self._store.turns(slots) >= 0))
        still = still.take(self._first_of_each(slots.take(still)))
        return ends.take(still), slots.take(still)

    def _first_of_each(self, slots: Slots) -> NDArray[np.int64]:
        """Return where each slot stands first: a freed slot may stand twice in the calendar."""
        places, there = np.arange(len(slots)), np.zeros(self._room, np.bool_)
        there[slots] = True
        if np.count_nonzero(there) == len(slots):
            return places
        first = np.empty(self._room, np.int64)
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
            return self._none
        gone = self.rows(slots)
        self._index.remove(slots)
        self._store.drop(slots)
        self._free.append(slots)
        self._live -= len(slots)
        self._removed.append(gone)
        return gone

    # -- one batch to the next

    def pending(self) -> Changes:
        """Return what this batch has changed so far. A row that was removed and written again is not removed."""
        removed = _joined(self._removed, self._none)
        if self._returned and len(removed):
            removed = removed.filter(pl.Series(self.find(removed) < 0))
        return Changes(_joined(self._upserted, self._none), removed)

    def commit(self) -> Changes:
        """Close the batch: return what it changed, and start counting anew."""
        changes = self.pending()
        self._upserted, self._removed, self._returned = [], [], False
        if self._room > max(_LARGE, 8 * self._live):
            self._reset(self.frame())
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
        calendar = sum(ends.nbytes + slots.nbytes for ends, slots in self._calendar)
        return self._store.nbytes + self._index.nbytes + calendar

    # -- inside

    def _hash(self, keys: Held) -> Hashes:
        return self._store.hashes(keys, self._seed)

    def _take(self, count: int) -> Slots:
        """Return free slots, new ones where needed."""
        found, old = [], self._room
        while count and self._free:
            free = self._free.pop()
            found.append(free[:count])
            if len(free) > count:
                self._free.append(free[count:])
            count -= len(found[-1])
        if not count:
            return np.concatenate(found)
        needed = old + count
        self._room = max(needed, 2 * old, 16)
        self._store.grow(self._room)
        self._free.append(np.arange(needed, self._room))
        return np.concatenate([*found, np.arange(old, needed)])

    def _schedule(self, ends: NDArray[np.int64], slots: Slots, known: NDArray[np.bool_]) -> None:
        """Note when rows end that are about to be written; of known ones, if they ended otherwise."""
        news = ends != FOREVER
        if known.any() and news.any():
            old = np.flatnonzero(known)
            news[old] &= self._store.ends(slots.take(old)) != ends.take(old)
        if not news.any():
            return
        if not news.all():
            now = np.flatnonzero(news)
            ends, slots = ends.take(now), slots.take(now)
        self._calendar.append(_sorted(ends, slots))
        if len(self._calendar) > _MOST_RUNS:
            self._join_runs()

    def _join_runs(self) -> None:
        """Join the last runs of the calendar, so that each is several times the next."""
        joined = [self._calendar.pop()]
        while self._calendar and len(self._calendar[-1][0]) <= _RUN_RATIO * sum(len(ends) for ends, _ in joined):
            joined.append(self._calendar.pop())
        ends, slots = (np.concatenate(part) for part in zip(*joined[::-1], strict=True))
        self._calendar.append(_sorted(ends, slots))

    def _reseed(self) -> None:
        """Two keys met in one hash: hash all with the next seed."""
        kept = self._upserted, self._removed, self._returned
        self._seed += 1
        self._reset(self.frame())
        self._upserted, self._removed, self._returned = kept


def _sorted(ends: NDArray[np.int64], slots: Slots) -> tuple[NDArray[np.int64], Slots]:
    order = ordered(ends)
    return ends.take(order), slots.take(order)


def _joined(frames: Sequence[pl.DataFrame], like: pl.DataFrame) -> pl.DataFrame:
    if len(frames) == 1:
        return frames[0]
    return pl.concat(frames) if frames else like.clear()
