"""sort: the complete table in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression, as_expr, native, outcome
from streamnb.plan import Batch, Node, Opening, Step

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def sort(self: StreamFrame, *columns: Expression, descending: bool | Sequence[bool] = False) -> StreamFrame:
    """Put the complete table in order. A stream has no end, so only a table that comes whole has an order.

    Nulls come first, in descending order last; rows that are equal keep their order.

    Parameters
    ----------
    columns
        What to sort by, the most important first.
    descending
        For all columns, or one for each.

    State: none. It needs complete mode and an aggregation below; elsewhere ``query()`` refuses it. Spark: ``orderBy``.

    >>> flights.group_by("dest").agg(n=sn.count()).sort("n", descending=True).collect().head(2)
      dest   n
    0  LAX  16
    1  SFO  14
    """
    ways = (descending,) * len(columns) if isinstance(descending, bool) else tuple(descending)
    return self.then(Sort((self.node,), tuple(map(as_expr, columns)), ways))


@dataclass(frozen=True, eq=False)
class Sort(Node):
    by: tuple[nw.Expr, ...]
    descending: tuple[bool, ...]
    verb: ClassVar[str] = "sort"

    def __post_init__(self) -> None:
        if not self.by or len(self.by) != len(self.descending):
            raise PlanError(
                f"sort: {len(self.by)} columns and descending={list(self.descending)}; "
                "name at least one column, and one way or as many ways as columns.",
                code="OPTION_INVALID",
            )
        outcome(self.verb, [key.alias(str(n)) for n, key in enumerate(map(native, self.by))], self.schema)

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    def open(self, opening: Opening) -> Step:
        return _Step(self)

    def describe(self) -> str:
        ways = zip(map(native, self.by), self.descending, strict=True)
        return f"sort {', '.join(e.meta.output_name() + ' descending' * down for e, down in ways)}"


class _Step(Step):
    def __init__(self, node: Sort) -> None:
        self.by, self.descending = list(map(native, node.by)), list(node.descending)

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        ways = self.descending
        return batch.with_rows(batch.rows.sort(self.by, descending=ways, nulls_last=ways, maintain_order=True))
