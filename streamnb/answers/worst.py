"""Worst: the group of rows that loses the largest share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

_MOST_GROUPS, _FEW_NUMBERS, _BINS = 50, 12, 4
_FEWEST = 5
"""Rows that a group must have, so that a single unlucky row is no finding."""


@dataclass(frozen=True)
class Worst:
    """A group of rows: the ``column`` it is of, its ``name`` in words, how many ``rows`` it has and how many went."""

    column: str
    name: str
    rows: int
    dropped: int

    @property
    def share(self) -> float:
        return self.dropped / self.rows if self.rows else 0.0


def worst(
    rows: pl.DataFrame, dropped: np.ndarray[Any, Any], by: Sequence[str] | None, without: Iterable[str | None]
) -> Worst | None:
    """Return the group that loses the largest share, of columns with few values and of numbers in quarters.

    Of groups that lose the same share the largest is taken.
    """
    if not dropped.any():
        return None
    skipped = set(without)
    columns = [name for name in (by or rows.columns) if name not in skipped and name in rows.columns]
    groups = [group for name in columns for group in _groups(rows[name], dropped)]
    return max(groups, key=lambda group: (group.share, group.rows), default=None)


def _groups(values: pl.Series, dropped: np.ndarray[Any, Any]) -> Iterator[Worst]:
    if values.dtype.is_nested() or values.dtype.is_temporal():
        return
    name = values.name
    few = _FEW_NUMBERS if values.dtype.is_numeric() else _MOST_GROUPS
    if values.n_unique() <= few:
        table = pl.DataFrame({"value": values, "dropped": dropped})
        counts = table.group_by("value", maintain_order=True).agg(n=pl.len(), lost=pl.col("dropped").sum())
        for value, count, lost in counts.iter_rows():
            if count >= _FEWEST:
                yield Worst(name, f"{name}={value}", count, lost)
    elif values.dtype.is_numeric():
        yield from _quarters(values, dropped)


def _quarters(values: pl.Series, dropped: np.ndarray[Any, Any]) -> Iterator[Worst]:
    numbers = values.cast(pl.Float64).to_numpy()
    for part in range(1, _BINS):
        bound = float(np.nanquantile(numbers, part / _BINS))
        for above in (True, False):
            which = numbers >= bound if above else numbers < bound
            if which.sum() >= _FEWEST:
                sign = ">=" if above else "<"
                yield Worst(values.name, f"{values.name} {sign} {bound:g}", int(which.sum()), int(dropped[which].sum()))
