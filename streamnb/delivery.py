"""Delivery: what a batch gives out, to the memory that ``q.result`` reads and to the user's sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import polars as pl

from streamnb.connect import PolarsSink, Sink
from streamnb.errors import PlanError, QueryError, StreamnbError
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.memory import Memory

if TYPE_CHECKING:
    import pandas as pd

AnySink = Sink | PolarsSink | Callable[["pd.DataFrame", int], object]


class Delivery:
    """Hands every batch on by its id, so that a sink can tell one that comes again."""

    def __init__(self, sink: AnySink | None, mode: str) -> None:
        self.memory = Memory()
        self._sink, self._mode = _as_sink(sink), mode
        if self._sink is not None and hasattr(self._sink, "check"):
            self._sink.check(mode)

    def open(self, query: str, epoch: int) -> None:
        """Tell a sink that keeps a ledger for which query, and which of its runs, the batches are."""
        if self._sink is not None and hasattr(self._sink, "open"):
            self._sink.open(query, epoch)

    def write(self, batch_id: int, rows: pl.DataFrame) -> None:
        """Give out the rows of a batch; what the sink raises is a QueryError that names it."""
        self.memory.write_polars(batch_id, rows, self._mode)
        if self._sink is None:
            return
        try:
            self._hand_over(self._sink, batch_id, rows)
        except StreamnbError:
            raise
        except Exception as error:
            raise QueryError(
                f"sink: {type(self._sink).__name__} failed on batch {batch_id}, {len(rows)} rows: "
                f"{type(error).__name__} {error}."
            ) from error

    def _hand_over(self, sink: Sink | PolarsSink, batch_id: int, rows: pl.DataFrame) -> None:
        if hasattr(sink, "write_polars"):
            sink.write_polars(batch_id, rows, self._mode)
        else:
            sink.write(batch_id, rows.to_pandas(), self._mode)


def _as_sink(sink: AnySink | None) -> Sink | PolarsSink | None:
    if sink is None or hasattr(sink, "write") or hasattr(sink, "write_polars"):
        return sink
    if callable(sink):
        return ForeachBatch(sink)
    raise PlanError(
        f"query: sink={sink!r} is not known; use sn.sinks.…, or a function of (pandas, batch_id).",
        code="OPTION_INVALID",
    )
