"""Cells: a state table as a user's function sees it during one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from streamnb.fields import Values, frozen
from streamnb.hash_index import Slots
from streamnb.shelf import Shelf
from streamnb.state import EXPIRES, StateTable

_SMALL = 32
"""Groups with so few rows are all read together, at the first question."""
_WORTH_A_LOOKUP = 256
"""So many rows are read in the time of one lookup."""


class Entry(NamedTuple):
    """The values of a row, and the time that ends it (microseconds; None: never)."""

    values: Values
    expires: int | None = None


class Cells:
    """Reads are tuples, taken when asked for; writes wait and go into the table together, at the end of the batch.

    A cell is named by the number of its group in this batch, and by the ``rest`` of its key where a group has many.
    A row is written or removed once a batch, whatever a function does to it; one that fails leaves the table alone.
    """

    def __init__(self, keys: Mapping[str, pl.DataType], values: Mapping[str, pl.DataType]) -> None:
        self.table = StateTable({**keys, **values}, list(keys))
        self._rest: list[str] = []
        self._values = list(values)
        self.open(pl.DataFrame(schema=keys))

    def open(self, groups: pl.DataFrame) -> None:
        """Begin a batch; ``groups`` are the keys of its groups, each once."""
        self._groups = groups
        self._read: dict[Values, Entry | None] = {}
        self._written: dict[Values, tuple[Values, Entry | None]] = {}
        self._read_first()

    def _read_first(self) -> None:
        slots = self.table.find(self._groups)
        self._take(((g,) for g in np.flatnonzero(slots >= 0).tolist()), slots[slots >= 0])

    def get(self, group: int, rest: Values = ()) -> Entry | None:
        """Return what a cell holds, None if nothing."""
        cell = (group, *frozen(rest))
        return self._written[cell][1] if cell in self._written else self._stored(cell, rest)

    def _stored(self, cell: Values, rest: Values) -> Entry | None:
        return self._read.get(cell)

    def put(self, group: int, entry: Entry, rest: Values = ()) -> None:
        """Let a cell hold an entry from now on."""
        self._write(group, rest, entry)

    def remove(self, group: int, rest: Values = ()) -> None:
        """Empty a cell."""
        self._write(group, rest, None)

    def _write(self, group: int, rest: Values, entry: Entry | None) -> None:
        self._written[group, *frozen(rest)] = rest, entry

    def waiting(self) -> Iterator[tuple[int, Values, Entry]]:
        """Yield the writes of this batch: group, rest of the key, entry."""
        for cell, (rest, entry) in self._written.items():
            if entry is not None:
                yield cell[0], rest, entry

    # -- the table

    def close(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """End the batch: write what waits; return the rows written and the rows removed."""
        puts = [(cell, rest, entry) for cell, (rest, entry) in self._written.items() if entry is not None]
        gone = [(cell, rest) for cell, (rest, entry) in self._written.items() if entry is None]
        written = self._rows([(cell, rest) for cell, rest, _ in puts], [entry for *_, entry in puts])
        self.table.upsert(written)
        slots = self.table.find(self._keys(gone))
        removed = self.table.remove(slots[slots >= 0])
        self.open(self._groups.clear())
        return written, removed

    def _take(self, cells: Iterable[Values], slots: Slots) -> None:
        """Keep what the rows of some slots hold, for the rest of the batch."""
        rows = self.table.rows(slots)
        values = rows.select(self._values).rows() if self._values else [()] * len(rows)
        self._read |= zip(cells, map(Entry, values, rows[EXPIRES].to_list()), strict=True)

    def _keys(self, cells: Sequence[tuple[Values, Values]]) -> pl.DataFrame:
        groups = self._groups[np.array([cell[0] for cell, _ in cells], np.int64)]
        return groups.with_columns(self._columns(self._rest, [rest for _, rest in cells]))

    def _rows(self, cells: Sequence[tuple[Values, Values]], entries: Sequence[Entry]) -> pl.DataFrame:
        values = self._columns(self._values, [entry.values for entry in entries])
        expires = pl.Series(EXPIRES, [entry.expires for entry in entries], pl.Int64())
        return self._keys(cells).with_columns(*values, expires)

    def _columns(self, names: Sequence[str], rows: Sequence[Values]) -> list[pl.Series]:
        columns: Any = zip(*rows, strict=True) if rows else [()] * len(names)
        schema = self.table.schema
        return [pl.Series(name, list(column), schema[name]) for name, column in zip(names, columns, strict=True)]


class ManyCells(Cells):
    """Cells of which a group has many, told apart by the ``rest`` of their key.

    Small groups are read all together; of a large one single cells, until reading it whole is no dearer.
    """

    table: Shelf

    def __init__(
        self, keys: Mapping[str, pl.DataType], rest: Mapping[str, pl.DataType], values: Mapping[str, pl.DataType]
    ) -> None:
        super().__init__(keys, values)
        self.table = Shelf({**keys, **rest, **values}, [*keys, *rest], list(keys))
        self._rest = list(rest)

    def members(self, group: int) -> Iterator[tuple[Values, Entry]]:
        """Yield the rest of the key and the entry of every cell of a group, first written first."""
        self._need_all_of(group)
        for cell, rest in (self._members[group] | self._touched.get(group, {})).items():
            entry = self._written[cell][1] if cell in self._written else self._read[cell]
            if entry is not None:
                yield rest, entry

    def _read_first(self) -> None:
        self._members: dict[int, dict[Values, Values]] = {}
        self._touched: dict[int, dict[Values, Values]] = {}
        self._lookups: dict[int, int] = {}
        self._sizes: list[int] = []

    def _write(self, group: int, rest: Values, entry: Entry | None) -> None:
        super()._write(group, rest, entry)
        self._touched.setdefault(group, {})[group, *frozen(rest)] = rest

    def _stored(self, cell: Values, rest: Values) -> Entry | None:
        group = cell[0]
        if cell not in self._read and group not in self._members:
            self._look_up(group, cell, rest)
        return self._read.get(cell)

    def _look_up(self, group: int, cell: Values, rest: Values) -> None:
        self._need_small_groups()
        self._lookups[group] = self._lookups.get(group, 0) + 1
        if self._sizes[group] <= self._lookups[group] * _WORTH_A_LOOKUP:
            self._need_all_of(group)
        else:
            slots = self.table.find(self._keys([(cell, rest)]))
            self._take(compress([cell], slots >= 0), slots[slots >= 0])

    def _need_small_groups(self) -> None:
        if not self._sizes:
            self._sizes = self.table.at_most(self._groups).tolist()
            self._take_groups([g for g, size in enumerate(self._sizes) if size <= _SMALL])

    def _need_all_of(self, group: int) -> None:
        self._need_small_groups()
        if group not in self._members:
            self._take_groups([group])

    def _take_groups(self, groups: Sequence[int]) -> None:
        positions, slots = self.table.of(self._groups[np.array(groups, np.int64)])
        self._members |= {group: {} for group in groups}
        cells = []
        rests = self.table.rows(slots).select(self._rest).rows()
        for position, rest in zip(positions.tolist(), rests, strict=True):
            group = groups[position]
            cells.append((group, *frozen(rest)))
            self._members[group][cells[-1]] = rest
        self._take(cells, slots)
