"""Cells: a state table as a user's function sees it during one batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from streamnb.fields import Values, frozen
from streamnb.shelf import Shelf
from streamnb.state import EXPIRES, StateTable


class Entry(NamedTuple):
    """The values of a row, and the time that ends it (microseconds; None: never)."""

    values: Values
    expires: int | None = None


class Cells:
    """Reads are tuples, taken when asked for; writes wait and go into the table together, at the end of the batch.

    A cell is named by the number of its group in this batch and the rest of its key. A row is written or removed once a
    batch, whatever a function does to it, and a function that fails leaves the table alone.
    """

    def __init__(
        self,
        keys: Mapping[str, pl.DataType],
        values: Mapping[str, pl.DataType],
        rest: Mapping[str, pl.DataType] | None = None,
    ) -> None:
        rest = rest or {}
        schema, names = {**keys, **rest, **values}, [*keys, *rest]
        self.table = Shelf(schema, names, list(keys)) if rest else StateTable(schema, names)
        self._rest, self._values = list(rest), list(values)
        self.open(pl.DataFrame(schema=keys))

    def open(self, groups: pl.DataFrame) -> None:
        """Begin a batch; ``groups`` are the keys of its groups, each once."""
        self._groups = groups
        self._read: dict[Values, Entry | None] = {}
        self._members: dict[int, dict[Values, Values]] = {}
        self._written: dict[Values, tuple[Values, Entry | None]] = {}
        self._touched: dict[int, dict[Values, Values]] = {}
        if not self._rest:
            self._load([((g,), ()) for g in range(len(groups))])

    # -- cells

    def get(self, group: int, rest: Values = ()) -> Entry | None:
        """Return what a cell holds, None if nothing."""
        cell = (group, *frozen(rest))
        if cell in self._written:
            return self._written[cell][1]
        if cell not in self._read and group not in self._members:
            self._load([(cell, rest)])
        return self._read.get(cell)

    def put(self, group: int, entry: Entry, rest: Values = ()) -> None:
        """Let a cell hold an entry from now on."""
        self._write(group, rest, entry)

    def remove(self, group: int, rest: Values = ()) -> None:
        """Empty a cell."""
        self._write(group, rest, None)

    def _write(self, group: int, rest: Values, entry: Entry | None) -> None:
        cell = (group, *frozen(rest))
        self._written[cell] = rest, entry
        self._touched.setdefault(group, {})[cell] = rest

    def members(self, group: int) -> Iterator[tuple[Values, Entry]]:
        """Yield the rest of the key and the entry of every cell of a group, first written first."""
        known = self._members[group] if group in self._members else self._list(group)
        for cell, rest in (known | self._touched.get(group, {})).items():
            entry = self._written[cell][1] if cell in self._written else self._read[cell]
            if entry is not None:
                yield rest, entry

    def waiting(self) -> Iterator[tuple[int, Values, Entry]]:
        """Yield the writes of this batch: group, rest of the key, entry."""
        for cell, (rest, entry) in self._written.items():
            if entry is not None:
                yield cell[0], rest, entry

    # -- the table

    def close(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """End the batch: write what waits; return the rows written and the rows removed."""
        puts = {cell: w for cell, w in self._written.items() if w[1] is not None}
        gone = [(cell, rest) for cell, (rest, entry) in self._written.items() if entry is None]
        written = self._rows(puts)
        self.table.upsert(written)
        slots = self.table.find(self._keys(gone))
        removed = self.table.remove(slots[slots >= 0])
        self.open(self._groups.clear())
        return written, removed

    def _load(self, cells: Sequence[tuple[Values, Values]]) -> None:
        if not cells:
            return
        slots = self.table.find(self._keys(cells))
        self._read |= dict.fromkeys((cell for cell, _ in cells), None)
        known = slots >= 0
        entries = self._entries(self.table.rows(slots[known]))
        self._read |= dict(zip((cells[i][0] for i in known.nonzero()[0]), entries, strict=True))

    def _list(self, group: int) -> dict[Values, Values]:
        rows = (
            self.table.rows(self.table.of(self._groups[group])) if isinstance(self.table, Shelf) else self._groups[:0]
        )
        rests = rows.select(self._rest).rows()
        self._members[group] = {(group, *frozen(rest)): rest for rest in rests}
        self._read |= dict(zip(self._members[group], self._entries(rows), strict=True))
        return self._members[group]

    def _entries(self, rows: pl.DataFrame) -> list[Entry]:
        ends = rows[EXPIRES].to_list()
        values = rows.select(self._values).rows() if self._values else [()] * len(ends)
        return [Entry(v, e) for v, e in zip(values, ends, strict=True)]

    def _keys(self, cells: Sequence[tuple[Values, Values]]) -> pl.DataFrame:
        groups = self._groups[np.array([cell[0] for cell, _ in cells], np.int64)]
        return groups.with_columns(self._columns(self._rest, [rest for _, rest in cells]))

    def _rows(self, puts: Mapping[Values, tuple[Values, Any]]) -> pl.DataFrame:
        keys = self._keys([(cell, rest) for cell, (rest, _) in puts.items()])
        entries = [entry for _, entry in puts.values()]
        values = self._columns(self._values, [entry.values for entry in entries])
        return keys.with_columns(*values, pl.Series(EXPIRES, [entry.expires for entry in entries], pl.Int64()))

    def _columns(self, names: Sequence[str], rows: Sequence[Values]) -> list[pl.Series]:
        columns = zip(*rows, strict=True) if rows else [()] * len(names)
        schema = self.table.schema
        return [pl.Series(name, list(column), schema[name]) for name, column in zip(names, columns, strict=True)]
