"""Where rows go on Spark: its own sinks, or a function called for every batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from streamnb.errors import PlanError
from streamnb.sinks.console import Console
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.memory import Memory

Writer = Any


@singledispatch
def written_to(sink: Any, writer: Writer, options: Mapping[str, Any]) -> Writer:
    """Return a DataStreamWriter that writes where a sink does."""
    if callable(sink):
        return writer.foreachBatch(_of_pandas(sink))
    raise PlanError(
        f"start_on: {sink!r} is a sink of this kernel; give the name of a Spark format such as 'parquet', 'delta' or "
        "'kafka' with options=, or a function of (pandas, batch_id).",
        code="SPARK_UNSUPPORTED",
    )


@written_to.register
def _named(sink: str, writer: Writer, options: Mapping[str, Any]) -> Writer:
    return writer.format(sink).options(**options)


@written_to.register
def _nothing(sink: None, writer: Writer, options: Mapping[str, Any]) -> Writer:
    return writer.format("memory")


@written_to.register
def _memory(sink: Memory, writer: Writer, options: Mapping[str, Any]) -> Writer:
    return writer.format("memory")


@written_to.register
def _console(sink: Console, writer: Writer, options: Mapping[str, Any]) -> Writer:
    return writer.format("console").options(**options)


@written_to.register
def _foreach_batch(sink: ForeachBatch, writer: Writer, options: Mapping[str, Any]) -> Writer:
    return writer.foreachBatch(_of_pandas(sink.fn))


def _of_pandas(function: Callable[..., Any]) -> Callable[[Any, int], None]:
    """Return a function of Spark's (rows, batch id) that hands pandas on."""

    def batch(rows: Any, batch_id: int) -> None:
        function(rows.toPandas(), batch_id)

    return batch
