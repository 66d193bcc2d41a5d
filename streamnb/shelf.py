"""Shelf: a state table whose rows are also found by a part of their key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots
from streamnb.order import ordered
from streamnb.state import EXPIRES, StateTable
from streamnb.versions import columns, taken

Positions = NDArray[np.int64]
Run = tuple[Hashes, Slots]
_RUN_RATIO = 4


class Shelf(StateTable):
    """A table with several rows a group: found by their whole key, or all of a group by the columns ``by``.

    Runs of (hash of the group, slot), sorted by hash, lead from a group to its rows; short runs are joined into longer
    ones, and what is gone is dropped then. They are made from the rows, so a restored table has them again.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], keys: Sequence[str], by: Sequence[str]) -> None:
        self.by = list(by)
        super().__init__(schema, keys)

    def like(self) -> Shelf:
        return Shelf({n: t for n, t in self.schema.items() if n != EXPIRES}, self.keys, self.by)

    def at_most(self, groups: pl.DataFrame) -> Positions:
        """Return for every group how many rows it has at most. Costs the groups, not their rows."""
        hashes = self._group_hash(groups)
        bounds = [_bounds(run, hashes) for run in self._runs]
        return sum((last - first for first, last in bounds), np.zeros(len(groups), np.int64))

    def of(self, groups: pl.DataFrame) -> tuple[Positions, Slots]:
        """Return the rows of some groups: pairs of (position in ``groups``, slot), by position, oldest write first."""
        hashes = self._group_hash(groups)
        found = [_probe(run, hashes) for run in self._runs] or [(np.empty(0, np.int64), np.empty(0, np.int64))]
        positions, slots = (np.concatenate(part) for part in zip(*found, strict=True))
        alive = np.flatnonzero(self._alive(hashes[positions], slots))
        positions, slots = positions[alive], slots[alive]
        pairs = (positions << 32) | self._store.turns(slots)
        order = ordered(pairs)
        once = order[np.flatnonzero(np.diff(pairs[order], prepend=-1))]  # a slot used again stands in two runs
        return self._verified(groups, positions[once], slots[once])

    def _verified(self, groups: pl.DataFrame, positions: Positions, slots: Slots) -> tuple[Positions, Slots]:
        """Drop rows of other groups that only share a hash."""
        mine, theirs = columns(self.rows(slots), self.by), taken(columns(groups, self.by), positions)
        if mine.equals(theirs, null_equal=True):
            return positions, slots
        same = np.array([mine[i].equals(theirs[i], null_equal=True) for i in range(len(slots))], bool)
        return positions[same], slots[same]

    def _group_hash(self, rows: pl.DataFrame) -> Hashes:
        return columns(rows, self.by).hash_rows(0).to_numpy()

    def _alive(self, hashes: Hashes, slots: Slots) -> NDArray[np.bool_]:
        alive: NDArray[np.bool_] = (self._store.turns(slots) >= 0) & (self._group_of[slots] == hashes)
        return alive

    def _reset(self, rows: pl.DataFrame) -> None:
        self._runs: list[Run] = []
        self._group_of = np.empty(0, np.uint64)
        super()._reset(rows)

    def _note_new(self, rows: pl.DataFrame, fresh: Positions, slots: Slots) -> None:
        hashes = self._group_hash(taken(columns(rows, self.by), fresh))
        if len(self._group_of) < self._room:
            self._group_of = np.resize(self._group_of, self._room)
        self._group_of[slots] = hashes
        run, first = _sorted(hashes, slots), self._first_to_join(len(slots))
        self._runs[first:] = [self._joined([*self._runs[first:], run]) if first < len(self._runs) else run]

    def _first_to_join(self, more: int) -> int:
        """Return from which run on all are joined with a new one: short ones at the end, or all if most are dead."""
        lengths = [len(hashes) for hashes, _ in self._runs]
        if sum(lengths) > 2 * self._live + 1024:
            return 0
        first = len(lengths)
        while first and lengths[first - 1] <= _RUN_RATIO * more:
            first -= 1
            more += lengths[first]
        return first

    def _joined(self, runs: Sequence[Run]) -> Run:
        hashes, slots = (np.concatenate(part) for part in zip(*runs, strict=True))
        alive = np.flatnonzero(self._alive(hashes, slots))
        alive = alive[self._first_of_each(slots[alive])]
        return _sorted(hashes[alive], slots[alive])

    @property
    def nbytes(self) -> int:
        return super().nbytes + self._group_of.nbytes + sum(h.nbytes + s.nbytes for h, s in self._runs)


def _sorted(hashes: Hashes, slots: Slots) -> Run:
    order = ordered(hashes)
    return hashes[order], slots[order]


def _bounds(run: Run, hashes: Hashes) -> tuple[Positions, Positions]:
    first = np.searchsorted(run[0], hashes)
    there = np.flatnonzero(run[0][np.minimum(first, len(run[0]) - 1)] == hashes) if len(run[0]) else first[:0]
    last = first.copy()
    last[there] = np.searchsorted(run[0], hashes[there], side="right")
    return first, last


def _probe(run: Run, hashes: Hashes) -> tuple[Positions, Slots]:
    """Return every pair of (position in hashes, slot in the run) that share a hash."""
    first, last = _bounds(run, hashes)
    counts = last - first
    positions = np.repeat(np.arange(len(hashes)), counts)
    offsets = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
    return positions, run[1][np.repeat(first, counts) + offsets]
