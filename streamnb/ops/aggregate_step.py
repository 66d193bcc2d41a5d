"""The step of group_by: partial aggregates of a batch, merged into state, given out by output mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streamnb.expressions import plain_column
from streamnb.ops.folding import FoldStep
from streamnb.plan import Batch, Opening
from streamnb.state import EXPIRES
from streamnb.windows import END, START

if TYPE_CHECKING:
    from streamnb.ops.group_by import GroupBy

ALL, EACH = "__all", "__start"
"""The key of the one group that has none; the start of the window that a row is copied for."""
_SMALL = 5_000
"""Below so many rows Polars' eager path is quicker, above it the lazy one."""


class AggregateStep(FoldStep):
    """One row of state a group: its keys and the parts of its aggregates."""

    def __init__(self, node: GroupBy, opening: Opening) -> None:
        self.window = node.window
        self.keys = _group_keys(node)
        keys = {name: node.key_schema.get(name, pl.Int64()) for name in self.keys}
        super().__init__(node, opening, keys, kept={})
        self.whole = [
            *(pl.col(name).cast(dtype) for name, dtype in keys.items()),
            *map(pl.col, self.parts),
            self.expires,
        ]
        if not node.key_columns:
            self.table.upsert(self._partial(pl.DataFrame(schema=node.inputs[0].schema)))
            self.table.commit()

    def _key_out(self, name: str) -> pl.Expr:
        if name == END and self.window is not None:
            return (pl.col(START) + pl.duration(microseconds=self.window.size)).alias(END)
        return pl.col(name)

    # -- one batch

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows = self._windowed(batch.rows)
        partial = self._partial(rows)
        partial, late = self._without_late(partial, rows, batch)
        written = self._merge(partial)
        gone = self.table.evict(self._ended(batch))
        return batch.with_rows(self._emit(written, gone), self._trace(batch, late, written, gone))

    def _windowed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are in a window, once for each of their windows where windows overlap."""
        if self.window is None:
            return rows
        if self._has_null_times(rows):
            rows = rows.filter(self.node.time.is_not_null())
        return rows if self.window.overlap == 1 else self.window.each(rows, self.node.time, EACH)

    def _has_null_times(self, rows: pl.DataFrame) -> bool:
        name = plain_column(self.node.time)
        times = rows.select(self.node.time).to_series() if name is None else rows[name]
        return times.null_count() > 0

    def _partial(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Aggregate the rows of a batch by themselves."""
        parts = self._parts_of(rows)
        if not self.node.key_columns:
            return rows.select(pl.lit(0, pl.Int64).alias(ALL), *parts).select(self.whole)
        if len(rows) < _SMALL:
            return rows.group_by(self._keys_of(rows), maintain_order=True).agg(parts).select(self.whole)
        lazy = rows.lazy().group_by(self._keys_of(rows), maintain_order=True).agg(parts)
        return lazy.collect().select(self.whole)

    def _keys_of(self, rows: pl.DataFrame) -> list[pl.Expr]:
        overlapping = self.window is not None and self.window.overlap > 1
        return list(({**self.keys, START: pl.col(EACH).alias(START)} if overlapping else self.keys).values())

    def _without_late(
        self, partial: pl.DataFrame, rows: pl.DataFrame, batch: Batch
    ) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Split off the groups behind the late watermark, with their rows."""
        late = batch.late_watermark
        if late is None or not self._drops_late() or not len(partial):
            return partial, None
        ends: int | None = partial[EXPIRES].min()  # type: ignore[assignment]
        if ends is None or ends > late:
            return partial, None
        return partial.filter(pl.col(EXPIRES).is_null() | (pl.col(EXPIRES) > late)), self._late_rows(rows, late)

    def _late_rows(self, rows: pl.DataFrame, late: int) -> pl.DataFrame:
        """Return the rows of late groups, with their windows and by how much they are late."""
        rows = rows.with_columns(self._keys_of(rows)).with_columns(self.expires).filter(pl.col(EXPIRES) <= late)
        rows = rows.with_columns(late_by=pl.duration(microseconds=late - pl.col(EXPIRES)))
        rows = rows.drop(EXPIRES, EACH, strict=False)
        if self.window is None:
            return rows
        start = pl.col(START).cast(self.table.schema[START])
        return rows.with_columns(start).with_columns(self._key_out(END))

    def _merge(self, partial: pl.DataFrame) -> pl.DataFrame:
        """Merge a batch's groups into state; return their new rows."""
        if not len(partial):
            return partial
        slots = self.table.find(partial)
        known = slots >= 0
        if not known.any():
            written = partial
        elif known.all():
            written = self._pairs(partial, self.table.rows(slots))
        else:
            merged = self._pairs(partial.filter(known), self.table.rows(slots[known]))
            written = pl.concat([merged, partial.filter(~known)])
            slots = np.concatenate([slots[known], slots[~known]])
        self.table.upsert(written, slots)
        return written


def _group_keys(node: GroupBy) -> dict[str, pl.Expr]:
    """The keys of a group in state: a window by its start, everything together by one constant."""
    if not node.key_columns:
        return {ALL: pl.lit(0, pl.Int64).alias(ALL)}
    keys = dict(node.keys)
    if node.window is None:
        return keys
    return {START: node.window.last_start(node.time.to_physical()).alias(START), **keys}
