"""Bag: a state table of rows that need not differ, found by some of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.hash_index import Hashes, Slots
from streamnb.state import EXPIRES, StateTable

ID = "__id"
_RUN_RATIO = 4


class Bag(StateTable):
    """Every row has a number of its own, and is found by ``by``, which many rows may share.

    Rows are found through runs of (hash, number) sorted by hash; short runs are joined into longer ones. Numbers of
    rows that are gone are skipped, and dropped when runs are joined. Equal hashes are a hint: compare the columns.
    """

    def __init__(self, schema: Mapping[str, pl.DataType], by: Sequence[str]) -> None:
        self.by = list(by)
        self._runs: list[tuple[Hashes, NDArray[np.int64]]] = []
        self._next = 0
        super().__init__({ID: pl.Int64(), **schema}, [ID])

    def like(self) -> Bag:
        schema = {n: t for n, t in self.schema.items() if n not in {ID, EXPIRES}}
        return Bag(schema, self.by)

    def restore(self, rows: pl.DataFrame) -> None:
        super().restore(rows)
        self._runs, self._next = [], 0
        self._index_rows(rows)

    def apply(self, changes: object) -> None:
        super().apply(changes)  # type: ignore[arg-type]
        self.restore(self.frame())

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows, which have all columns but a number."""
        if not len(rows):
            return
        numbers = pl.int_range(self._next, self._next + len(rows), eager=True, dtype=pl.Int64).alias(ID)
        numbered = rows.with_columns(numbers).select(self.schema.names())
        self.upsert(numbered, np.full(len(rows), -1, np.int64))
        self._index_rows(numbered)

    def candidates(self, keys: pl.DataFrame) -> tuple[NDArray[np.int64], Slots]:
        """Return pairs of (position in ``keys``, slot here) with equal hashes, by position and then age."""
        hashes = keys.hash_rows(0).to_numpy() if len(keys) else np.empty(0, np.uint64)
        found = [_probe(hashes, run) for run in self._runs]
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        positions, numbers = (np.concatenate(part) for part in zip(*found, strict=True))
        slots = self.find(pl.DataFrame({ID: numbers}))
        alive = slots >= 0
        order = np.lexsort((numbers[alive], positions[alive]))
        return positions[alive][order], slots[alive][order]

    def _index_rows(self, rows: pl.DataFrame) -> None:
        if not len(rows):
            return
        numbers = rows[ID].to_numpy()
        self._next = max(self._next, int(numbers.max()) + 1)
        run = _sorted(rows[self.by].hash_rows(0).to_numpy(), numbers)
        while self._runs and len(self._runs[-1][0]) <= _RUN_RATIO * len(run[0]):
            last = self._runs.pop()
            run = self._joined(last, run)
        self._runs.append(run)

    def _joined(self, *runs: tuple[Hashes, NDArray[np.int64]]) -> tuple[Hashes, NDArray[np.int64]]:
        hashes, numbers = (np.concatenate(part) for part in zip(*runs, strict=True))
        alive = self.find(pl.DataFrame({ID: numbers})) >= 0
        return _sorted(hashes[alive], numbers[alive])


def _sorted(hashes: Hashes, numbers: NDArray[np.int64]) -> tuple[Hashes, NDArray[np.int64]]:
    order = np.argsort(hashes, kind="stable")
    return hashes[order], numbers[order]


def _probe(hashes: Hashes, run: tuple[Hashes, NDArray[np.int64]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every pair of (position in hashes, number in the run) that share a hash."""
    first, last = (np.searchsorted(run[0], hashes, side=side) for side in ("left", "right"))
    counts = last - first
    positions = np.repeat(np.arange(len(hashes)), counts)
    offsets = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
    return positions, run[1][np.repeat(first, counts) + offsets]
