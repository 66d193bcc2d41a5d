"""What both ways of dropping duplicates share: the columns, and the step that knows which keys have passed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from streamnb.bins import Bins, whole_numbers
from streamnb.errors import PlanError
from streamnb.expressions import Column, kept
from streamnb.plan import Batch, EventTime, Node, Opening, Step, late_name, moved
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES, StateTable
from streamnb.time import NEVER_LATE

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def key_columns(verb: str, frame: StreamFrame, columns: Sequence[str] | str | None) -> tuple[str, ...]:
    """Return the columns that tell rows apart; none named: all of them."""
    names: list[object] = [columns] if isinstance(columns, str) else list(columns or frame.node.schema)
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise PlanError(
            f"{verb}: {wrong!r} is not the name of a column; compute it with with_columns first, and name it.",
            code="OPTION_INVALID",
        )
    return tuple(dict.fromkeys(map(str, names)))


@dataclass(frozen=True, eq=False)
class Deduplication(Node):
    """Lets the first row of every key pass."""

    columns: tuple[str, ...]
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.need(*self.columns)

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        return None

    @cached_property
    def mark(self) -> tuple[str, EventTime] | None:
        """The column of event time by which a row is late, one among the keys if there is one."""
        marks = self.event_times
        return next(((n, marks[n]) for n in (*self.columns, *self.schema) if n in marks), None)

    @property
    @abstractmethod
    def expires(self) -> pl.Expr:
        """The watermark that ends a key, from its first row."""

    def open(self, opening: Opening) -> Step:
        return DedupStep(self)

    def describe(self) -> str:
        return f"{self.verb} {', '.join(self.columns)}"


class DedupStep(Step):
    """One row of state a key, without values."""

    def __init__(self, node: Deduplication) -> None:
        self.node, self.keys = node, list(node.columns)
        self.expires = node.expires.cast(pl.Int64).alias(EXPIRES)
        key = pl.col(self.keys[0]) if len(self.keys) == 1 else pl.struct(self.keys)
        self.first = Column(key.is_first_distinct())
        self.table = StateTable({name: node.schema[name] for name in self.keys}, self.keys)
        self.tables = (self.table,)

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows, late = self._without_late(batch)
        slots = self.table.find(rows)
        fresh = rows if (slots < 0).all() else kept(rows, pl.Series(slots < 0))
        new = self._firsts(fresh)
        seen = new.select(*self.keys, self.expires)
        self.table.upsert(seen, np.full(len(seen), -1, np.int64))
        gone = self.table.evict(NEVER_LATE if batch.eviction_watermark is None else batch.eviction_watermark)
        return batch.with_rows(new, self._trace(batch, late, seen, gone, len(rows) - len(new)))

    def _firsts(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the first row of every key."""
        columns = [column for name in self.keys if (column := whole_numbers(rows[name])) is not None]
        bins = Bins.by(columns) if len(rows) and len(columns) == len(self.keys) else None
        if bins is None:
            return kept(rows, self.first.of(rows))
        if len(bins.first) == len(rows):
            return rows
        first = np.zeros(len(rows), np.bool_)
        first[bins.first] = True
        return kept(rows, pl.Series(first))

    def _without_late(self, batch: Batch) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        """Split off the rows at or behind the late watermark. A null time is never late."""
        watermark = batch.late_watermark
        if watermark is None or self.node.mark is None:
            return batch.rows, None
        name, mark = self.node.mark
        times = batch.rows[name].to_physical() + mark.shift
        is_late = (times <= watermark).fill_null(value=False)
        if not is_late.any():
            return batch.rows, None
        late_by = pl.Series(late_name(batch.rows.columns), watermark - times).cast(pl.Duration("us"))
        return batch.rows.filter(~is_late), batch.rows.with_columns(late_by).filter(is_late)

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        return moved(watermark, before)

    def state(self) -> pl.DataFrame:
        return self.table.frame()

    def _trace(
        self, batch: Batch, late: pl.DataFrame | None, seen: pl.DataFrame, gone: pl.DataFrame, duplicates: int
    ) -> StepTrace:
        return StepTrace(
            operator=self.node.verb,
            rows=batch.told,
            late=late,
            changed=lambda: seen.select(self.keys),
            removed=lambda: gone.select(self.keys),
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=len(self.table),
            num_rows_updated=len(seen),
            num_rows_removed=len(gone),
            memory_used_bytes=self.table.nbytes,
            custom_metrics={"num_dropped_duplicate_rows": duplicates},
        )
