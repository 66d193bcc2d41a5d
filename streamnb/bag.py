"""Bag: a state table of rows that need not differ, found by some of their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from streamnb.hash_index import Slots
from streamnb.shelf import Positions, Shelf
from streamnb.state import EXPIRES

ID = "__id"


class Bag(Shelf):
    """A shelf that gives every row a number of its own for its key, so that equal rows are two."""

    def __init__(self, schema: Mapping[str, pl.DataType], by: Sequence[str]) -> None:
        self._next = 0
        super().__init__({ID: pl.Int64(), **schema}, [ID], by)

    def like(self) -> Bag:
        return Bag({n: t for n, t in self.schema.items() if n not in {ID, EXPIRES}}, self.by)

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows, which have all columns but the number."""
        if not len(rows):
            return
        numbers = pl.int_range(self._next, self._next + len(rows), eager=True, dtype=pl.Int64).alias(ID)
        self.upsert(rows.with_columns(numbers), np.full(len(rows), -1, np.int64))

    def _note_new(self, rows: pl.DataFrame, fresh: Positions, slots: Slots) -> None:
        self._next = max(self._next, int(rows[ID].max()) + 1)  # type: ignore[arg-type]
        super()._note_new(rows, fresh, slots)
