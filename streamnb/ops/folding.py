"""Folding: aggregates kept in state as parts, and what the steps that keep them share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from streamnb.bins import Bins
from streamnb.expressions import Columns, outcome, plain_column
from streamnb.folds import Fold, Parts
from streamnb.plan import Batch, Opening, Step, moved
from streamnb.progress import Made, StepTrace
from streamnb.state import EXPIRES, StateTable
from streamnb.time import NEVER_LATE

if TYPE_CHECKING:
    from streamnb.ops.group_by import GroupBy


_ADDED: set[pl.DataType] = {pl.Int64(), pl.Float64(), pl.Duration("us")}
"""The types that columns add up in just as expressions do."""


class FoldStep(Step):
    """One row of state a group: its keys, what else is kept of it, and the parts of its aggregates."""

    def __init__(
        self, node: GroupBy, opening: Opening, keys: Mapping[str, pl.DataType], kept: Mapping[str, pl.DataType]
    ) -> None:
        self.node, self.mode = node, opening.output_mode
        below = node.inputs[0].schema
        self.folds = [Folding(name, fold, below) for name, fold in node.aggregates.items()]
        parts = outcome("agg", [part for fold in self.folds for part in fold.partial(nulls=True)], below)
        self.table = StateTable({**keys, **kept, **parts}, list(keys))
        self.tables = (self.table,)
        self.parts = parts.names()
        merged = [part for fold in self.folds for part in fold.merge()]
        self.merged = [*map(pl.col, [*keys, *kept]), *merged, pl.col(EXPIRES)]
        finished = [fold.finish() for fold in self.folds]
        self.value_schema = outcome("agg", finished, self.table.schema)
        self.out = [*map(self._key_out, node.key_columns), *finished]
        self.finished = Columns([*map(pl.col, node.key_columns), *finished])
        self.adds = all(fold.fold.adds and _ADDED.issuperset(fold.types(self.table.schema)) for fold in self.folds)
        marks = [(name, mark.shift) for name, mark in node.event_times.items() if name in {*keys, *kept}]
        self.mark = marks[0] if marks else None
        self.expires = self._expires()

    def _expires(self) -> pl.Expr:
        """The watermark that ends a group, from the first of its columns that is event time; null: nothing ends it."""
        if self.mark is None:
            return pl.lit(None, pl.Int64).alias(EXPIRES)
        name, shift = self.mark
        return (pl.col(name).to_physical() + shift).alias(EXPIRES)

    def _with_expires(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with what ends them, which costs less than by an expression."""
        if self.mark is None:
            return rows.hstack([pl.Series(EXPIRES, [None], pl.Int64).new_from_index(0, len(rows))])
        name, shift = self.mark
        return rows.hstack([(rows[name].cast(pl.Int64) + shift).alias(EXPIRES)])

    def _key_out(self, name: str) -> pl.Expr:
        return pl.col(name)

    def _parts_of(self, rows: pl.DataFrame) -> list[pl.Expr]:
        """Return what aggregates these rows by themselves."""
        return [part for fold in self.folds for part in fold.partial(nulls=fold.may_be_null(rows))]

    def _binned(self, rows: pl.DataFrame, bins: Bins) -> list[pl.Series] | None:
        """Return the same by counting, None where that cannot be."""
        found: list[pl.Series] = []
        for fold in self.folds:
            parts = None if fold.may_be_null(rows) else fold.binned(rows, bins)
            if parts is None:
                return None
            found += parts
        return found

    def _pairs(self, new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
        """Merge groups with older ones, row by row."""
        if self.adds and not any(new[name].null_count() or old[name].null_count() for name in self.parts):
            return pl.DataFrame([old[n] + new[n] if n in self.parts else new[n] for n in self.table.schema])
        both = new.hstack([old[name].alias(f"{name}\0old") for name in self.parts])
        return both.select(self.merged)

    def _drops_late(self) -> bool:
        return self.mode not in {"complete", "batch"}

    def _ended(self, batch: Batch) -> int:
        """Return the watermark at or behind which groups end."""
        ended = batch.eviction_watermark
        return ended if ended is not None and self._drops_late() else NEVER_LATE

    def _emit(self, written: pl.DataFrame, gone: pl.DataFrame) -> pl.DataFrame:
        if self.mode == "append":
            return self._finish(gone)
        return self._finish(written if self.mode == "update" else self.table.frame())

    def _finish(self, rows: pl.DataFrame) -> pl.DataFrame:
        return self.finished.of(rows)

    # -- what it tells

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        return self.mode in {"append", "update"} and moved(watermark, before)

    def state(self) -> pl.DataFrame:
        return self.table.frame().select(*self.out, EXPIRES)

    def _trace(
        self,
        batch: Batch,
        late: pl.DataFrame | None,
        written: pl.DataFrame,
        gone: pl.DataFrame,
        counts: tuple[int, int] | None = None,
    ) -> StepTrace:
        """Tell of a batch; ``counts`` are the rows updated and removed, where they are not those written and gone."""
        return StepTrace(
            operator=self.node.verb,
            rows=batch.told,
            late=late,
            changed=Made(written, self._finish),
            removed=Made(gone, self._finish),
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=len(self.table),
            num_rows_updated=len(written) if counts is None else counts[0],
            num_rows_removed=len(gone) if counts is None else counts[1],
            memory_used_bytes=sum(table.nbytes for table in self.tables),
        )


class Folding:
    """One aggregate of a group_by: its expressions, and the names of its parts in state."""

    def __init__(self, name: str, fold: Fold, below: pl.Schema) -> None:
        self.name, self.fold = name, fold
        self.columns = fold.columns("agg", below)
        self.asked = Columns(self.columns)
        self.roots = [plain_column(column) for column in self.columns]
        self.suffixes = list(fold.init(*self.columns))
        self.names = [self._part(suffix) for suffix in self.suffixes]
        self._cached: dict[bool, Sequence[pl.Expr]] = {}

    def _part(self, suffix: str) -> str:
        return f"{self.name}.{suffix}" if suffix else self.name

    def may_be_null(self, rows: pl.DataFrame) -> bool:
        return not len(rows) or any(root is None or rows[root].null_count() > 0 for root in self.roots)

    def partial(self, *, nulls: bool) -> Sequence[pl.Expr]:
        if nulls not in self._cached:
            parts = self.fold.init(*self.columns, nulls=nulls)
            self._cached[nulls] = [part.alias(self._part(suffix)) for suffix, part in parts.items()]
        return self._cached[nulls]

    def binned(self, rows: pl.DataFrame, bins: Bins) -> list[pl.Series] | None:
        """Return the parts of rows without nulls, None where only expressions can make them."""
        columns = self.asked.of(rows).get_columns() if self.columns else []
        parts = self.fold.binned(bins, *columns)
        if parts is None:
            return None
        return [part.alias(name) for name, part in zip(self.names, parts.values(), strict=True)]

    def types(self, schema: pl.Schema) -> list[pl.DataType]:
        return [schema[name] for name in self.names]

    def merge(self) -> Sequence[pl.Expr]:
        old: Parts = {s: pl.col(f"{n}\0old") for s, n in zip(self.suffixes, self.names, strict=True)}
        new: Parts = {s: pl.col(n) for s, n in zip(self.suffixes, self.names, strict=True)}
        return [part.alias(self._part(suffix)) for suffix, part in self.fold.merge(old, new).items()]

    def finish(self) -> pl.Expr:
        parts: Mapping[str, pl.Expr] = {s: pl.col(n) for s, n in zip(self.suffixes, self.names, strict=True)}
        return self.fold.finish(parts).alias(self.name)
