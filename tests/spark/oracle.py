"""Spark itself, asked what it does with a case: memory streams, a manual clock, one session for all."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamnb as sn
from streamnb.spark.session import PROVIDER, ROCKS
from streamnb.spark.stage import SETTINGS, MemoryStream, Run, Stage, settings
from tests.spark.frames import Raw
from tests.spark.moved import Moved

Way = type[Raw] | type[Moved]
Step = dict[str, Any]
_OPERATORS = {"stateStoreSave": "aggregate", "sessionWindowStateStoreSaveExec": "session_aggregate"}
_CONF = {
    "no_data_micro_batches": SETTINGS["no_data_batches"],
    "multiple_watermark_policy": SETTINGS["watermark_policy"],
    "allow_multiple_stateful": SETTINGS["multiple_stateful"],
    "session_timezone": "spark.sql.session.timeZone",
    "state_provider": PROVIDER,
}
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108  checkpoints are many small files
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.default.parallelism": "1",
    "spark.log.level": "OFF",
    "spark.python.authenticate.socketTimeout": "120s",  # for a machine with more to do
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.codegen.wholeStage": "false",  # small batches: compiling them costs more than running them
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.streaming.numRecentProgressUpdates": "5000",
    "spark.sql.streaming.noDataProgressEventInterval": "1000000000",
    "spark.sql.streaming.stateStore.maintenanceInterval": "3600s",
}


def start_spark(folder: Path) -> Any:
    """Return a local session that leaves its files in ``folder``."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # a machine's own name need not lead anywhere
    os.environ["PYSPARK_PYTHON"] = sys.executable  # Spark reads it here; else it takes the first python3 of PATH
    builder = SparkSession.builder.master("local[2]").appName("streamnb's oracle")
    for name, value in _SETTINGS.items():
        builder = builder.config(name, value)
    builder = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    builder = builder.config("spark.local.dir", str(folder / "local"))
    builder = builder.config("spark.executorEnv.PYTHONPATH", str(Path(__file__).parents[2]))
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


class Oracle:
    """Runs cases on one Spark session."""

    def __init__(self, spark: Any) -> None:
        self.spark, self.stage = spark, Stage(spark)

    def run(self, case: Mapping[str, Any], way: Way = Moved) -> list[Step]:
        """Return, for every step of a case, the batches that Spark ran; ``{"error": …}`` at a step that it refused.

        ``way`` says how the query gets there: through our own ``to_pyspark``, or by ``Raw``, which knows nothing of it.
        """
        folder = tempfile.mkdtemp(prefix="streamnb-oracle-", dir=MEMORY)
        try:
            as_it_is = {name: self.spark.conf.get(name) for name in _CONF.values()}
            with settings(self.spark, as_it_is | _spark_conf(case)):
                return _Play(self, case, folder, way).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def static(self, schema: Sequence[Sequence[str]], rows: Sequence[Sequence[Any]]) -> Any:
        from pyspark.sql import functions as sql

        texts = [(name, "string" if kind == "timestamp" else kind) for name, kind in schema]
        raw = self.spark.createDataFrame([tuple(row) for row in rows], _ddl(texts))
        return raw.select(*(sql.col(name).cast(kind).alias(name) for name, kind in schema))


def _spark_conf(case: Mapping[str, Any]) -> dict[str, str]:
    conf = dict(case.get("conf", {}))
    if "transform_with_state" in json.dumps(case.get("query", {})):
        conf["state_provider"] = ROCKS
    if case.get("trigger", {}).get("kind") == "processing_time":
        conf["no_data_micro_batches"] = False  # Spark would run them without end while its clock stands still
    return {_CONF[name]: _text(conf[name]) for name in _CONF if name in conf}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _commits(folder: str) -> list[Path]:
    """Return the entries of the commit log, oldest first."""
    return sorted((p for p in Path(folder, "commits").iterdir() if p.name.isdigit()), key=lambda p: int(p.name))


def _ddl(schema: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in schema)


class AvailableNow(Run):
    """A query that ends when it has read what was there."""

    @property
    def trigger(self) -> Any:
        return self.stage.jvm.org.apache.spark.sql.streaming.Trigger.AvailableNow()

    def finish(self) -> None:
        self._wrapper.awaitTermination()


class Once(AvailableNow):
    """A query that ends after one batch."""

    @property
    def trigger(self) -> Any:
        return self.stage.jvm.org.apache.spark.sql.streaming.Trigger.Once()


BOUNDED: dict[str, type[Run]] = {"available_now": AvailableNow, "once": Once}


