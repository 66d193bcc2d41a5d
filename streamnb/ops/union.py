"""union: the rows of two streams as one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.plan import Batch, EventTime, Node, Opening, Step, least

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def union(self: StreamFrame, other: StreamFrame) -> StreamFrame:
    """Put the rows of two streams into one; columns are matched by name.

    Each stream keeps its own watermark; the query goes by the smaller (``watermark_policy="max"``: the larger). A
    stream without one takes no part in that.

    Spark: ``unionByName``.

    >>> len(flights.union(sn.data.landings("LGA", "2013-02-08")).collect())
    293
    """
    return self.then(Union((self.node, other.node)))


@dataclass(frozen=True, eq=False)
class Union(Node):
    verb: ClassVar[str] = "union"

    def __post_init__(self) -> None:
        left, right = (node.schema for node in self.inputs)
        differing = sorted(n for n in {*left, *right} if left.get(n) != right.get(n))
        if differing:
            raise PlanError(
                f"union: the two streams differ in columns {differing}; select the same columns first.",
                code="SCHEMA_MISMATCH",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        left, right = (node.event_times for node in self.inputs)
        return {**right, **left}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        return None

    def open(self, opening: Opening) -> Step:
        return _Step(self.schema.names())


class _Step(Step):
    def __init__(self, columns: list[str]) -> None:
        self.columns = columns

    def on_batch(self, *batches: Batch) -> Batch:
        rows = pl.concat([batch.rows.select(self.columns) for batch in batches])
        return replace(
            batches[0],
            rows=rows,
            late_watermark=least(b.late_watermark for b in batches),
            eviction_watermark=least(b.eviction_watermark for b in batches),
            trace=None,
            made=None,
        )
