"""filter: keep the rows for which an expression is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Mask, as_expr, calls_python, kept, mask, native, outcome, row_by_row, spelled
from streamnb.plan import Opening, RowWise, RowWiseStep, Step

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def filter(self: StreamFrame, condition: nw.Expr | str) -> StreamFrame:
    """Keep the rows for which ``condition`` is true; null counts as false.

    As in Spark, a condition that does not read the event time is checked below ``with_watermark``: rows that it
    removes do not move the watermark. One that reads it is checked above.

    Spark: ``filter``.

    >>> flights.filter(sn.col("dest") == "SEA").collect()["flight_id"].tolist()
    ['DL 1889 02-08', 'B6 83 02-08']
    """
    return self.then(Filter((self.node,), as_expr(condition)))


@dataclass(frozen=True, eq=False)
class Filter(RowWise):
    condition: nw.Expr
    verb: ClassVar[str] = "filter"

    @cached_property
    def repeatable(self) -> bool:  # type: ignore[override]  # a fact of every class but this one
        return not calls_python(self.condition)

    def __post_init__(self) -> None:
        row_by_row(self.verb, [self.condition])
        (dtype,) = outcome(self.verb, [native(self.condition)], self.schema).dtypes()
        if dtype != pl.Boolean:
            raise PlanError(
                f"filter: the condition gives {dtype}, not true or false; compare it with something.",
                code="EXPRESSION_INVALID",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    def open(self, opening: Opening) -> Step:
        quick = mask(self.condition, self.schema)
        return RowWiseStep(self) if quick is None else _MaskStep(self, quick)

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.filter(compile(self.condition))

    def describe(self) -> str:
        return f"filter {spelled(self.condition)}"


class _MaskStep(RowWiseStep):
    """A filter column by column."""

    def __init__(self, node: Filter, mask: Mask) -> None:
        super().__init__(node)
        self.mask = mask

    def apply(self, rows: pl.DataFrame) -> pl.DataFrame:
        return kept(rows, self.mask(rows))
