"""Topics on Spark: messages become the rows that they are here, rows the messages; without its jar a clear refusal."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.sinks.plain import json_rows
from streamnb.spark.expressions import Sql
from streamnb.spark.kafka import messages_of, options_of, rows_of
from streamnb.spark.kinds import ddl
from tests.servers.kafka_mock import MockKafka

pytestmark = pytest.mark.spark
VALUES = {"user": "string", "n": "int64", "at": "datetime", "xs": "list[int64]"}
MESSAGES: list[tuple[bytes | None, bytes | None]] = [
    (b"k1", b'{"user": "ann", "n": 1, "at": "2024-01-01 00:00:03", "xs": [1, 2], "more": true}'),
    (b"k2", b'{"user": "Z\xc3\xbcrich", "at": "2024-01-01T00:00:03.5", "xs": []}'),
    (None, None),
    (b"", b""),
]


@pytest.fixture
def sql(oracle):
    """Return Spark's functions; they need a session."""
    assert oracle.spark
    from pyspark.sql import functions

    return Sql(functions)


KINDS: dict[str, dict[str, Any]] = {
    "json": {"schema": VALUES, "metadata": ["key", "partition", "offset"]},
    "binary key": {"schema": VALUES, "metadata": {"key": "row", "offset": "dotted.name"}, "key": "binary"},
    "text": {"format": "text", "metadata": ["key"]},
    "raw": {"format": "raw", "metadata": {"offset": "n"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_a_topic_are_those_here(kind, oracle, sql, tmp_path):
    """Spark's connector is a jar of its own, so messages are written as it gives them, and read as a stream."""
    source, ours = here(KINDS[kind])
    messages = pl.DataFrame(
        [(k, v, 0, n) for n, (k, v) in enumerate(MESSAGES)],
        {"key": pl.Binary, "value": pl.Binary, "partition": pl.Int32, "offset": pl.Int64}, orient="row",
    )  # fmt: skip
    (tmp_path / "in").mkdir()
    messages.write_parquet(tmp_path / "in" / "a.parquet")
    stream = oracle.spark.readStream.schema(ddl(messages.schema)).parquet(str(tmp_path / "in"))
    name = f"topic_{kind.replace(' ', '_')}"
    writer = rows_of(source, stream, sql).writeStream.format("memory").queryName(name)
    writer.trigger(availableNow=True).start().awaitTermination(120)
    theirs = oracle.spark.table(name).toPandas()
    assert list(theirs.columns) == list(ours.columns)
    assert plain(theirs) == plain(ours)


def here(options):
    """Return a topic with the messages as a source, and the rows that it gives here."""
    from confluent_kafka import Producer

    cluster = MockKafka()
    try:
        cluster.topic("t")
        producer = Producer({"bootstrap.servers": cluster.bootstrap})
        for k, v in MESSAGES:
            producer.produce("t", value=v, key=k)
        producer.flush()
        frame: Any = sn.from_kafka("t", cluster.bootstrap, **options)
        return frame.node.source, frame.collect()
    finally:
        cluster.close()


def plain(rows):
    return [list(map(_plain, row)) for row in rows.to_numpy().tolist()]


def _plain(value):
    if isinstance(value, list | np.ndarray):
        return list(map(int, value))
    return None if pd.isna(value) else bytes(value) if isinstance(value, bytearray) else value


def topic(**options: Any) -> Any:
    node: Any = sn.from_kafka("t", "a:1", {"n": "int64"}, **options).node
    return node.source


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {"subscribe": "t", "startingOffsets": "earliest", "maxOffsetsPerTrigger": 10_000, "includeHeaders": True}),
        (
            {"metadata": [], "rows_per_batch": 5},
            {"subscribe": "t", "startingOffsets": "earliest", "maxOffsetsPerTrigger": 5},
        ),
        (
            {"metadata": [], "start": {1: 17}, "partitions": [1, 0]},
            {"assign": '{"t":[0,1]}', "startingOffsets": '{"t":{"0":-2,"1":17}}', "maxOffsetsPerTrigger": 10_000},
        ),
        (
            {"metadata": [], "start": "2024-01-01"},
            {
                "subscribe": "t", "startingTimestamp": 1_704_067_200_000,
                "startingOffsetsByTimestampStrategy": "latest", "maxOffsetsPerTrigger": 10_000,
            },
        ),
    ],
)  # fmt: skip
def test_where_to_begin_and_how_much_is_said_in_options(given, told):
    assert options_of(topic(**given)) == {"kafka.bootstrap.servers": "a:1", **told}


