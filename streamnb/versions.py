"""Versions: the rows of a state table as Polars columns of any type, written behind one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots
from streamnb.store import FOREVER, Numbers, Store, ends_of, grown

_PART_RATIO, _MOST_PARTS = 4, 8


class Versions(Store):
    """New versions of rows are appended to columnar parts; a slot knows its newest.

    Dead versions are swept once they outnumber the living.
    """

    def __init__(self, schema: pl.Schema, keys: Sequence[str]) -> None:
        self._keys, self._frame = keys, pl.DataFrame(schema=schema)
        self._parts: list[pl.DataFrame] = []
        self._live = self._size = 0
        self._row_of, self._ends_at = np.empty(0, np.int64), np.empty(0, np.int64)

    def held(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows

    def held_keys(self, keys: pl.DataFrame) -> pl.DataFrame:
        return columns(keys, self._keys)

    def rows(self, held: pl.DataFrame) -> pl.DataFrame:
        return held

    def picked(self, held: pl.DataFrame, numbers: Numbers) -> pl.DataFrame:
        return taken(held, numbers)

    def ends_of(self, held: pl.DataFrame) -> Numbers:
        return ends_of(held)

    def hashes(self, held: pl.DataFrame, seed: int) -> Hashes:
        return columns(held, self._keys).hash_rows(seed).to_numpy()

    def grow(self, size: int) -> None:
        self._row_of = grown(self._row_of, size, -1)
        self._ends_at = grown(self._ends_at, size, FOREVER)

    def write(self, slots: Slots, held: pl.DataFrame) -> None:
        self._live += int(np.count_nonzero(self._row_of[slots] < 0))
        self._row_of[slots] = np.arange(self._size, self._size + len(held))
        self._ends_at[slots] = ends_of(held)
        self._append(held)
        self._sweep()

    def drop(self, slots: Slots) -> None:
        self._row_of[slots], self._ends_at[slots] = -1, FOREVER
        self._live -= len(slots)
        self._sweep()

    def at(self, slots: Slots) -> pl.DataFrame:
        return taken(self._frame, self._row_of[slots])

    def match(self, slots: Slots, keys: pl.DataFrame, *, whole: bool) -> pl.DataFrame | None:
        rows = taken(self._frame if whole else columns(self._frame, self._keys), self._row_of[slots])
        same = columns(rows, self._keys).equals(columns(keys, self._keys), null_equal=True)
        return rows if same else None

    def ends(self, slots: Slots) -> Numbers:
        return self._ends_at[slots]

    def turns(self, slots: Slots) -> Numbers:
        return self._row_of[slots]

    def frozen(self) -> Callable[[], pl.DataFrame]:
        frame, row_of = self._frame, self._row_of.copy()
        return lambda: frame[np.sort(row_of[row_of >= 0])]

    @property
    def nbytes(self) -> int:
        return int(self._frame.estimated_size()) + self._row_of.nbytes + self._ends_at.nbytes

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

    def _sweep(self) -> None:
        """Rewrite the living rows once most versions are dead, unless they are few and small."""
        dead = self._size - self._live
        if dead <= self._live or (dead <= self._live + 1024 and self._frame.estimated_size() < 2**20):
            return
        live, slot_of = np.flatnonzero(self._row_of >= 0), np.full(self._size, -1)
        slot_of[self._row_of[live]] = live
        live = slot_of[slot_of >= 0]
        kept = self.at(live).rechunk()
        self._row_of[live] = np.arange(len(live))
        self._parts, self._frame, self._size = [kept], kept, len(kept)


def columns(rows: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Return some columns, by no query of Polars'."""
    return pl.DataFrame([rows[name] for name in names])


def taken(rows: pl.DataFrame, numbers: NDArray[np.int64]) -> pl.DataFrame:
    """Return some rows by their numbers, which are not negative."""
    return rows[numbers.astype(np.uint32)]
