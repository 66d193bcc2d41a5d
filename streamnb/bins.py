"""Bins: rows grouped by whole numbers that lie close together, by counting instead of hashing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.order import ordered

Numbers = NDArray[np.int64]
_SPARSE, _FEW = 8, 4096
"""There may be so many bins for every row, and so many at any rate."""
_SORTED, _APART = 2**16, 2**62
"""So few rows are sorted where there would be more bins than that; beyond, hashing is quicker."""

_PLACES = np.arange(2**17)
_PLACES.flags.writeable = False


class Bins:
    """A bin for every row, out of ``count``; the bins that have rows are the groups, in order of their first rows."""

    def __init__(self, of: Numbers, count: int) -> None:
        self.of, self.count = of, count

    @classmethod
    def by(cls, columns: Sequence[Numbers]) -> Bins | None:
        """Return the bins of rows by some columns; None where the numbers lie too far apart."""
        of, count, most = None, 1, max(_FEW, _SPARSE * len(columns[0]))
        for column in columns:
            low, high = int(column.min()), int(column.max())
            count *= high - low + 1
            if count > max(most, _APART if len(column) <= _SORTED else 0):
                return None
            apart = column - low if low else column
            of = apart if of is None else of * (high - low + 1) + apart
        assert of is not None  # noqa: S101  there is a column
        return cls(of, count) if count <= most else cls(*_ranks(of))

    @cached_property
    def least(self) -> Numbers:
        """The first row of every bin, the number of rows where it has none."""
        least = np.full(self.count, len(self.of))
        np.minimum.at(least, self.of, _places(len(self.of)))
        return least

    @cached_property
    def first(self) -> Numbers:
        """The first rows of the groups, in order."""
        if 4 * self.count < len(self.of):
            return np.sort(self.least[self.least < len(self.of)])
        return np.flatnonzero(self.least[self.of] == _places(len(self.of)))

    @cached_property
    def groups(self) -> Numbers:
        """The bins of the groups."""
        return self.of[self.first]

    @cached_property
    def sizes(self) -> pl.Series:
        """Return the number of rows of every group."""
        return pl.Series(np.bincount(self.of, minlength=self.count)[self.groups].astype(np.int64, copy=False))

    def sums(self, values: pl.Series) -> pl.Series:
        """Return the sum of every group: of floats in the order of the rows, of whole numbers exactly."""
        numbers = values.to_numpy()
        if values.dtype.is_float():
            return pl.Series(self._weighed(numbers))
        high, low = self._weighed(numbers >> 32), self._weighed(numbers & 0xFFFFFFFF)
        return pl.Series((high.astype(np.int64) << 32) + low.astype(np.int64))

    def _weighed(self, numbers: NDArray[np.generic]) -> NDArray[np.float64]:
        sums: NDArray[Any] = np.bincount(self.of, numbers, self.count)
        return sums[self.groups]


def _places(count: int) -> Numbers:
    """Return 0, 1, 2 …: to write them anew for every batch takes as long as to add up its rows."""
    return _PLACES[:count] if count <= len(_PLACES) else np.arange(count)


def _ranks(numbers: Numbers) -> tuple[Numbers, int]:
    """Return numbers in their order instead of themselves, and how many different ones there are."""
    order = ordered(numbers)
    placed, rank, ranks = numbers[order], np.zeros_like(order), np.empty_like(order)
    np.cumsum(placed[1:] != placed[:-1], out=rank[1:])
    ranks[order] = rank
    return ranks, int(rank[-1]) + 1


def whole_numbers(column: pl.Series) -> Numbers | None:
    """Return a column as whole numbers, None where it is not made of them or has nulls."""
    if not _is_whole(column.dtype) or column.null_count():
        return None
    return column.cast(pl.Int64).to_numpy()


@lru_cache
def _is_whole(dtype: pl.DataType) -> bool:
    whole = dtype.is_integer() and dtype not in {pl.UInt64, pl.Int128, pl.UInt128}
    return whole or dtype.is_temporal()