class _Play:
    """One case on one checkpoint folder."""

    def __init__(self, oracle: Oracle, case: Mapping[str, Any], folder: str, way: Way) -> None:
        self.oracle, self.case, self.folder = oracle, case, folder
        self.streams: dict[str, MemoryStream] = {}
        self.inputs: dict[str, Any] = {}
        for name, source in case["sources"].items():
            if source.get("kind", "stream") == "stream":
                self.streams[name] = oracle.stage.stream(_ddl(source["schema"]))
                self.inputs[name] = self.streams[name].rows
            else:
                self.inputs[name] = oracle.static(source["schema"], source["rows"])
        self.on_stage: Run | None = None
        self.trigger = case.get("trigger", {"kind": "default"})["kind"]
        self.now = case.get("clock_start_ms", 0)
        self.way = way(oracle.spark, case, self.inputs)

    def run(self) -> list[Step]:
        from pyspark.errors import PySparkException

        done: list[Step] = []
        try:
            self._open(self.case["query"])
            for step in self.case["steps"]:
                done.append({"batches": self._step(step)})  # noqa: PERF401  what ran before an error counts
        except (PySparkException, sn.StreamnbError) as error:
            done.append({"error": str(error)})
        finally:
            self._close()
        return done

    def _open(self, tree: Mapping[str, Any], sink: Any = None) -> None:
        self.tree, self.df = tree, self.way.frame(tree)
        if self.trigger not in BOUNDED:
            self.on_stage = self.oracle.stage.run(self.df, self.case["output_mode"], self.folder, sink)

    def _close(self) -> None:
        if self.on_stage is not None:
            self.on_stage.stop()

    def _step(self, step: Mapping[str, Any]) -> list[Step]:
        if "restart" in step:
            self._restart(step["restart"] if isinstance(step["restart"], dict) else {})
            return self._new_batches()
        given = {self.streams[name]: self._lines(name, rows) for name, rows in step.get("add", {}).items()}
        if self.trigger in BOUNDED:
            return self._run_to_the_end(given, waits=step.get("process") is False)
        if self.trigger == "processing_time":  # a batch without rows is given as one with none
            self.now += step["advance_ms"]
            self._run.give(given or {stream: [] for stream in self.streams.values()}, at_ms=self.now)
        else:
            self._run.give(given)
        return self._new_batches()

    def _run_to_the_end(self, given: Mapping[MemoryStream, Sequence[str]], *, waits: bool) -> list[Step]:
        """Give rows while no query runs, then let one run until it ends by itself."""
        for stream, lines in given.items():
            stream.source.addData(self.oracle.stage.jvm.org.apache.spark.api.python.PythonUtils.toSeq(list(lines)))
        if waits:
            return []
        sink = None if self.on_stage is None else self.on_stage.sink
        kind = BOUNDED[self.trigger]
        self.on_stage = kind(self.oracle.stage, self.df, self.case["output_mode"], self.folder, sink)
        return self._new_batches()

    @property
    def _run(self) -> Run:
        assert self.on_stage is not None
        return self.on_stage

    def _lines(self, name: str, rows: Sequence[Any]) -> list[str]:
        columns = [column for column, _ in self.case["sources"][name]["schema"]]
        return [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]

    def _restart(self, how: Mapping[str, Any]) -> None:
        self._close()
        lost = how.get("lost_commits", 0)
        for path in _commits(self.folder)[-lost:] if lost else ():
            path.unlink()
            path.with_name(f".{path.name}.crc").unlink(missing_ok=True)
        for name, value in _spark_conf(how).items():
            self.oracle.spark.conf.set(name, value)
        self._open(how.get("query", self.tree), None if lost or "query" in how else self._run.sink)

    def _new_batches(self) -> list[Step]:
        rows = self._rows()
        return [_batch(p, rows.get(p["batchId"])) for p in self._run.new_batches()]

    def _rows(self) -> dict[int, list[list[Any]]]:
        """Return what the sink holds, by batch; in complete mode that is the last batch only."""
        types = [f.dataType for f in self.df.schema.fields]
        held = self._run.given_out().items()
        return {n: [self.way.cells([cell(r.get(i), t) for i, t in enumerate(types)]) for r in rows] for n, rows in held}


def _batch(progress: Mapping[str, Any], rows: list[list[Any]] | None) -> Step:
    times = {name: at.replace(".000Z", "Z") for name, at in (progress.get("eventTime") or {}).items()}
    batch = {"batch": progress["batchId"], "in": progress["numInputRows"], "rows": rows}
    if "watermark" in times:
        batch["wm"] = times.pop("watermark")
    return batch | {"event_time": times, "ops": [_operator(o) for o in progress["stateOperators"]]}


def _operator(progress: Mapping[str, Any]) -> Step:
    name = progress["operatorName"]
    dropped = progress["numRowsDroppedByWatermark"]
    return {"op": _OPERATORS.get(name, name), "total": progress["numRowsTotal"], "dropped": dropped}


def cell(value: Any, kind: Any) -> Any:
    """Return a cell of a JVM row as JSON has it; the JVM's time zone is UTC."""
    from pyspark.sql.types import ArrayType, StructType, TimestampType

    if value is None:
        return None
    if isinstance(kind, TimestampType):
        text = re.sub(r"\.?0*$", "", value.toString()) if "." in value.toString() else value.toString()
        return text.replace(" ", "T") + "Z"
    if isinstance(kind, StructType):
        return {f.name: cell(value.get(i), f.dataType) for i, f in enumerate(kind.fields)}
    if isinstance(kind, ArrayType):
        return [cell(value.apply(i), kind.elementType) for i in range(value.size())]
    return value
