"""Where rows go on Spark: its own sinks for ours of the same kind, or a function called for every batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.errors import PlanError
from streamnb.sinks.console import Console
from streamnb.sinks.delta import Delta
from streamnb.sinks.files import Files
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.kafka import Kafka
from streamnb.sinks.memory import Memory
from streamnb.spark import kafka
from streamnb.spark.expressions import Sql
from streamnb.spark.session import check_pandas

Writer = Any


@dataclass(frozen=True)
class Going:
    """Rows on their way to a sink, with their columns as they are here."""

    rows: Any
    schema: pl.Schema
    mode: str
    sql: Sql

    @property
    def writer(self) -> Writer:
        """Spark's DataStreamWriter."""
        return self.rows.writeStream

    def other(self, rows: Any) -> Going:
        """Return other rows on the same way."""
        return replace(self, rows=rows)

    def to(self, format: str, options: Mapping[str, Any]) -> Writer:
        """Return a writer to one of Spark's formats."""
        writer = self.writer.format(format)
        for name, value in options.items():
            writer = writer.option(name, value)
        return writer


@singledispatch
def written_to(sink: Any, going: Going, options: Mapping[str, Any]) -> Writer:
    """Return a DataStreamWriter that writes where a sink does."""
    if callable(sink):
        return going.writer.foreachBatch(of_pandas(sink))
    raise _refused(
        repr(sink),
        "a sink of this kernel",
        "give sn.sinks.Files, Delta, Kafka, Console or ForeachBatch, the name of a Spark format with options=, or a "
        "function of (pandas, batch_id)",
    )


def _refused(what: str, why: str, way_out: str) -> PlanError:
    return PlanError(f"start_on: {what} is {why}; {way_out}.", code="SPARK_SINK")


@written_to.register
def _named(sink: str, going: Going, options: Mapping[str, Any]) -> Writer:
    return going.to(sink, options)


@written_to.register
def _nothing(sink: None, going: Going, options: Mapping[str, Any]) -> Writer:
    return going.to("memory", {})


@written_to.register
def _memory(sink: Memory, going: Going, options: Mapping[str, Any]) -> Writer:
    return going.to("memory", {})


@written_to.register
def _console(sink: Console, going: Going, options: Mapping[str, Any]) -> Writer:
    return going.to("console", {"numRows": sink._rows, "truncate": False, **options})  # noqa: SLF001


@written_to.register
def _files(sink: Files, going: Going, options: Mapping[str, Any]) -> Writer:
    path, form = sink._path, sink._format.name  # noqa: SLF001
    if going.mode != "append":
        raise _refused(
            f"sinks.Files({str(path)!r})", f"a sink that Spark appends to, and the query is in {going.mode} mode",
            "use append mode, or a function of (pandas, batch_id)",
        )  # fmt: skip
    if Path(path, "_streamnb").exists():
        raise _refused(
            f"sinks.Files({str(path)!r})", "a folder with batches of a query that ran here, which Spark does not know",
            "give another folder",
        )  # fmt: skip
    head = {"header": True} if form == "csv" else {}
    return going.to(form, {"path": str(path), **head, **options})


@written_to.register
def _delta(sink: Delta, going: Going, options: Mapping[str, Any]) -> Writer:
    target = sink._target  # noqa: SLF001
    if target.key and going.mode != "complete":
        raise _refused(
            f"sinks.Delta({target.table!r}, key={list(target.key)})", "a table into which rows are merged by key, and "
            "Spark's sink adds or overwrites", "leave out key= in append mode, or merge in a function of "
            "(pandas, batch_id)",
        )  # fmt: skip
    if sink._options():  # noqa: SLF001
        raise _refused(
            f"sinks.Delta({target.table!r}, storage_options=…)", "opened with settings that Spark does not know",
            "give Spark its own, such as spark.hadoop.fs.s3a.access.key, and the Delta without them",
        )  # fmt: skip
    return going.to("delta", {"path": target.table, **options})


@written_to.register
def _kafka(sink: Kafka, going: Going, options: Mapping[str, Any]) -> Writer:
    rows = kafka.messages_of(sink, going.rows, going.schema, going.sql)
    there = {"kafka.bootstrap.servers": sink._servers, "topic": sink._topic}  # noqa: SLF001
    return going.other(rows).to("kafka", {**there, **options})


@written_to.register
def _foreach_batch(sink: ForeachBatch, going: Going, options: Mapping[str, Any]) -> Writer:
    return going.writer.foreachBatch(of_pandas(sink.fn))


def of_pandas(function: Callable[..., Any]) -> Callable[[Any, int], None]:
    """Return a function of Spark's (rows, batch id) that hands pandas on."""
    check_pandas()

    def batch(rows: Any, batch_id: int) -> None:
        function(rows.toPandas(), batch_id)

    return batch


def format_of(sink: Any) -> str:
    """Return the name of Spark's format for a sink, as far as it may need a jar."""
    kinds = {Delta: "delta", Kafka: "kafka"}
    return sink if isinstance(sink, str) else kinds.get(type(sink), "")
