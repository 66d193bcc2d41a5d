"""Where rows come from on Spark: the stream given for a source, or Spark's own of the same kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.errors import PlanError, column_not_found
from streamnb.ops.read import Read
from streamnb.sources.files import Files
from streamnb.sources.kafka import Kafka
from streamnb.sources.pieces import FORMATS
from streamnb.sources.rate import Rate
from streamnb.spark import kafka
from streamnb.spark.expressions import Sql
from streamnb.spark.flow import Flow, Move, to_spark
from streamnb.spark.jars import jar_of
from streamnb.spark.kinds import ddl, spark_type
from streamnb.time import SECOND


@to_spark.register
def _read(node: Read, move: Move) -> Flow:
    given = move.sources.get(id(node.source))
    return Flow(own_stream(node.source, move.spark, move.sql) if given is None else given)


def streams_of(source: Any, reads: Sequence[Read], sql: Sql) -> Mapping[int, Any]:
    """Return the streams given as ``source=``, with the columns that the query reads, by the id of their source."""
    plan = list({id(node.source): node for node in reads}.values())
    given = _by_source(source, [node.source for node in plan])
    return {n: fitted(given[n], node.schema, sql) for node in plan if (n := id(node.source)) in given}


def _by_source(source: Any, plan: list[Any]) -> Mapping[int, Any]:
    if source is None:
        return {}
    if isinstance(source, Mapping):
        strangers = [ours for ours in source if all(ours is not one for one in plan)]
        if strangers:
            raise PlanError(
                f"to_pyspark: source= names {strangers[0]!r}, which the query does not read; it reads {plan}.",
                code="SPARK_SOURCE",
            )
        return {id(ours): stream for ours, stream in source.items()}
    if len(plan) > 1:
        raise PlanError(
            f"to_pyspark: the query reads {len(plan)} sources, and source= is one stream; "
            "give source={clicks: …, users: …}.",
            code="SPARK_SOURCE",
        )
    return {id(plan[0]): source}


@singledispatch
def own_stream(source: Any, spark: Any, sql: Sql) -> Any:
    """Return Spark's own stream of the rows that a source reads."""
    raise PlanError(
        f"to_pyspark: {source!r} is a source of this kernel, which Spark cannot read; "
        "give source=, a stream of the same columns such as spark.readStream.schema(…).parquet('in').",
        code="SPARK_SOURCE",
    )


@own_stream.register
def _files(source: Files, spark: Any, sql: Sql) -> Any:
    reader = spark.readStream.schema(ddl(source.schema)).format(format_of(source))
    for option, value in options_of(source).items():
        reader = reader.option(option, value)
    return reader.load(folder_of(source))


@own_stream.register
def _rate(source: Rate, spark: Any, sql: Sql) -> Any:
    return spark.readStream.format("rate").option("rowsPerSecond", rows_per_second(source)).load()


@own_stream.register
def _kafka(source: Kafka, spark: Any, sql: Sql) -> Any:
    reader = spark.readStream.format("kafka")
    for option, value in kafka.options_of(source).items():
        reader = reader.option(option, value)
    with jar_of("kafka"):
        return kafka.rows_of(source, reader.load(), sql)


def pattern_of(source: Files) -> str:
    """Return the pattern of the files."""
    return source._pattern  # noqa: SLF001


def format_of(source: Files) -> str:
    """Return Spark's name of the files' format, told from the pattern."""
    path = Path(pattern_of(source))
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in FORMATS:
        raise PlanError(
            f"to_pyspark: {pattern_of(source)!r} does not say which format the files have; let it end in .csv, "
            ".jsonl or .parquet, or give source=.",
            code="SPARK_SOURCE",
        )
    return FORMATS[suffix.lower()]


def folder_of(source: Files) -> str:
    """Return the folder that Spark watches; of one whose folders are columns the top, which Spark then reads alike."""
    folder, root = Path(pattern_of(source)).parent, source._root  # noqa: SLF001
    return str(root if any("=" in part for part in _folders(source, root)) else folder)


def _folders(source: Files, root: Path) -> list[str]:
    return [part for path in source._taken for part in Path(path).relative_to(root).parts[:-1]]  # noqa: SLF001


def options_of(source: Files) -> dict[str, Any]:
    """Return the options that make Spark read the files as they are read here."""
    options: dict[str, Any] = {"pathGlobFilter": Path(pattern_of(source)).name}
    if source._per_batch is not None:  # noqa: SLF001
        options["maxFilesPerTrigger"] = source._per_batch  # noqa: SLF001
    if format_of(source) == "csv":
        options["header"] = True
    return options if format_of(source) == "parquet" else {**options, "mode": "FAILFAST"}


def rows_per_second(source: Rate) -> int:
    """Return a rate in whole rows, as Spark wants it."""
    rate = SECOND / source.gap
    if rate != round(rate):
        raise PlanError(
            f"to_pyspark: from_rate({rate:g}) is no whole number of rows a second, which Spark wants; "
            "give a whole number, or source=.",
            code="SPARK_SOURCE",
        )
    return round(rate)


def fitted(stream: Any, schema: pl.Schema, sql: Sql) -> Any:
    """Return a stream with just the columns of a schema, in their types."""
    if not getattr(stream, "isStreaming", False):
        raise PlanError(
            f"to_pyspark: {stream!r} is no stream; give one made by spark.readStream, such as "
            "spark.readStream.schema(…).parquet('in').",
            code="SPARK_SOURCE",
        )
    there = dict(stream.dtypes)
    for name in schema:
        if name not in there:
            raise column_not_found("to_pyspark: the stream given as source=", name, there)
    wanted = {name: spark_type(name, dtype) for name, dtype in schema.items()}
    if there == wanted:
        return stream
    columns = {name: sql.col(name) for name in schema}
    return stream.select(*(c if there[n] == wanted[n] else c.cast(wanted[n]).alias(n) for n, c in columns.items()))
