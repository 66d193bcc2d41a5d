"""The step of group_by: partial aggregates of a batch, merged into state, given out by output mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streamnb.expressions import outcome, plain_column
from streamnb.folds import Fold, Parts
from streamnb.plan import Batch, Opening, Step, moved
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES, StateTable
from streamnb.time import NEVER_LATE, Window

if TYPE_CHECKING:
    from streamnb.ops.group_by import GroupBy

START, END, ALL = "window_start", "window_end", "__all"
_SMALL = 5_000
"""Below so many rows Polars' eager path is quicker, above it the lazy one."""


class AggregateStep(Step):
    """One row of state a group: its keys and the parts of its aggregates."""

    def __init__(self, node: GroupBy, opening: Opening) -> None:
        self.node, self.mode = node, opening.output_mode
        self.window = node.window
        below = node.inputs[0].schema
        self.folds = {name: _Folding(name, fold, below) for name, fold in node.aggregates.items()}
        self.keys = _group_keys(node)
        self.expires = _expires(node)
        parts = outcome("agg", [part for fold in self.folds.values() for part in fold.partial(nulls=True)], below)
        keys = {name: node.key_schema.get(name, pl.Int64()) for name in self.keys}
        self.table = StateTable({**keys, **parts}, list(self.keys))
        self.tables = (self.table,)
        self.parts = parts.names()
        self.whole = [
            *(pl.col(name).cast(dtype) for name, dtype in keys.items()),
            *map(pl.col, self.parts),
            self.expires,
        ]
        merged = [part for fold in self.folds.values() for part in fold.merge()]
        self.merged = [*map(pl.col, keys), *merged, pl.col(EXPIRES)]
        finished = [fold.finish() for fold in self.folds.values()]
        self.value_schema = outcome("agg", finished, self.table.schema)
        self.out = [*(self._key_out(name) for name in node.key_columns), *finished]
        if not node.key_columns:
            self.table.upsert(self._partial(pl.DataFrame(schema=below)))
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
        gone = self._evict(batch)
        return batch.with_rows(self._emit(written, gone), self._trace(batch, late, written, gone))

    def _windowed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows that are in a window, once for each of their windows where windows overlap."""
        if self.window is None:
            return rows
        if self._has_null_times(rows):
            rows = rows.filter(self.node.time.is_not_null())
        return rows if self.window.overlap == 1 else _expanded(rows, self.node.time, self.window)

    def _has_null_times(self, rows: pl.DataFrame) -> bool:
        name = plain_column(self.node.time)
        times = rows.select(self.node.time).to_series() if name is None else rows[name]
        return times.null_count() > 0

    def _partial(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Aggregate the rows of a batch by themselves."""
        parts = [part for fold in self.folds.values() for part in fold.partial(nulls=fold.may_be_null(rows))]
        if not self.node.key_columns:
            return rows.select(pl.lit(0, pl.Int64).alias(ALL), *parts).select(self.whole)
        if len(rows) < _SMALL:
            return rows.group_by(self._keys_of(rows), maintain_order=True).agg(parts).select(self.whole)
        lazy = rows.lazy().group_by(self._keys_of(rows), maintain_order=True).agg(parts)
        return lazy.collect().select(self.whole)

    def _keys_of(self, rows: pl.DataFrame) -> list[pl.Expr]:
        overlapping = self.window is not None and self.window.overlap > 1
        return list(({**self.keys, START: pl.col(START)} if overlapping else self.keys).values())

    def _without_late(
        self, partial: pl.DataFrame, rows: pl.DataFrame, batch: Batch
    ) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Split off the groups behind the late watermark, with their rows."""
        late = batch.late_watermark
        if late is None or self.mode in {"complete", "batch"} or not len(partial):
            return partial, None
        ends: int | None = partial[EXPIRES].min()  # type: ignore[assignment]
        if ends is None or ends > late:
            return partial, None
        return partial.filter(pl.col(EXPIRES).is_null() | (pl.col(EXPIRES) > late)), self._late_rows(rows, late)

    def _late_rows(self, rows: pl.DataFrame, late: int) -> pl.DataFrame:
        """Return the rows of late groups, with their windows and by how much they are late."""
        rows = rows.with_columns(self._keys_of(rows)).with_columns(self.expires).filter(pl.col(EXPIRES) <= late)
        rows = rows.with_columns(late_by=pl.duration(microseconds=late - pl.col(EXPIRES))).drop(EXPIRES)
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

    def _pairs(self, new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
        both = new.hstack([old[name].alias(f"{name}\0old") for name in self.parts])
        return both.select(self.merged)

    def _evict(self, batch: Batch) -> pl.DataFrame:
        watermark = NEVER_LATE if self.mode in {"complete", "batch"} else batch.eviction_watermark
        return self.table.evict(NEVER_LATE if watermark is None else watermark)

    def _emit(self, written: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
        if self.mode == "append":
            return self._finish(gone)
        return self._finish(written if self.mode == "update" else self.table.frame())

    def _finish(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(self.out)

    # -- what it tells

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        return self.mode in {"append", "update"} and bool(self.node.event_times) and moved(watermark, before)

    def state(self) -> pl.DataFrame:
        rows = self.table.frame()
        return rows.select(*self.out, EXPIRES)

    def _trace(self, batch: Batch, late: pl.DataFrame | None, written: pl.DataFrame, gone: pl.DataFrame) -> StepTrace:
        return StepTrace(
            operator=self.node.verb,
            rows=batch.rows,
            late=late,
            changed=_later(self._finish, written),
            removed=_later(self._finish, gone),
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=len(self.table),
            num_rows_updated=len(written),
            num_rows_removed=len(gone),
            memory_used_bytes=self.table.nbytes,
        )


def _later(finish: Callable[[pl.DataFrame], pl.DataFrame], rows: pl.DataFrame) -> Callable[[], pl.DataFrame]:
    return lambda: finish(rows)


class _Folding:
    """One aggregate of a group_by: its expressions, and the names of its parts in state."""

    def __init__(self, name: str, fold: Fold, below: pl.Schema) -> None:
        self.name, self.fold = name, fold
        self.columns = fold.columns("agg", below)
        self.roots = [plain_column(column) for column in self.columns]
        self.suffixes = list(fold.init(*self.columns))
        self.names = [self._part(suffix) for suffix in self.suffixes]
        self._cached: dict[bool, Sequence[pl.Expr]] = {}

    def _part(self, suffix: str) -> str:
        return f"{self.name}.{suffix}" if suffix else self.name

    def may_be_null(self, rows: pl.DataFrame) -> bool:
        return any(root is None or rows[root].null_count() > 0 for root in self.roots)

    def partial(self, *, nulls: bool) -> Sequence[pl.Expr]:
        if nulls not in self._cached:
            parts = self.fold.init(*self.columns, nulls=nulls)
            self._cached[nulls] = [part.alias(self._part(suffix)) for suffix, part in parts.items()]
        return self._cached[nulls]

    def merge(self) -> Sequence[pl.Expr]:
        old: Parts = {s: pl.col(f"{n}\0old") for s, n in zip(self.suffixes, self.names, strict=True)}
        new: Parts = {s: pl.col(n) for s, n in zip(self.suffixes, self.names, strict=True)}
        return [part.alias(self._part(suffix)) for suffix, part in self.fold.merge(old, new).items()]

    def finish(self) -> pl.Expr:
        parts: Mapping[str, pl.Expr] = {s: pl.col(n) for s, n in zip(self.suffixes, self.names, strict=True)}
        return self.fold.finish(parts).alias(self.name)


def _group_keys(node: GroupBy) -> dict[str, pl.Expr]:
    """The keys of a group in state: a window by its start, everything together by one constant."""
    if not node.key_columns:
        return {ALL: pl.lit(0, pl.Int64).alias(ALL)}
    keys = dict(node.keys)
    if node.window is None:
        return keys
    return {START: node.window.last_start(node.time.to_physical()).alias(START), **keys}


def _expires(node: GroupBy) -> pl.Expr:
    """The watermark that ends a group; null where nothing ends it."""
    marks = {name: mark for name, mark in node.event_times.items() if name != END}
    if not marks:
        return pl.lit(None, pl.Int64).alias(EXPIRES)
    name, mark = next(iter(marks.items()))
    return (pl.col(name).to_physical() + mark.shift).alias(EXPIRES)


def _expanded(rows: pl.DataFrame, time: pl.Expr, window: Window) -> pl.DataFrame:
    """Return every row once for each of its windows, earliest window first."""
    last = window.last_start(time.to_physical())
    copies = [
        rows.with_columns((last - back * window.slide).alias(START)).filter(
            pl.col(START) + window.size > time.to_physical()
        )
        for back in reversed(range(window.overlap))
    ]
    return pl.concat(copies)
