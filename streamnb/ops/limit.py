"""limit: the first rows of the stream, and no more."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.plan import Batch, Node, Opening, Step
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES, StateTable

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def limit(self: StreamFrame, n: int) -> StreamFrame:
    """Keep the first ``n`` rows over the life of the query; append mode, or above a sorted complete table.

    State: one counter. Spark: ``limit``.

    >>> flights.limit(3).collect()["dest"].tolist()
    ['PHL', 'BOS', 'IAD']
    """
    return self.then(Limit((self.node,), n))


@dataclass(frozen=True, eq=False)
class Limit(Node):
    n: int
    verb: ClassVar[str] = "limit"
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.n < 0:
            raise PlanError(f"limit: {self.n!r} is not a number of rows; give 0 or more.", code="OPTION_INVALID")

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    def open(self, opening: Opening) -> Step:
        aggregated = any(node.key is not None for node in self.walk())
        return _Step(self.n, whole=opening.output_mode == "complete" and aggregated)

    def describe(self) -> str:
        return f"limit {self.n}"


class _Step(Step):
    """Counts what has passed; of a complete table it takes the head anew in every batch."""

    def __init__(self, n: int, *, whole: bool) -> None:
        self.n, self.whole = n, whole
        self.table = StateTable({"counter": pl.Int64(), "passed": pl.Int64()}, ["counter"])
        self.tables = (self.table,)
        self.counter = pl.DataFrame({"counter": [0]})

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        if self.whole:
            return batch.with_rows(batch.rows.head(self.n))
        slots = self.table.find(self.counter)
        passed = 0 if slots[0] < 0 else self.table.rows(slots)["passed"][0]
        rows = batch.rows.head(self.n - passed)
        if len(rows):
            now = {"counter": 0, "passed": passed + len(rows), EXPIRES: None}
            self.table.upsert(pl.DataFrame([now], schema=self.table.schema), slots)
        return batch.with_rows(rows, self._trace(batch, rows))

    def _trace(self, batch: Batch, rows: pl.DataFrame) -> StepTrace:
        return StepTrace(
            operator="limit",
            rows=batch.told,
            late=None,
            changed=lambda: self.table.frame().select("passed") if len(rows) else pl.DataFrame(),
            removed=pl.DataFrame,
            late_watermark=batch.late_watermark,
            eviction_watermark=batch.eviction_watermark,
            num_rows_total=len(self.table),
            num_rows_updated=int(len(rows) > 0),
            memory_used_bytes=self.table.nbytes,
        )
