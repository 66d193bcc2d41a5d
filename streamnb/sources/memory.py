"""MemorySource: rows given by hand, one ``add`` a unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from streamnb.connect import Source, Unit
from streamnb.schema import Schema, as_rows, polars_schema


class MemorySource:
    """A source that you feed by hand. What one ``add`` gives is one unit of input: a step takes one.

    >>> clicks = sn.MemorySource({"at": "datetime", "user": "string"})
    >>> clicks.add([{"at": "2026-01-01 00:00:07", "user": "ann"}])
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = polars_schema("MemorySource", schema)
        self._units: list[pl.DataFrame] = []
        self._rows = [0]
        self._together: dict[int, tuple[tuple[Source, int], ...]] = {}

    def add(self, rows: Any = ()) -> None:
        """Add rows: dicts, a dict of columns, pandas, Polars or Arrow; ISO strings become datetimes, missing is null.

        Rows that do not fit the schema are a DataError, and none of them is added.
        """
        self._append(as_rows("MemorySource.add", rows, self.schema))

    def _append(self, rows: pl.DataFrame) -> None:
        self._rows.append(self._rows[-1] + len(rows))
        self._units.append(rows)

    def latest(self) -> int:
        return len(self._units)

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        units = self._units[start or 0 : end]
        return pl.concat(units) if units else pl.DataFrame(schema=self.schema)

    def waiting(self, end: int | None) -> int:
        """Return how many rows lie after an offset."""
        return self._rows[len(self._units)] - self._rows[end or 0]

    def commit(self, end: int) -> None:
        """Nothing to do: memory keeps all, so that a query can rewind."""

    def unit(self, start: int | None) -> Unit | None:
        end = (start or 0) + 1
        return None if end > len(self._units) else Unit(end, None, self._together.get(end, ()), paced=False)

    def __repr__(self) -> str:
        return f"MemorySource({len(self._units)} units, {self._rows[-1]} rows)"


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
