"""map_batches: a function of your own from pandas to pandas, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from streamnb.plan import RowWise
from streamnb.schema import Schema, as_rows, polars_schema

if TYPE_CHECKING:
    import pandas as pd

    from streamnb.frame import StreamFrame

Function = Callable[["pd.DataFrame"], "pd.DataFrame"]


def map_batches(self: StreamFrame, fn: Function, schema: Schema) -> StreamFrame:
    """Hand the rows of a batch to ``fn`` as pandas and go on with the pandas that it returns.

    The plan cannot look inside: nothing is moved across it, and event time ends here; declare it anew. ``fn`` sees one
    batch at a time and must remember nothing. ``schema`` names the columns that come out with their types.

    Spark: ``mapInPandas``.

    >>> flights.map_batches(lambda rows: rows[["dest"]].head(1), {"dest": "string"}).collect()
      dest
    0  PHL
    """
    return self.then(MapBatches((self.node,), fn, polars_schema("map_batches", schema)))


@dataclass(frozen=True, eq=False)
class MapBatches(RowWise):
    function: Function
    returns: pl.Schema
    verb: ClassVar[str] = "map_batches"
    opaque: ClassVar[bool] = True

    @cached_property
    def schema(self) -> pl.Schema:
        return self.returns

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return as_rows(self.verb, self.function(rows.to_pandas()), self.returns)

    def describe(self) -> str:
        return f"map_batches {getattr(self.function, '__name__', 'function')} (opaque)"
