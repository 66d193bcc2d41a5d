"""Static: a table that a stream is joined with, given once or read anew for every batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError

from streamnb.connect import Sifted, Source
from streamnb.errors import DataError, PlanError, column_not_found
from streamnb.schema import as_rows, fit, microseconds, polars_schema

Positions = NDArray[np.int64]


class Static:
    """A table: pandas, Polars, Arrow, dicts; or a function or a source that gives one, asked anew for every batch.

    What it gave when the query was written says which columns and types it has.
    """

    def __init__(self, verb: str, table: Any) -> None:
        self.verb = verb
        self._read = _reader(verb, table)
        self.fixed = not callable(table) and not isinstance(table, Source)
        self.sample = microseconds(self._read())
        self.schema = self.sample.schema

    def rows(self) -> pl.DataFrame:
        """Return the table of this moment."""
        return self.sample if self.fixed else fit(self.verb, microseconds(self._read()), self.schema)

    def need(self, *names: str) -> None:
        """Raise unless the table has these columns."""
        for name in names:
            if name not in self.schema:
                raise column_not_found(f"{self.verb}: the table", name, self.schema)


def _reader(verb: str, table: Any) -> Callable[[], pl.DataFrame]:
    if isinstance(table, Source):
        schema = polars_schema(verb, table.schema)
        return lambda: _all_of(verb, table, schema)
    if callable(table):
        return lambda: as_rows(verb, table())
    return lambda: as_rows(verb, table)


def _all_of(verb: str, source: Source, schema: pl.Schema) -> pl.DataFrame:
    end = source.latest()
    found = pl.DataFrame(schema=schema) if end is None else source.read(None, end)
    if isinstance(found, Sifted) and found.bad:
        raise DataError(f"{verb}: {found.bad[0].offset}: {found.bad[0].reason}; leave that record out of the table.")
    return as_rows(verb, found.rows if isinstance(found, Sifted) else found, schema)


def names_beside(
    verb: str, left: Collection[str], right: Sequence[str], once: Collection[str], suffix: str
) -> Mapping[str, str]:
    """Return the right side's columns by the name they get beside the left's; those in ``once`` are left out."""
    names = {name: f"{name}{suffix}" if name in left else name for name in right if name not in once}
    taken = [*left, *names.values()]
    twice = sorted({name for name in names.values() if taken.count(name) > 1})
    if twice:
        raise PlanError(f"{verb}: two columns would be called {twice}; rename one first.", code="COLUMN_DUPLICATE")
    return names


def common_type(verb: str, names: tuple[str, str], left: pl.DataType, right: pl.DataType) -> pl.DataType:
    """Return the type in which two columns are compared."""
    if left == right:
        return left
    if left.is_temporal() == right.is_temporal() and pl.String() not in {left, right}:
        sides = [pl.DataFrame(schema={"x": dtype}) for dtype in (left, right)]
        try:
            return pl.concat(sides, how="vertical_relaxed").schema["x"]
        except PolarsError:
            pass
    raise PlanError(
        f"{verb}: {names[0]!r} is {left} and {names[1]!r} is {right}, which cannot be compared; cast one of them.",
        code="SCHEMA_MISMATCH",
    )


def side_by_side(
    rows: pl.DataFrame, positions: Positions, table: pl.DataFrame, slots: Positions, names: Mapping[str, str]
) -> pl.DataFrame:
    """Return the rows at ``positions`` beside the table's rows at ``slots``; slot -1 stands for nulls."""
    if not names:
        return rows[positions]
    there = table.select(*names).rename(names)
    unmatched = slots < 0
    if not unmatched.any():
        return rows[positions].hstack(there[slots])
    at = pl.Series("at", slots).set(pl.Series(unmatched), None)
    return rows[positions].hstack(there.select(pl.all().gather(at)))


def with_unmatched(count: int, positions: Positions, slots: Positions) -> tuple[Positions, Positions]:
    """Add the positions below ``count`` that have no match, with slot -1; all in order of position."""
    matched = np.zeros(count, np.bool_)
    matched[positions] = True
    alone = np.flatnonzero(~matched)
    positions = np.concatenate([positions, alone])
    slots = np.concatenate([slots, np.full(len(alone), -1, np.int64)])
    order = np.argsort(positions, kind="stable")
    return positions[order], slots[order]
