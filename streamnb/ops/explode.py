"""explode: one row for every element of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals as nw
import polars as pl

from streamnb.errors import PlanError
from streamnb.plan import RowWise

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def explode(self: StreamFrame, column: str) -> StreamFrame:
    """Turn every element of a list column into a row of its own; an empty or null list gives none.

    Spark: ``explode``.

    >>> sn.from_pandas({"order": [1], "items": [["tea", "milk"]]}).explode("items").collect()
       order items
    0      1   tea
    1      1  milk
    """
    return self.then(Explode((self.node,), column))


@dataclass(frozen=True, eq=False)
class Explode(RowWise):
    column: str
    verb: ClassVar[str] = "explode"

    def __post_init__(self) -> None:
        self.need(self.column)
        dtype = self.inputs[0].schema[self.column]
        if not isinstance(dtype, pl.List):
            raise PlanError(
                f"explode: {self.column!r} is {dtype}, not a list; leave explode out.", code="EXPRESSION_INVALID"
            )

    @cached_property
    def schema(self) -> pl.Schema:
        below = self.inputs[0].schema
        return pl.Schema({**below, self.column: below[self.column].inner})  # type: ignore[attr-defined]

    @cached_property
    def _filled(self) -> nw.Expr:
        return nw.col(self.column).list.len() > 0

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.filter(compile(self._filled)).explode(self.column)

    def describe(self) -> str:
        return f"explode {self.column}"
