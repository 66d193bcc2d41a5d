"""Topics of Kafka in Spark's words: the rows of messages, and messages of rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from streamnb.errors import PlanError
from streamnb.sinks.kafka import Kafka as Sink
from streamnb.sources.kafka import Kafka
from streamnb.sources.kafka_place import begin_ms
from streamnb.sources.records import Json, Text
from streamnb.spark.expressions import Sql
from streamnb.spark.flow import unsupported
from streamnb.spark.kinds import ddl, name_in

_EARLIEST = -2
_KEY_TYPES = (pl.String, pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64)


def options_of(source: Kafka) -> dict[str, Any]:
    """Return the options that make Spark read a topic as it is read here; a PlanError for what it has no option for."""
    topic = source._topic  # noqa: SLF001
    if topic._config:  # noqa: SLF001
        raise _settings("from_kafka", "source=, a stream with Spark's own")
    partitions = topic._partitions  # noqa: SLF001
    some = {"subscribe": topic.name} if partitions is None else {"assign": _json({topic.name: sorted(partitions)})}
    options = {"kafka.bootstrap.servers": topic.servers, **some, **dict(_start(source))}
    options["maxOffsetsPerTrigger"] = topic.rows_per_batch
    return options | ({"includeHeaders": True} if "headers" in source._columns else {})  # noqa: SLF001


def _start(source: Kafka) -> Iterator[tuple[str, Any]]:
    """Where to begin: by name, by time, or by offset, of which Spark wants one for every partition."""
    topic = source._topic  # noqa: SLF001
    start, partitions = topic._start, topic._partitions  # noqa: SLF001
    if isinstance(start, Mapping):
        if partitions is None:
            raise PlanError(
                f"to_pyspark: from_kafka(start={dict(start)}) may leave out partitions, and Spark wants all of them "
                "named; give partitions= too.",
                code="SPARK_SOURCE",
            )
        yield "startingOffsets", _json({topic.name: {str(p): start.get(p, _EARLIEST) for p in sorted(partitions)}})
    elif start in {"earliest", "latest"}:
        yield "startingOffsets", start
    else:
        yield "startingTimestamp", begin_ms(start)
        yield "startingOffsetsByTimestampStrategy", "latest"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _settings(verb: str, way_out: str) -> PlanError:
    return PlanError(
        f"to_pyspark: {verb}(config=…) holds settings of librdkafka, which Spark's Java client does not know; "
        f"give {way_out} such as option('kafka.security.protocol', 'SASL_SSL').",
        code="SPARK_UNSUPPORTED",
    )


def rows_of(source: Kafka, messages: Any, sql: Sql) -> Any:
    """Return the rows of Spark's messages: the fields of the value, then what the message adds."""
    added = [_added(sql, name, column, dtype) for name, (column, dtype) in source._columns.items()]  # noqa: SLF001
    form = source._format  # noqa: SLF001
    value = sql.col("value")
    if isinstance(form, Json):
        row = _free("row", source.schema)
        fields = sql.from_json(value.cast("string"), ddl(form.schema), {"mode": "FAILFAST"}).alias(row)
        names = [name_in(column) for column, _ in source._columns.values()]  # noqa: SLF001
        return messages.select(fields, *added).select(f"{row}.*", *names)
    if list(form.schema) != ["value"]:
        raise unsupported(
            f"{source!r} is read as Avro", "Spark does that with a jar of its own",
            "give source=, a stream made with pyspark.sql.avro.functions.from_avro",
        )  # fmt: skip
    return messages.select(value.cast("string").alias("value") if isinstance(form, Text) else "value", *added)


def _added(sql: Sql, name: str, column: str, dtype: pl.DataType) -> Any:
    """Return a column of a message, under its name by its name alone."""
    if name == "key" and dtype == pl.String():
        return sql.col("key").cast("string").alias(column)
    return name if column == name else sql.col(name).alias(column)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = f"{name}_"
    return name


# -- messages of rows


def messages_of(sink: Sink, rows: Any, schema: pl.Schema, sql: Sql) -> Any:
    """Return rows as Spark's sink takes them: a key, if any, and the row as JSON."""
    if sink._config():  # noqa: SLF001
        raise _settings("sinks.Kafka", "sink='kafka' with options=")
    fields = [_field(sql, name, dtype) for name, dtype in schema.items()]
    value = sql.to_json(sql.struct(*fields), {"ignoreNullFields": "false"}).alias("value")
    return rows.select(*_key(sink._key, schema, sql), value)  # noqa: SLF001


def _field(sql: Sql, name: str, dtype: pl.DataType) -> Any:
    """Return a column as JSON has it here: a naive time without a zone, a duration in seconds, no NaN."""
    column = sql.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is None:
        return column.cast("string").alias(name)
    if isinstance(dtype, pl.Duration):
        micros = sql.unix_micros(sql.timestamp_seconds(sql.lit(0)) + column)
        return (micros / sql.lit(1_000_000)).alias(name)
    if dtype.is_decimal():
        return column.cast("string").alias(name)
    if dtype.is_float():
        finite = ~sql.isnan(column) & (sql.abs(column) != sql.expr("double('infinity')"))
        return sql.when(finite, column).alias(name)
    return name_in(name)


def _key(names: list[str], schema: pl.Schema, sql: Sql) -> list[Any]:
    """Return the key: text as it is, other values as JSON has them, several as a list; none where all are null."""
    for name in names:
        if not isinstance(schema[name], _KEY_TYPES):
            raise unsupported(
                f"sinks.Kafka(key={name!r}) is {schema[name]}", "Spark writes such a key in other words",
                "make text of it with with_columns",
            )  # fmt: skip
    if not names:
        return []
    if len(names) == 1:
        return [sql.col(names[0]).cast("string").alias("key")]
    parts = [_as_json(sql, name) for name in names]
    listed = sql.concat(sql.lit("["), sql.concat_ws(",", *parts), sql.lit("]"))
    return [sql.when(sql.coalesce(*(sql.col(n).cast("string") for n in names)).isNotNull(), listed).alias("key")]


def _as_json(sql: Sql, name: str) -> Any:
    """Return a value as JSON, which Spark gives for a list of one."""
    return sql.regexp_extract(sql.to_json(sql.array(name_in(name))), r"^\[(.*)\]$", 1)
