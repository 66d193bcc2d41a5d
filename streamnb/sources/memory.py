"""MemorySource: rows given by hand, one ``add`` a unit."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Mapping
from typing import Any

import polars as pl

from streamnb.connect import Source, Unit
from streamnb.schema import Schema, as_rows, polars_schema

_TOGETHER = 1_000
"""Units that are kept as one frame once as many newer ones are there: a frame of two rows costs more than its rows."""


class MemorySource:
    """A source that you feed by hand. What one ``add`` gives is one unit of input: a step takes one.

    >>> clicks = sn.MemorySource({"at": "datetime", "user": "string"})
    >>> clicks.add([{"at": "2026-01-01 00:00:07", "user": "ann"}])
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = polars_schema("MemorySource", schema)
        self._held: tuple[list[pl.DataFrame], list[pl.DataFrame]] = [], []  # old units together, new ones each
        self._rows = array("q", [0])  # before each unit, and behind the last
        self._lock = threading.Lock()
        self._together: dict[int, tuple[tuple[Source, int], ...]] = {}

    def add(self, rows: Any = ()) -> None:
        """Add rows: dicts, a dict of columns, pandas, Polars or Arrow; ISO strings become datetimes, missing is null.

        Rows that do not fit the schema are a DataError, and none of them is added.
        """
        self._append(as_rows("MemorySource.add", rows, self.schema))

    def _append(self, rows: pl.DataFrame) -> None:
        with self._lock:
            del self._rows[self.latest() + 1 :]  # of a unit that an interrupt kept from coming
            self._rows.append(self._rows[-1] + len(rows))
            together, units = self._held
            units.append(rows)
            if len(units) >= 2 * _TOGETHER:
                self._held = [*together, pl.concat(units[:_TOGETHER], rechunk=True)], units[_TOGETHER:]

    def latest(self) -> int:
        together, units = self._held
        return _TOGETHER * len(together) + len(units)

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        together, units = self._held
        begin, old = start or 0, _TOGETHER * len(together)
        first = min(begin, old) // _TOGETHER
        found = [*together[first : -(-end // _TOGETHER)], *units[max(begin - old, 0) : max(end - old, 0)]]
        if not found:
            return pl.DataFrame(schema=self.schema)
        skipped = self._rows[begin] - self._rows[first * _TOGETHER] if begin < old else 0
        return pl.concat(found).slice(skipped, self._rows[end] - self._rows[begin])

    def waiting(self, end: int | None) -> int:
        """Return how many rows lie after an offset."""
        return self._rows[self.latest()] - self._rows[end or 0]

    def commit(self, end: int) -> None:
        """Nothing to do: memory keeps all, so that a query can rewind."""

    def unit(self, start: int | None) -> Unit | None:
        end = (start or 0) + 1
        return None if end > self.latest() else Unit(end, None, self._together.get(end, ()), paced=False)

    def __repr__(self) -> str:
        units = self.latest()
        rows = self._rows[units]
        return f"MemorySource({units} unit{'s' * (units != 1)}, {rows} row{'s' * (rows != 1)})"


def add(rows: Mapping[MemorySource, Any]) -> None:
    """Give several memory sources their rows in one batch: ``sn.add({clicks: [...], users: [...]})``.

    >>> left, right = sn.MemorySource({"a": "int64"}), sn.MemorySource({"a": "int64"})
    >>> both = sn.stream(left).union(sn.stream(right)).query()
    >>> sn.add({left: [{"a": 1}], right: [{"a": 2}]})
    >>> both.step().num_input_rows
    2
    """
    fitted = {source: as_rows("add", given, source.schema) for source, given in rows.items()}
    ends = tuple((source, source.latest() + 1) for source in fitted)
    for source, end in ends:
        source._append(fitted[source])  # noqa: SLF001
        source._together[end] = tuple(pair for pair in ends if pair[0] is not source)  # noqa: SLF001