@pytest.mark.parametrize(
    ("options", "code", "why"),
    [
        ({"config": {"sasl.password": "secret"}}, "SPARK_UNSUPPORTED", "settings of librdkafka"),
        ({"start": {0: 17}}, "SPARK_SOURCE", "give partitions= too"),
    ],
)
def test_what_spark_has_no_option_for_is_refused_by_name(options, code, why):
    with pytest.raises(sn.PlanError) as error:
        options_of(topic(**options))
    assert error.value.code == code
    assert why in str(error.value)
    assert "secret" not in str(error.value)


def test_avro_is_refused_by_name(sql):
    schema = json.dumps({"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]})
    node: Any = sn.from_kafka("t", "a:1", schema, format="avro").node
    with pytest.raises(sn.PlanError, match="is read as Avro: Spark does that with a jar"):
        rows_of(node.source, None, sql)


ROWS = pl.DataFrame(
    {
        "user": ["ann", 'o"n', None, None],
        "n": [1, 2, 3, None],
        "ok": [True, False, None, None],
        "x": [1.5, float("nan"), float("-inf"), None],
        "at": [dt.datetime(2024, 1, 1, 0, 0, 3), dt.datetime(2024, 1, 1, 0, 0, 3, 250_000), None, None],
        "day": [dt.date(2024, 1, 1)] * 4,
        "span": [dt.timedelta(seconds=1.5)] * 4,
        "xs": [["a"], [], None, ["b", None]],
    }
)


def on_spark(spark):
    return spark.createDataFrame(
        ROWS.with_columns(pl.col("at").dt.replace_time_zone("UTC")).to_arrow(), ddl(ROWS.schema)
    )


@pytest.mark.parametrize("key", [None, "user", "n", ["user", "n"], ["ok", "user"]])
def test_a_message_says_what_it_says_here(key, oracle, sql):
    sink = sn.sinks.Kafka("t", "a:1", key)
    theirs = messages_of(sink, on_spark(oracle.spark), ROWS.schema, sql).collect()
    values = [json.loads(row["value"]) for row in theirs]
    ours = [json.loads(text) for text in json_rows("Kafka", ROWS)]
    assert [{**v, "at": v["at"] and dt.datetime.fromisoformat(v["at"])} for v in values] == [
        {**v, "at": v["at"] and dt.datetime.fromisoformat(v["at"])} for v in ours
    ]
    if key is not None:
        assert [row["key"] for row in theirs] == [k and k.decode() for k in sink._keys(ROWS)]


def test_a_key_in_other_words_is_refused(oracle, sql):
    with pytest.raises(sn.PlanError, match="key='x'\\) is Float64"):
        messages_of(sn.sinks.Kafka("t", "a:1", "x"), on_spark(oracle.spark), ROWS.schema, sql)


def test_without_its_jar_a_format_is_refused_with_the_line_that_brings_it(oracle, tmp_path):
    with pytest.raises(sn.PlanError, match=r"does not know the format 'kafka'; .*spark-sql-kafka-0-10_2\.13:") as error:
        sn.stream(topic()).to_pyspark(oracle.spark)
    assert error.value.code == "SPARK_JAR"
    rate = sn.from_rate(1)
    for sink, name in (
        (sn.sinks.Kafka("t", "a:1"), "kafka"),
        (sn.sinks.Delta(tmp_path), "delta"),
        ("iceberg", "iceberg"),
    ):
        with pytest.raises(sn.PlanError, match=f"does not know the format '{name}'; ") as error:
            rate.start_on(oracle.spark, sink=sink, checkpoint=tmp_path / name)
        assert error.value.code == "SPARK_JAR"
        assert not oracle.spark.streams.active
