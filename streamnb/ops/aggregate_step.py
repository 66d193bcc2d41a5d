"""The step of group_by: partial aggregates of a batch, merged into state, given out by output mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streamnb.bins import Bins, Numbers, whole_numbers
from streamnb.expressions import Column
from streamnb.ops.folding import FoldStep
from streamnb.plan import Batch, Opening, late_name
from streamnb.state import EXPIRES, taken
from streamnb.time import Window
from streamnb.windows import END, START, beside

if TYPE_CHECKING:
    from streamnb.ops.group_by import GroupBy

ALL, EACH = "__all", "__start"
"""The key of the one group that has none; the start of the window that a row is copied for."""
_SMALL = 5_000
"""Below so many rows Polars' eager path is quicker than its lazy one."""


class AggregateStep(FoldStep):
    """One row of state a group: its keys and the parts of its aggregates."""

    def __init__(self, node: GroupBy, opening: Opening) -> None:
        self.window = node.window
        self.keys = _group_keys(node)
        self.time = None if self.window is None else Column(node.time)
        self.sources = [Column(_source(node, key)) for key in self.keys]
        names = [key.meta.output_name() for key in self.keys]
        types = {name: node.key_schema.get(name, pl.Int64()) for name in names}
        super().__init__(node, opening, types, kept={})
        if not node.key_columns:
            self.table.upsert(self._partial(pl.DataFrame(schema=node.inputs[0].schema)))
            self.table.commit()

    def _key_out(self, name: str) -> pl.Expr:
        if name == END and self.window is not None:
            return (pl.col(START) + pl.duration(microseconds=self.window.size)).alias(END)
        return pl.col(name)

    def _finish(self, rows: pl.DataFrame) -> pl.DataFrame:
        return super()._finish(rows if self.window is None else rows.hstack([self._ends(rows[START], self.window)]))

    def _ends(self, starts: pl.Series, window: Window) -> pl.Series:
        return (starts.cast(pl.Int64) + window.size).cast(starts.dtype).alias(END)

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
        if self.time is not None and self.time.of(rows).null_count():
            rows = rows.filter(self.node.time.is_not_null())
        return rows if self.window.overlap == 1 else self.window.each(rows, self.node.time, EACH)

    def _partial(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Aggregate the rows of a batch by themselves."""
        if not self.node.key_columns:
            return self._with_expires(rows.select(*self.keys, *self._parts_of(rows)))
        counted = self._counted(rows) if len(rows) else None
        return self._with_expires(self._hashed(rows) if counted is None else counted)

    def _hashed(self, rows: pl.DataFrame) -> pl.DataFrame:
        parts = self._parts_of(rows)
        if len(rows) < _SMALL:
            return rows.group_by(self.keys, maintain_order=True).agg(parts)
        return rows.lazy().group_by(self.keys, maintain_order=True).agg(parts).collect()

    def _counted(self, rows: pl.DataFrame) -> pl.DataFrame | None:
        """Aggregate by counting where the keys are whole numbers or times that lie close together, None elsewhere."""
        found = [whole_numbers(source.of(rows)) for source in self.sources]
        columns = [column for column in found if column is not None]
        if len(columns) < len(found):
            return None
        first, slide = 0, 1
        if self.window is not None:
            (columns[0], first), slide = self.window.numbers(columns[0]), self.window.slide
        bins = Bins.by(columns)
        parts = None if bins is None else self._binned(rows, bins)
        if bins is None or parts is None:
            return None
        keys = [column[bins.first] for column in columns]
        keys[0] = keys[0] * slide + first
        return pl.DataFrame([*map(self._key, self.table.keys, keys), *parts])

    def _key(self, name: str, numbers: Numbers) -> pl.Series:
        return pl.Series(name, numbers).cast(self.table.schema[name])

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
        rows = rows if self.window is None else beside(rows)
        rows = rows.with_columns(self.keys).with_columns(self.expires).filter(pl.col(EXPIRES) <= late)
        name = late_name(rows.columns)
        rows = rows.with_columns(pl.duration(microseconds=late - pl.col(EXPIRES)).alias(name))
        rows = rows.drop(EXPIRES, EACH, strict=False)
        return rows if self.window is None else rows.with_columns(self._key_out(END))

    def _merge(self, partial: pl.DataFrame) -> pl.DataFrame:
        """Merge a batch's groups into state; return their new rows."""
        if not len(partial):
            return partial
        added = self.table.add_up(partial, self.parts) if self.adds else None
        if added is not None:
            return added
        slots, old = self.table.match(partial)
        written = partial
        if len(old) == len(partial):
            written = self._pairs(partial, old)
        elif len(old):
            known, new = np.flatnonzero(slots >= 0), np.flatnonzero(slots < 0)
            written = pl.concat([self._pairs(taken(partial, known), old), taken(partial, new)])
            slots = np.concatenate([slots[known], slots[new]])
        self.table.upsert(written, slots)
        return written


def _group_keys(node: GroupBy) -> list[pl.Expr]:
    """The keys of a group in state: a window by its start, everything together by one constant."""
    if not node.key_columns:
        return [pl.lit(0, pl.Int64).alias(ALL)]
    if node.window is None:
        return list(node.keys.values())
    last = node.window.last_start(node.time.to_physical())
    start = last if node.window.overlap == 1 else pl.col(EACH)
    return [start.cast(node.key_schema[START]).alias(START), *node.keys.values()]


def _source(node: GroupBy, key: pl.Expr) -> pl.Expr:
    """What a key is counted by: itself, a window by the times in it."""
    if node.window is None or key.meta.output_name() != START:
        return key
    return node.time if node.window.overlap == 1 else pl.col(EACH)
