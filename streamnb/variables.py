"""State variables: one value, a list or a dictionary per key, each in tables of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from streamnb.cells import Cells, Entry, ManyCells
from streamnb.fields import Fields, Values
from streamnb.group_state import SparkNames
from streamnb.state import EXPIRES

Columns = Mapping[str, pl.DataType]


@dataclass
class Turn:
    """Whose turn it is: the batch, and the group in it that a call is for."""

    time_mode: str
    now: int = 0
    watermark_ms: int | None = None
    batch_id: int = 0
    group: int | None = None
    sequence: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def at(self) -> int:
        """The number of the group."""
        if self.group is None:
            raise ValueError("state: no key has its turn; read and write state while rows or timers are handled.")
        return self.group

    def next(self) -> int:
        """Return a number above all that were given before."""
        self.sequence += 1
        return (self.batch_id << 32) + self.sequence


class Variable(SparkNames):
    """A state variable: its cells, and how long what is written lives (microseconds; None: for ever)."""

    def __init__(self, name: str, turn: Turn, keys: Columns, fields: Sequence[Fields], ttl: int | None) -> None:
        self.name, self._turn, self._ttl = name, turn, ttl
        self._fields, self._key_fields = fields[0], fields[-1]
        self._cells = self._new_cells(keys, _columns(name, self._fields))

    def _new_cells(self, keys: Columns, values: Columns) -> Cells:
        return Cells(keys, values)

    @property
    def cells(self) -> Sequence[Cells]:
        """All cells, those that are counted as rows of state first."""
        return (self._cells,)

    @property
    def lapses(self) -> bool:
        """Whether what is written ends by itself."""
        return self._ttl is not None

    def frame(self) -> pl.DataFrame:
        """Return what is held, for all keys."""
        return self._cells.table.frame()

    def _entry(self, value: Any) -> Entry:
        self._turn.counts["updated"] += 1
        return Entry(self._fields.fit(value), self._expires())

    def _expires(self) -> int | None:
        return None if self._ttl is None else self._turn.now + self._ttl

    def _alive(self, entry: Entry | None) -> bool:
        return entry is not None and (entry.expires is None or entry.expires > self._turn.now)

    def _remove(self, rest: Values = ()) -> None:
        self._turn.counts["removed"] += 1
        self._cells.remove(self._turn.at, rest)


class ValueState(Variable):
    """One tuple a key. PySpark: ``ValueState``.

    >>> class Counting(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.n = handle.get_value_state("n", {"n": "int64"})
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         before = self.n.get()[0] if self.n.exists() else 0
    ...         self.n.update((before + sum(map(len, rows)),))
    ...         yield pd.DataFrame({"n": [self.n.get()[0]]})
    ...
    >>> counted = flights.group_by("dest").transform_with_state(Counting(), {"n": "int64"})
    >>> counted.query("append").run().result["n"].max()
    np.int64(16)
    """

    def exists(self) -> bool:
        """Tell whether there is a value."""
        return self._alive(self._cells.get(self._turn.at))

    def get(self) -> Values | None:
        """Return the value, None if there is none."""
        entry = self._cells.get(self._turn.at)
        return self._fields.copied(entry.values) if entry is not None and self._alive(entry) else None

    def update(self, new_value: Any) -> None:
        """Write a value."""
        self._cells.put(self._turn.at, self._entry(new_value))

    def clear(self) -> None:
        """Forget the value."""
        self._remove()


class _Many(Variable):
    """A variable with many rows a key."""

    _cells: ManyCells

    def _members(self) -> Iterator[tuple[Values, Values]]:
        for rest, entry in self._cells.members(self._turn.at):
            if self._alive(entry):
                yield rest, self._fields.copied(entry.values)


class ListState(_Many):
    """A list of tuples a key; an element is a row, so appending costs what is appended. PySpark: ``ListState``.

    >>> class Counting(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.n = handle.get_list_state("planes", {"tail": "string"})
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         for frame in rows:
    ...             self.n.append_list([(tail,) for tail in frame["tailnum"]])
    ...         yield pd.DataFrame({"n": [len(list(self.n.get()))]})
    ...
    >>> counted = flights.group_by("dest").transform_with_state(Counting(), {"n": "int64"})
    >>> counted.query("append").run().result["n"].max()
    np.int64(16)
    """

    def __init__(self, name: str, turn: Turn, keys: Columns, fields: Sequence[Fields], ttl: int | None) -> None:
        super().__init__(name, turn, keys, fields, ttl)
        self._heads = Cells(keys, {})

    def _new_cells(self, keys: Columns, values: Columns) -> Cells:
        return ManyCells(keys, {f"{self.name}.#": pl.Int64()}, values)

    @property
    def cells(self) -> Sequence[Cells]:
        """One head a list, which lives as long as its newest element; then the elements."""
        return (self._heads, self._cells)

    def frame(self) -> pl.DataFrame:
        """Return what is held, a row a list."""
        keys, index = self._heads.table.keys, self._cells.table.keys[-1]
        values = pl.exclude(*keys, index, EXPIRES)
        return super().frame().sort(index).group_by(keys, maintain_order=True).agg(values, pl.col(EXPIRES).max())

    def exists(self) -> bool:
        """Tell whether there is an element."""
        return self._alive(self._heads.get(self._turn.at))

    def get(self) -> Iterator[Values]:
        """Return the elements, oldest first."""
        return iter([value for _, value in sorted(self._members(), key=lambda member: member[0])])

    def put(self, new_state: Iterable[Any]) -> None:
        """Write a whole new list, not an empty one."""
        values = list(new_state)
        if not values:
            raise ValueError("ListState.put: an empty list is no value; call clear().")
        self._forget()
        self.append_list(values)

    def append_value(self, new_value: Any) -> None:
        """Write one more element."""
        self.append_list([new_value])

    def append_list(self, new_values: Iterable[Any]) -> None:
        """Write more elements."""
        at = self._turn.at
        for value in new_values:
            self._cells.put(at, self._entry(value), (self._turn.next(),))
            self._heads.put(at, Entry((), self._expires()))

    def clear(self) -> None:
        """Forget the list."""
        self._turn.counts["removed"] += self._forget()

    def _forget(self) -> int:
        at = self._turn.at
        indices = [rest for rest, _ in self._cells.members(at)]
        for index in indices:
            self._cells.remove(at, index)
        self._heads.remove(at)
        return len(indices)


class MapState(_Many):
    """A dictionary a key, from tuples to tuples; every pair is a row. PySpark: ``MapState``.

    >>> class Counting(sn.StatefulProcessor):
    ...     def init(self, handle):
    ...         self.n = handle.get_map_state("planes", {"tail": "string"}, {"n": "int64"})
    ...     def handle_input_rows(self, key, rows, timer_values):
    ...         for frame in rows:
    ...             for tail in frame["tailnum"]:
    ...                 self.n.update_value((tail,), ((self.n.get_value((tail,)) or (0,))[0] + 1,))
    ...         yield pd.DataFrame({"n": [len(list(self.n.keys()))]})
    ...
    >>> counted = flights.group_by("dest").transform_with_state(Counting(), {"n": "int64"})
    >>> counted.query("append").run().result["n"].max()
    np.int64(16)
    """

    def _new_cells(self, keys: Columns, values: Columns) -> Cells:
        return ManyCells(keys, _columns(f"{self.name}.key", self._key_fields), values)

    def exists(self) -> bool:
        """Tell whether there is a pair."""
        return next(self._members(), None) is not None

    def get_value(self, key: Any) -> Values | None:
        """Return the value of a key, None if there is none."""
        entry = self._cells.get(self._turn.at, self._key_fields.fit(key))
        return self._fields.copied(entry.values) if entry is not None and self._alive(entry) else None

    def contains_key(self, key: Any) -> bool:
        """Tell whether a key has a value."""
        return self._alive(self._cells.get(self._turn.at, self._key_fields.fit(key)))

    def update_value(self, key: Any, value: Any) -> None:
        """Write the value of a key."""
        self._cells.put(self._turn.at, self._entry(value), self._key_fields.fit(key))

    def iterator(self) -> Iterator[tuple[Values, Values]]:
        """Return the pairs."""
        return iter(list(self._members()))

    def keys(self) -> Iterator[Values]:
        """Return the keys."""
        return (key for key, _ in self.iterator())

    def values(self) -> Iterator[Values]:
        """Return the values."""
        return (value for _, value in self.iterator())

    def remove_key(self, key: Any) -> None:
        """Forget a key with its value."""
        self._remove(self._key_fields.fit(key))

    def clear(self) -> None:
        """Forget all pairs."""
        for key in [key for key, _ in self._cells.members(self._turn.at)]:
            self._remove(key)


def _columns(prefix: str, fields: Fields) -> Columns:
    return {f"{prefix}.{name}": dtype for name, dtype in fields.schema.items()}
