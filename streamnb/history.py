"""History: what every batch changed. Rewinding, recovering from a failure and time travel are one mechanism."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from streamnb.schema import bytes_of
from streamnb.state import Changes, StateTable

BUDGET = 256 * 2**20


@dataclass(frozen=True, eq=False)
class Point:
    """Where a query stood after a batch: offsets by source number, watermark, and what changed in every table.

    ``written`` are the bytes of all changes so far.
    """

    batch_id: int
    offsets: Mapping[int, Any]
    watermark: tuple[Any, ...]
    changes: tuple[Changes, ...]
    written: int


class History:
    """The points of a query, oldest first, over a base of whole tables.

    Holds about ``budget`` bytes of changes, and of no more batches than ``q.trace`` tells of (10,000); older ones are
    folded into the base and can no longer be rewound to.
    An interrupt may come between any two lines: every change is one assignment, append or deletion.
    """

    def __init__(self, tables: Sequence[StateTable], start: Point, budget: int = BUDGET) -> None:
        self._tables, self._budget = tuple(tables), budget
        self._kept = tuple(table.frame() for table in tables), [start]

    @property
    def last(self) -> Point:
        return self._kept[1][-1]

    @property
    def first_id(self) -> int:
        """The earliest batch that can be rewound to; -1 is the beginning."""
        return self._kept[1][0].batch_id

    @property
    def points(self) -> Sequence[Point]:
        """All that can be gone back to, oldest first."""
        return self._kept[1]

    def close(self, batch_id: int, offsets: Mapping[int, Any], watermark: tuple[Any, ...]) -> Point:
        """Close a batch: what the tables change from here on is the next one's."""
        changes = tuple(table.commit() for table in self._tables)
        size = sum(bytes_of(c.upserted) + bytes_of(c.removed) for c in changes)
        return Point(batch_id, offsets, watermark, changes, self.last.written + size)

    def add(self, point: Point) -> None:
        """Hear that a batch has happened."""
        _, points = self._kept
        points.append(point)
        if self.last.written - points[0].written > self._budget:
            self._fold(len(points) // 2)

    def let_go(self, first: int) -> None:
        """Fold what batches before one changed, and it too, into the base: it is the first that can be gone back to."""
        _, points = self._kept
        self._fold(next((n for n, point in enumerate(points) if point.batch_id >= first), 0))

    def restore(self, batch_id: int) -> Point:
        """Put the tables back to the end of a batch and forget what came after."""
        _, points = self._kept
        at = next(i for i, point in enumerate(points) if point.batch_id == batch_id)
        for table, rows in zip(self._tables, self.frames(batch_id), strict=True):
            table.restore(rows)
        del points[at + 1 :]
        return self.last

    def frames(self, batch_id: int) -> tuple[pl.DataFrame, ...]:
        """Return every table as it was after a batch."""
        bases, points = self._kept
        changes = [point.changes for point in points[1:] if point.batch_id <= batch_id]
        return tuple(
            _replayed(table, base, [c[i] for c in changes])
            for i, (table, base) in enumerate(zip(self._tables, bases, strict=True))
        )

    def _fold(self, keep: int) -> None:
        """Fold the changes up to the ``keep``-th point into the base."""
        _, points = self._kept
        if keep:
            self._kept = self.frames(points[keep].batch_id), points[keep:]


def _replayed(table: StateTable, base: pl.DataFrame, changes: Sequence[Changes]) -> pl.DataFrame:
    scratch = table.like()
    scratch.restore(base)
    for change in changes:
        scratch.apply(change)
    return scratch.frame()
