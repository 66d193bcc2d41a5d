"""Shelf: a state table whose rows are also found by a part of their key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots
from streamnb.state import EXPIRES, StateTable

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

    def of(self, group: pl.DataFrame) -> Slots:
        """Return the slots of the rows of one group, oldest write first."""
        group = group[self.by]
        wanted = group.hash_rows(0).to_numpy()[0]
        slots = np.concatenate([np.empty(0, np.int64), *(_with_hash(run, wanted) for run in self._runs)])
        slots = slots[self._alive(np.full(len(slots), wanted), slots)]
        slots = np.unique(slots)
        slots = slots[np.argsort(self._row_of[slots])]
        return slots[self._same_group(group, slots)]

    def _same_group(self, group: pl.DataFrame, slots: Slots) -> NDArray[np.bool_]:
        mine = self.rows(slots)[self.by]
        if mine.equals(pl.concat([group] * len(slots)) if len(slots) else mine, null_equal=True):
            return np.ones(len(slots), bool)
        return np.array([mine[i].equals(group, null_equal=True) for i in range(len(slots))], bool)

    def _alive(self, hashes: Hashes, slots: Slots) -> NDArray[np.bool_]:
        return (self._row_of[slots] >= 0) & (self._group_of[slots] == hashes)

    def _reset(self, rows: pl.DataFrame) -> None:
        self._runs: list[tuple[Hashes, Slots]] = []
        self._group_of = np.empty(0, np.uint64)
        super()._reset(rows)

    def _add(self, rows: pl.DataFrame, slots: Slots) -> bool:
        hashes = rows[self.by].hash_rows(0).to_numpy()
        if len(self._group_of) < len(self._row_of):
            self._group_of = np.resize(self._group_of, len(self._row_of))
        self._group_of[slots] = hashes
        run = _sorted(hashes, slots)
        while self._runs and len(self._runs[-1][0]) <= _RUN_RATIO * len(run[0]):
            run = self._joined(self._runs.pop(), run)
        self._runs.append(run)
        return super()._add(rows, slots)

    def _joined(self, *runs: tuple[Hashes, Slots]) -> tuple[Hashes, Slots]:
        hashes, slots = (np.concatenate(part) for part in zip(*runs, strict=True))
        alive = self._alive(hashes, slots)
        slots, first = np.unique(slots[alive], return_index=True)
        return _sorted(hashes[alive][first], slots)

    @property
    def nbytes(self) -> int:
        return super().nbytes + self._group_of.nbytes + sum(h.nbytes + s.nbytes for h, s in self._runs)


def _sorted(hashes: Hashes, slots: Slots) -> tuple[Hashes, Slots]:
    order = np.argsort(hashes, kind="stable")
    return hashes[order], slots[order]


def _with_hash(run: tuple[Hashes, Slots], wanted: np.uint64) -> Slots:
    first, last = (int(np.searchsorted(run[0], wanted, side=side)) for side in ("left", "right"))
    return run[1][first:last]
