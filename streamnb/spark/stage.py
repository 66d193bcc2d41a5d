"""A stage: one query on a Spark of this machine, given its batches one by one, with a clock that stands still."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from streamnb.errors import PlanError
from streamnb.spark.session import is_connect

SETTINGS = {
    "watermark_policy": "spark.sql.streaming.multipleWatermarkPolicy",
    "no_data_batches": "spark.sql.streaming.noDataMicroBatches.enabled",
    "multiple_stateful": "spark.sql.streaming.statefulOperator.allowMultiple",
}


@contextmanager
def settings(spark: Any, values: Mapping[str, Any]) -> Iterator[None]:
    """Have settings for a while; a query takes those that hold when it starts."""
    before = {name: spark.conf.get(name, None) for name in values}
    try:
        for name, value in values.items():
            spark.conf.set(name, str(value).lower() if isinstance(value, bool) else str(value))
        yield
    finally:
        for name, value in before.items():
            spark.conf.unset(name) if value is None else spark.conf.set(name, value)


class Stage:
    """Makes memory streams on a session, and runs queries over them."""

    def __init__(self, spark: Any) -> None:
        if is_connect(spark):
            raise PlanError(
                "compare: Spark Connect has no way to give a query its batches one by one at a clock of their own: "
                "Spark's memory stream and manual clock live in the driver's JVM; use a local session, "
                "SparkSession.builder.master('local[2]').getOrCreate().",
                code="OPTION_INVALID",
            )
        self.spark, self.jvm, self.session = spark, spark._jvm, spark._jsparkSession  # noqa: SLF001
        runtime = self.jvm.org.apache.spark.sql.execution.streaming.runtime
        self._memory_stream = getattr(getattr(runtime, "MemoryStream$"), "MODULE$")

    def stream(self, columns: str) -> MemoryStream:
        """Return a stream of rows, which are given as JSON; ``columns`` is a schema in Spark's words."""
        from pyspark.sql import DataFrame
        from pyspark.sql import functions as sql

        source = self._memory_stream.apply(self.session, self.jvm.org.apache.spark.sql.Encoders.STRING())
        row = sql.from_json("value", columns, {"mode": "FAILFAST"}).alias("row")
        return MemoryStream(source, DataFrame(source.toDF(), self.spark).select(row).select("row.*"))

    def run(self, rows: Any, output_mode: str, checkpoint: str, sink: Any = None) -> Run:
        """Start a query; ``sink`` is one that an earlier run has left."""
        return Run(self, rows, output_mode, checkpoint, sink)

    @cached_property
    def none(self) -> Any:
        """Scala's None."""
        return getattr(getattr(self.jvm.scala, "None$"), "MODULE$")

    @cached_property
    def no_options(self) -> Any:
        """Scala's empty Map."""
        return getattr(getattr(self.jvm.scala.collection.immutable, "Map$"), "MODULE$").empty()


class MemoryStream:
    """A stream of Spark's that is fed by hand."""

    def __init__(self, source: Any, rows: Any) -> None:
        self.source, self.rows = source, rows


class Run:
    """One query at work: its memory sink keeps what every batch gave out."""

    def __init__(self, stage: Stage, rows: Any, output_mode: str, checkpoint: str, sink: Any) -> None:
        jvm = stage.jvm
        self.stage, self.rows = stage, rows
        self.sink = sink or jvm.org.apache.spark.sql.execution.streaming.sources.MemorySink()
        self.clock = jvm.org.apache.spark.util.ManualClock(0)
        mode = getattr(jvm.org.apache.spark.sql.streaming.OutputMode, output_mode.capitalize())()
        none, temporary, recover = stage.none, False, True
        self._wrapper = stage.session.streams().startQuery(
            none, none, jvm.scala.Some(checkpoint), rows._jdf, stage.no_options, self.sink, mode,  # noqa: SLF001
            temporary, recover, self.trigger, self.clock, none, none,
        )  # fmt: skip
        self.query = self._wrapper.streamingQuery()
        self._told = 0
        self.finish()

    @property
    def trigger(self) -> Any:
        """When Spark looks for rows: at once, whenever there are any."""
        return self.stage.jvm.org.apache.spark.sql.streaming.Trigger.ProcessingTime(0)

    def give(self, rows: Mapping[MemoryStream, Sequence[str]], *, at_ms: int | None = None) -> None:
        """Give streams their rows in one batch, at a moment of the clock, and wait until it is done."""
        to_seq = self.stage.jvm.org.apache.spark.api.python.PythonUtils.toSeq
        lock = self.query.awaitProgressLock()
        lock.lock()
        try:
            if at_ms is not None:
                self.clock.setTime(at_ms)
            for stream, lines in rows.items():
                stream.source.addData(to_seq(list(lines)))
        finally:
            lock.unlock()
        self.finish()

    def finish(self) -> None:
        """Wait until nothing is left to do; raise what the query failed with."""
        self._wrapper.processAllAvailable()

    def new_batches(self) -> list[dict[str, Any]]:
        """Return the progress of the batches since the last call."""
        every = self.query.recentProgress()
        fresh, self._told = every[self._told :], len(every)
        return [told for told in (json.loads(p.json()) for p in fresh) if "addBatch" in told["durationMs"]]

    def given_out(self) -> dict[int, list[Any]]:
        """Return what the sink holds, by batch, as rows of the JVM; in complete mode that is the last batch only."""
        batches = self.sink.getClass().getDeclaredField("batches")
        batches.setAccessible(True)
        held = batches.get(self.sink)
        return {batch.batchId(): list(batch.data()) for batch in (held.apply(n) for n in range(held.size()))}

    def stop(self) -> None:
        """End the query."""
        self.query.stop()
