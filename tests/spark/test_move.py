"""to_pyspark and start_on: what goes to Spark, and what is refused by name before anything starts."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from typing import Any

import narwhals as nw
import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from streamnb.spark import session

pytestmark = pytest.mark.spark

ROWS: list[dict[str, Any]] = [
    {"at": "2024-01-01 00:00:03", "user": "ann", "n": 1},
    {"at": "2024-01-01 00:00:07", "user": "bob", "n": 2},
    {"at": "2024-01-01 00:00:21", "user": "ann", "n": 3},
    {"at": None, "user": None, "n": None},
]
SCHEMA = {"at": "datetime", "user": "string", "n": "int64"}


@pytest.fixture
def spark(oracle):
    return oracle.spark


@pytest.fixture
def clicks(tmp_path):
    """Return a frame over a folder with one file of the rows."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    return sn.from_files(f"{tmp_path}/in/*.jsonl", SCHEMA)


def windows(frame):
    return frame.with_watermark("at", "0 seconds").group_by(sn.window("at", "10 seconds")).agg(n=sn.sum("n"))


def ended(query):
    query.awaitTermination(120)
    return query


def told(rows):
    """Return rows as plain values, in an order of their own."""
    rows = rows.astype(object).where(rows.notna(), None)
    return sorted(tuple(map(str, row)) for row in rows.itertuples(index=False))


def test_a_query_runs_there_from_the_same_files_to_the_same_rows(spark, clicks):
    ended(windows(clicks).start_on(spark, trigger="available_now", name="moved"))
    assert told(spark.table("moved").toPandas()) == told(windows(clicks).query().run().result)


def test_a_function_gets_every_batch(spark, clicks, tmp_path):
    seen: list[tuple[int, int]] = []
    query = windows(clicks).start_on(
        spark, "update", sink=lambda rows, batch_id: seen.append((batch_id, len(rows))),
        trigger="once", checkpoint=tmp_path / "checkpoint", watermark_policy="max", no_data_batches=False,
    )  # fmt: skip
    ended(query)
    assert seen == [(0, 2)]
    assert (tmp_path / "checkpoint" / "commits" / "0").exists()


def test_a_format_is_named_with_its_options(spark, clicks, tmp_path):
    options = {"path": str(tmp_path / "out")}
    query = clicks.filter(sn.col("n") > 1).start_on(
        spark, sink="json", options=options, checkpoint=tmp_path / "c", trigger="available_now"
    )
    ended(query)
    written = [json.loads(line) for path in (tmp_path / "out").glob("*.json") for line in path.read_text().splitlines()]
    assert sorted(row["n"] for row in written) == [2, 3]


@pytest.mark.parametrize("format", ["parquet", "csv", "json"])
def test_our_files_are_written_as_spark_writes_files(format, spark, clicks, tmp_path):
    known = clicks.filter(sn.col("n") > 0)
    sink = sn.sinks.Files(tmp_path / "out", format)
    ended(known.start_on(spark, sink=sink, checkpoint=tmp_path / "c", trigger="available_now"))
    suffix = "jsonl" if format == "json" else format
    for path in (tmp_path / "out").glob("part-*"):
        path.rename(path.with_suffix(f".{suffix}"))
    assert told(sn.from_files(f"{tmp_path}/out/*.{suffix}", SCHEMA).collect()) == told(known.collect())


def test_an_object_of_a_function_gets_every_batch_too(spark, clicks):
    seen: list[int] = []
    ended(clicks.start_on(spark, sink=sn.sinks.ForeachBatch(lambda rows, _: seen.append(len(rows))), trigger="once"))
    assert seen == [4]


SINKS: dict[str, Callable[[Any], tuple[str, Any]]] = {
    "a sink that Spark appends to, and the query is in complete mode": lambda p: ("complete", sn.sinks.Files(p / "o")),
    "a folder with batches of a query that ran here": lambda p: ("append", sn.sinks.Files(p / "used")),
    "rows are merged by key": lambda p: ("update", sn.sinks.Delta(p / "t", key="user")),
    "opened with settings that Spark does not know": (
        lambda p: ("append", sn.sinks.Delta(p / "t", storage_options={"aws_secret_access_key": "hidden"}))
    ),
    "settings of librdkafka": lambda _: ("append", sn.sinks.Kafka("t", "a:1", config={"sasl.password": "hidden"})),
    "a sink of this kernel": lambda p: ("append", sn.sinks.SQLite(p / "t.db", "t")),
}


@pytest.mark.parametrize("why", SINKS)
def test_a_sink_that_cannot_go_is_refused_by_name_before_anything_starts(why, spark, clicks, tmp_path):
    (tmp_path / "used" / "_streamnb").mkdir(parents=True)
    mode, sink = SINKS[why](tmp_path)
    frame = clicks if mode == "append" else clicks.group_by("user").agg(n=sn.count())
    with pytest.raises(sn.PlanError) as error:
        frame.start_on(spark, mode, sink=sink, checkpoint=tmp_path / "c")
    assert why in str(error.value)
    assert "hidden" not in str(error.value)
    assert error.value.code in {"SPARK_SINK", "SPARK_UNSUPPORTED"}
    assert not (tmp_path / "c").exists()


@pytest.mark.usefixtures("clicks")
def test_the_files_of_a_batch_are_those_here(spark, tmp_path):
    (tmp_path / "in" / "b.jsonl").write_text('{"at": null, "user": "x", "n": 9}\n')
    os.utime(tmp_path / "in" / "a.jsonl", (1, 1))
    one = sn.from_files(f"{tmp_path}/in/*.jsonl", SCHEMA, files_per_batch=1)
    query: Any = ended(one.start_on(spark, trigger="available_now"))
    assert [p.numInputRows for p in query.recentProgress if p.numInputRows] == [4, 1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_other_kinds_are_read_alike(kind, spark, tmp_path):
    times = [str(row["at"]) for row in ROWS[:3]]
    rows = pd.DataFrame({"at": pd.to_datetime(times), "user": "ann", "n": [1, 2, 3]})
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"a.{kind}"
    rows.to_csv(path, index=False) if kind == "csv" else rows.to_parquet(path)
    frame = sn.from_files(f"{tmp_path}/in/*.{kind}", SCHEMA)
    ended(frame.start_on(spark, trigger="available_now", name=f"of_{kind}"))
    assert told(spark.table(f"of_{kind}").toPandas()) == told(frame.collect())


def test_a_rate_is_spark_s_own(spark):
    moved = sn.from_rate(5).to_pyspark(spark)
    assert moved.isStreaming
    assert moved.dtypes == [("timestamp", "timestamp"), ("value", "bigint")]
    with pytest.raises(sn.PlanError, match="no whole number"):
        sn.from_rate(0.5).to_pyspark(spark)


def test_expressions_are_what_they_are_here(spark, clicks):
    at, n, user = sn.col("at"), sn.col("n"), sn.col("user")
    frame = clicks.select(
        "user", n // 2, (n % 2).alias("odd"), (n / 4).alias("share"), (n / (n - 2)).alias("inf"),
        (at - dt.timedelta(seconds=90)).alias("before"), at.dt.hour().alias("hour"), at.dt.timestamp("ms").alias("ms"),
        at.cast(nw.Int64).alias("us"), ((n * 1_000_000).cast(nw.Datetime("us"))).alias("made"),
        (at >= dt.datetime(2024, 1, 1, 0, 0, 7)).alias("late"), user.str.to_uppercase().alias("loud"),
        nw.concat_str(user, sn.lit("!")).alias("cry"), sn.when(n > 1).then(user).otherwise(sn.lit("?")).alias("who"),
        (at - at.dt.truncate("1h")).dt.total_seconds().alias("seconds"), at.cast(nw.String).alias("text"),
        ((n > 1) & ~(user == "bob") | user.is_null()).alias("bool"), (-n).alias("minus"), n.is_in([1, 2]).alias("in"),
        (2 - n).alias("from"), (2 * n + 1).alias("more"), (n - 2 // n).alias("under"),
    )  # fmt: skip
    ended(frame.start_on(spark, trigger="available_now", name="expressions"))
    theirs = spark.table("expressions").toPandas().sort_values("n", ignore_index=True)
    ours = frame.collect().sort_values("n", ignore_index=True)
    pd.testing.assert_frame_equal(theirs.astype(object), ours.astype(object), check_dtype=False)


def halves(rows):
    return rows.assign(n=rows["n"] / 2)[["user", "n"]]


def test_a_function_of_pandas_runs_in_spark_s_workers(spark, clicks):
    frame = clicks.map_batches(halves, {"user": "string", "n": "float64"})
    ended(frame.start_on(spark, trigger="available_now", name="halved"))
    assert told(spark.table("halved").toPandas()) == told(frame.collect())


# -- refused


def memory():
    return sn.stream(sn.MemorySource(SCHEMA))


class Longest(sn.Aggregate):
    def init(self):
        return 0

    def update(self, state, value):
        return max(state, value)

    def merge(self, a, b):
        return max(a, b)

    def finish(self, state):
        return state


def timed():
    return memory().with_watermark("at", "1 second")


TABLE = pd.DataFrame({"user": ["ann"], "at": pd.to_datetime(["2024-01-01"])})
REFUSED: dict[str, Callable[[], Any]] = {
    "count_distinct": lambda: memory().group_by("user").agg(x=sn.count_distinct("n")),
    "an aggregate of your own": lambda: memory().group_by("user").agg(x=Longest("n")),
    "anti join": lambda: timed().join(
        timed().rename({"at": "t"}), on="user", how="anti", within=sn.between("t", before="1 s", after="0 s", of="at")
    ),
    "join_asof": lambda: memory().join_asof(TABLE, on="at"),
    "read anew": lambda: memory().join(lambda: TABLE, on="user"),
    "window_end": lambda: (
        timed()
        .group_by(sn.window("at", "1 s")).agg(n=sn.count())
        .group_by(sn.window("window_end", "5 s")).agg(n=sn.count())
    ),
    "dt.timestamp('ns')": lambda: memory().select(sn.col("at").dt.timestamp("ns")),
    "truncat": lambda: memory().select(sn.col("at").dt.truncate("5m")),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_equal_is_refused_by_name(what, spark, clicks):
    frame = REFUSED[what]()
    streams = {node.source: clicks.to_pyspark(spark) for node in frame.node.walk() if hasattr(node, "source")}
    with pytest.raises(sn.PlanError) as error:
        frame.to_pyspark(spark, streams)
    assert what in str(error.value)
    assert error.value.code == "SPARK_UNSUPPORTED"


def test_sessions_in_update_mode_stay_here(spark, clicks):
    frame = clicks.with_watermark("at", "1 s").group_by(sn.session_window("at", "1 s"), "user").agg(n=sn.count())
    with pytest.raises(sn.PlanError, match="session window in update mode: Spark gives out sessions when they are fin"):
        frame.start_on(spark, "update")


def test_what_spark_refuses_when_it_starts_is_told_as_a_plan_error(spark, clicks, tmp_path):
    counts = clicks.group_by("user").agg(n=sn.count())
    with pytest.raises(sn.PlanError, match=r"Spark refuses the query: .*not supported in Data Source parquet"):
        counts.start_on(spark, "update", sink="parquet", options={"path": str(tmp_path)}, checkpoint=tmp_path / "c")


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (lambda *_: None, "SPARK_SOURCE"),
        (lambda spark, _: spark.range(3), "SPARK_SOURCE"),
        (lambda spark, clicks: {sn.MemorySource(SCHEMA): clicks.to_pyspark(spark)}, "SPARK_SOURCE"),
        (lambda spark, clicks: clicks.drop("n").to_pyspark(spark), "COLUMN_NOT_FOUND"),
    ],
)
def test_a_source_that_spark_cannot_read_is_refused(source, code, spark, clicks):
    with pytest.raises(sn.PlanError) as error:
        memory().to_pyspark(spark, source(spark, clicks))
    assert error.value.code == code


def test_two_sources_need_two_streams(spark, clicks):
    with pytest.raises(sn.PlanError, match="reads 2 sources"):
        memory().union(memory()).to_pyspark(spark, clicks.to_pyspark(spark))


def test_a_stream_is_cast_to_the_columns_of_the_query(spark):
    rate = spark.readStream.format("rate").load().selectExpr("timestamp at", "'x' user", "cast(value as int) n")
    assert dict(memory().to_pyspark(spark, rate).dtypes) == {"at": "timestamp", "user": "string", "n": "bigint"}


def test_state_of_a_processor_needs_rocksdb(spark, clicks):
    class Nothing(sn.StatefulProcessor):
        def handle_input_rows(self, key, rows, timer_values):
            return None

    frame = clicks.group_by("user").transform_with_state(Nothing(), "user string")
    with pytest.raises(sn.PlanError, match="RocksDB") as error:
        frame.to_pyspark(spark)
    assert error.value.code == "SPARK_STATE_STORE"


# -- what must be installed


@pytest.mark.parametrize(
    ("version", "java", "line"),
    [
        (None, 17, "PySpark is not installed; type pip install"),
        ("5.0.0", 17, "PySpark 5.0.0 is none of 4.0 to 4.3"),
        ("3.5.1", 17, "PySpark 3.5.1 is none of 4.0 to 4.3"),
        ("4.3.0", None, "there is no Java, and PySpark starts one; type sudo apt-get install"),
        ("4.3.0", 11, "Java 11 is too old for PySpark; type sudo apt-get install"),
        ("4.0.0", 17, None),
    ],
)
def test_what_lacks_is_one_line_with_the_way_out(version, java, line, monkeypatch):
    monkeypatch.setattr(session, "installed", lambda: version)
    monkeypatch.setattr(session, "java_version", lambda: java)
    told = session.lacking()
    assert told is None if line is None else (line in str(told) and "\n" not in str(told))


def test_a_java_home_without_java_is_no_java(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert session.java_version() is None


def test_java_tells_its_version_old_or_new(monkeypatch, tmp_path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    for told, version in (("1.8.0_392", 8), ("11.0.21", 11), ("17.0.15", 17), ("25-ea", 25)):
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{told}\" 2025-04-15' >&2\n")
        program.chmod(0o700)
        assert session.java_version() == version


def test_without_pyspark_the_verb_says_so(monkeypatch):
    monkeypatch.setattr(session, "installed", lambda: None)
    with pytest.raises(MissingError, match="pip install 'streamnb\\[spark\\]'"):
        memory().to_pyspark(object())


def test_a_pandas_that_pyspark_cannot_use_is_told_before_anything_starts(spark, clicks, monkeypatch):
    monkeypatch.setattr(pd, "__version__", "1.5.3")
    line = r"this PySpark cannot use the pandas or pyarrow that are here: .*; type pip install --upgrade"
    with pytest.raises(MissingError, match=line):
        clicks.map_batches(halves, {"user": "string", "n": "float64"}).to_pyspark(spark)
    with pytest.raises(MissingError, match=line):
        clicks.start_on(spark, sink=print)


def test_what_is_no_session_is_refused():
    with pytest.raises(sn.PlanError, match="is no Spark session"):
        memory().to_pyspark(object())
