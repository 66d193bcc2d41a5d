"""to_pyspark_source: what it prints runs with plain python, formatted, and gives what the query gives here."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import streamnb as sn
from streamnb.spark.session import lacking
from tests.lacking import give_up
from tests.spark.oracle import MEMORY

pytestmark = pytest.mark.spark

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}
VISITS = {"t": "datetime", "user": "string", "page": "string"}
ROWS = [("2024-01-01 00:00:03", "ann", 1), ("2024-01-01 00:04:00", "bob", 2), ("2024-01-01 00:21:00", "ann", 3),
        ("2024-01-01 00:22:00", "o'neil \"the\" 2nd", 4), (None, None, None)]  # fmt: skip
SEEN = [("2024-01-01 00:00:05", "ann", "home"), ("2024-01-01 00:30:00", "bob", "help")]
CITIES = pd.DataFrame(
    {"user": ["ann", "bob"], "city": ["Berne", "Zürich"], "since": pd.to_datetime(["2020-02-01"] * 2)}
)


def doubled(rows):
    return rows.assign(n=rows["n"] * 2)[["user", "n"]]


STEP = 10


def stepped(n: int) -> int:
    return n + STEP


def counted(key: tuple[str], rows: pd.DataFrame, state: sn.GroupState):
    if state.has_timed_out:
        (n,) = state.get
        state.remove()
        return {"user": key[0], "n": -n}
    n = (state.get[0] if state.exists else 0) + len(rows)
    state.update(np.int64(n))
    state.set_timeout_timestamp(rows["at"].max() + dt.timedelta(minutes=5))
    return [(key[0], stepped(n))]


class Visits(sn.StatefulProcessor):
    """The newest numbers of a user, and an alarm ten minutes after the last one."""

    def __init__(self, keep):
        self.keep = keep

    def init(self, handle):
        self.handle = handle
        self.newest = handle.get_list_state("newest", "n bigint")
        self.seen = handle.get_map_state("seen", "n bigint", "times bigint")
        self.alarm = handle.get_value_state("alarm", "at bigint")

    def handle_input_rows(self, key, rows, timer_values: sn.TimerValues) -> Any:
        for part in rows:
            for n in part["n"]:
                times = self.seen.get_value(n)[0] if self.seen.contains_key(n) else 0
                self.seen.update_value(n, {"times": times + 1})
                self.newest.append_value(n)
            at = part["at"].max() + pd.Timedelta("10 minutes")
        self.newest.put(list(self.newest.get())[-self.keep :])
        if self.alarm.exists():
            self.handle.delete_timer(self.alarm.get()[0])
        self.alarm.update(int(at.timestamp() * 1000))
        self.handle.register_timer(at)
        yield {"user": key[0], "n": sum(n for (n,) in self.newest.get())}

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.alarm.clear()
        return pd.DataFrame({"user": [key[0]], "n": [-len(list(self.seen.keys()))]})


def known(clicks):
    return clicks.filter(~sn.col("n").is_null()).with_watermark("at", "1 minute").group_by("user")


STATE = {"output_schema": "user string, n bigint"}


def windows(clicks):
    return clicks.with_watermark("at", "1 minute").group_by(sn.window("at", "10 minutes", slide="5 minutes"), "user")


def sessions(clicks):
    return clicks.with_watermark("at", "1 s").group_by(sn.session_window("at", "5 minutes"), "user")


def mine(clicks):
    return clicks.filter(~sn.col("n").is_null()).map_batches(doubled, {"user": "string", "n": "int64"})


def pairs(clicks, visits):
    between = sn.between("t", after="0s", before="1 minute", of="at")
    visits = visits.with_watermark("t", "2 minutes")
    return clicks.with_watermark("at", "1 minute").join(visits, on="user", how="left", within=between)


QUERIES: dict[str, tuple[Callable[..., Any], str]] = {
    "windows": (lambda c, _: windows(c).agg(n=sn.count(), m=sn.mean(sn.col("n") * 2), u=sn.max("user")), "append"),
    "updates": (lambda c, _: c.filter(sn.col("n") > 1).group_by("user").agg(n=sn.sum("n")), "update"),
    "sorted": (lambda c, _: c.group_by("user").agg(n=sn.sum("n")).sort("n", descending=True).limit(2), "complete"),
    "sessions": (lambda c, _: sessions(c).agg(n=sn.count()), "append"),
    "computed": (
        lambda c, _: c.select(
            "user", odd=sn.col("n") % 2, hour=sn.col("at").dt.hour(), who=sn.when(sn.col("user") == 'o\'neil "the" 2nd')
            .then(sn.lit("him")).otherwise(sn.lit("not")), half=sn.col("n") / 2,
        ).drop_duplicates(["user", "odd"]),
        "append",
    ),
    "two windows": (
        lambda c, _: windows(c).agg(n=sn.count()).group_by(sn.window(sn.window_time(), "1 hour")).agg(k=sn.sum("n")),
        "append",
    ),
    "pairs": (pairs, "append"),
    "table": (lambda c, _: c.join(CITIES, on="user", how="left").rename({"city": "place"}), "append"),
    "mine": (lambda c, _: mine(c), "append"),
    "state": (
        lambda c, _: known(c).apply_in_pandas_with_state(
            counted, state_schema="n bigint", output_mode="update", timeout="event", **STATE
        ),
        "update",
    ),
    "processor": (lambda c, _: known(c).transform_with_state(Visits(2), time_mode="event", **STATE), "update"),
    "together": (lambda c, v: c.select("user").union(v.select("user")), "append"),
}  # fmt: skip


def sources(name, folder):
    """Return two frames: files that Spark reads itself, or memory that becomes a folder of JSON."""
    frames = []
    given: list[tuple[dict[str, str], list[Any]]] = [(CLICKS, ROWS), (VISITS, SEEN)]
    for n, (schema, rows) in enumerate(given):
        records = [dict(zip(schema, row, strict=True)) for row in rows]
        (folder / str(n)).mkdir(parents=True)
        (folder / str(n) / "a.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
        memory = sn.MemorySource(schema)
        memory.add(records)
        frames.append(sn.from_files(f"{folder}/{n}/*.jsonl", schema) if name == "updates" else sn.stream(memory))
    return frames


def written(name, folder):
    """Return the script of a query, and what the query gives here."""
    make, mode = QUERIES[name]
    frame = make(*sources(name, folder / "in"))
    alone = sum(1 for node in frame.node.walk() if node.verb == "read") == 1
    source = frame.to_pyspark_source(
        mode, trigger="available_now", name=name, input=f"{folder}/in{'/0' if alone else ''}",
        output=f"{folder}/out", checkpoint=f"{folder}/checkpoint",
    )  # fmt: skip
    return source, frame.query(mode).run().result


SMALL = {
    "spark.sql.shuffle.partitions": "1", "spark.default.parallelism": "1", "spark.ui.enabled": "false",
    "spark.log.level": "OFF", "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1\\ -XX:+UseSerialGC",
}  # fmt: skip
"""Settings that a script leaves to who runs it."""
EVERY = """
import runpy, sys
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as pool:
    list(pool.map(lambda path: runpy.run_path(path, run_name="__main__"), sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def scripts():
    """Run all scripts by a plain python, three at a time on one Spark; nothing of streamnb is on its path."""
    if missing := lacking():
        give_up(missing)
    with tempfile.TemporaryDirectory(prefix="streamnb-scripts-", dir=MEMORY) as folder:
        found = {name: (Path(folder) / name, *written(name, Path(folder) / name)) for name in QUERIES}
        for path, source, _ in found.values():
            (path / "script.py").write_text(source)
        small = " ".join(f"--conf {name}={value}" for name, value in SMALL.items())
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
            "PYSPARK_SUBMIT_ARGS": f"--master local[2] {small} pyspark-shell", "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }  # fmt: skip
        paths = [str(path / "script.py") for path, _, _ in found.values()]
        subprocess.run([sys.executable, "-c", EVERY, *paths], check=True, env=environment, cwd=folder, timeout=500)
        yield {name: (ours, path / "out") for name, (path, _, ours) in found.items()}


@pytest.mark.parametrize("name", QUERIES)
def test_a_printed_script_gives_what_the_query_gives(name, scripts):
    ours, out = scripts[name]
    parts = [pd.read_parquet(path) for path in sorted(out.rglob("*.parquet"))]
    theirs = pd.concat(parts, ignore_index=True)
    assert plain(theirs) == plain(ours), theirs.to_string()
    assert list(theirs.columns) == list(ours.columns)


def plain(rows):
    rows = rows.apply(lambda column: column.dt.tz_localize(None) if hasattr(column, "dt") else column)
    return sorted(tuple("" if pd.isna(v) else str(v).removesuffix(".0") for v in row) for row in rows.to_numpy())


@pytest.mark.parametrize("name", QUERIES)
def test_a_printed_script_is_formatted_as_ruff_formats(name, tmp_path):
    source, _ = written(name, tmp_path)
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    done = subprocess.run([ruff, "format", "--isolated", "-"], input=source, capture_output=True, text=True, check=True)
    assert done.stdout == source
    assert "streamnb" not in source.split("\n", 1)[1]


def test_what_cannot_stand_in_a_script_is_refused_by_name():
    clicks = sn.stream(sn.MemorySource(CLICKS))
    with pytest.raises(sn.PlanError, match="whose source cannot stand in a script"):
        clicks.map_batches(lambda rows: rows, CLICKS).to_pyspark_source()
    with pytest.raises(sn.PlanError, match="a table of 201 rows is too long"):
        clicks.join(pd.DataFrame({"n": range(201)}), on="n").to_pyspark_source()
    with pytest.raises(sn.PlanError, match="tells times in America/New_York, UTC"):
        sn.stream(sn.MemorySource(CLICKS | {"there": "datetime[America/New_York]"})).to_pyspark_source()
    with pytest.raises(sn.PlanError, match="declare with_watermark"):
        clicks.group_by("user").agg(n=sn.count()).to_pyspark_source()


class Kept(sn.StatefulProcessor):
    def __init__(self, given):
        self.kept = given

    def handle_input_rows(self, key, rows, timer_values):
        return None


class Worded(Kept):
    def init(self, handle):
        handle.get_value_state("n", {"n": "int64"})


class State(Kept):
    pass


def of_ours(rows):
    return rows.assign(n=sn.window_time())


def of_the_notebook(rows):
    return rows.assign(n=CITIES["city"])


def processed(processor):
    clicks = sn.stream(sn.MemorySource(CLICKS))
    return clicks.group_by("user").transform_with_state(processor, "user string, n bigint")


REFUSED: dict[str, Callable[[Any], Any]] = {
    "holds 'kept', which its class does not take again": lambda _: processed(Kept(1)),
    "PySpark reads it as text; write 'n bigint'": lambda _: processed(Worded(1)),
    "of_ours uses 'sn' of your notebook": lambda c: c.map_batches(of_ours, CLICKS),
    "of_the_notebook uses 'CITIES'": lambda c: c.map_batches(of_the_notebook, CLICKS),
    "PySpark hands the times of 'at' to functions without their zone": (
        lambda _: sn.stream(sn.MemorySource(CLICKS | {"at": "datetime[UTC]"})).map_batches(doubled, {"n": "int64"})
    ),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_function_that_cannot_stand_alone_is_refused_by_name(why):
    with pytest.raises(sn.PlanError) as error:
        REFUSED[why](sn.stream(sn.MemorySource(CLICKS))).to_pyspark_source("update")
    assert why in str(error.value)
    assert error.value.code == "SPARK_UNSUPPORTED"


def alarmed(rows, batch_id):
    for user in rows["user"]:
        print(stepped(batch_id), user)  # noqa: T201  what a function of a sink may do


def test_functions_stand_with_all_that_they_name_once_and_without_our_types():
    clicks = sn.stream(sn.MemorySource(CLICKS))
    twice = known(clicks).apply_in_pandas_with_state(
        counted, state_schema="n bigint", output_mode="update", timeout="event", **STATE
    )
    source = twice.to_pyspark_source("update", sink=alarmed)
    top = "import datetime as dt\nfrom collections.abc import Iterable\nfrom typing import Any\n\nimport numpy as np\n"
    assert top in source
    assert source.count("STEP = 10\n") == source.count("def stepped(n: int) -> int:\n") == 1
    assert "def counted(key: tuple[str], rows: pd.DataFrame, state):\n" in source
    assert ".foreachBatch(alarmed_of_batch)\n" in source


@pytest.mark.parametrize(
    ("sink", "line"),
    [
        (sn.sinks.Files("out", "csv"), 'format("csv")\n    .option("path", "out")\n    .option("header", True)'),
        (sn.sinks.Delta("s3://lake/t"), 'format("delta")\n    .option("path", "s3://lake/t")'),
        (sn.sinks.Console(), 'format("console")\n    .option("numRows", 20)'),
    ],
)
def test_a_sink_is_written_in_spark_s_words(sink, line):
    assert line in sn.stream(sn.MemorySource(CLICKS)).to_pyspark_source(sink=sink)


def test_a_topic_stands_in_a_script_as_spark_reads_and_writes_it():
    values = {"user": "string", "n": "int64"}
    topic = sn.from_kafka("clicks", "a:1,b:2", values, metadata={"timestamp": "at", "key": "id"}, rows_per_batch=500)
    counts = topic.with_watermark("at", "1 minute").group_by(sn.window("at", "1 hour"), "user").agg(n=sn.sum("n"))
    source = counts.to_pyspark_source(sink=sn.sinks.Kafka("hourly", "a:1", key="user"), trigger="10 seconds")
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    for arguments in (["format", "--check"], ["check"]):
        subprocess.run([ruff, *arguments, "--isolated", "-"], input=source, text=True, check=True)
    for line in (
        '.option("kafka.bootstrap.servers", "a:1,b:2")', '.option("subscribe", "clicks")',
        '.option("startingOffsets", "earliest")', '.option("maxOffsetsPerTrigger", 500)',
        'F.col("key").cast("string").alias("id")', 'F.col("timestamp").alias("at")', '.select("row.*", "at", "id")',
        'F.col("user").cast("string").alias("key")', 'F.col("window_start").cast("string").alias("window_start")',
        '.option("topic", "hourly")', '.trigger(processingTime="10 seconds")',
    ):  # fmt: skip
        assert line in source
