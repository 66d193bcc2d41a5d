"""The other contenders, each doing W1 its own way: Polars, streamz.dataframe, Spark, Pathway, Bytewax."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

LEAST = 0.05
_OTHER_PYTHON = Path(os.environ.get("RIVALS_PYTHON", sys.executable))


def polars_batch(rows: pl.LazyFrame) -> pl.DataFrame:
    """Do W1 on one table with Polars alone: no event time, no state."""
    window = pl.col("at").dt.truncate("10s").alias("window_start")
    kept = rows.filter(pl.col("value") >= LEAST).group_by(window, "key")
    return kept.agg(n=pl.len(), total=pl.col("value").sum()).collect()


def polars_files(paths: Iterable[Path]) -> list[pl.DataFrame]:
    """Do W1 file by file."""
    return [polars_batch(pl.scan_parquet(path)) for path in sorted(paths)]


def streamz_dataframe(frames: Iterable[pd.DataFrame]) -> Any:
    """Do W1 with streamz.dataframe: running sums by window and key, without event time, kept for ever."""
    from streamz.dataframe import DataFrame

    frames = list(frames)
    source = DataFrame(example=_windowed(frames[0][:5]))
    kept = source[source.value >= LEAST]
    groups = kept.groupby(["window_start", "key"])
    total, count = groups.value.sum().stream.sink_to_list(), groups.value.count().stream.sink_to_list()
    for frame in frames:
        source.emit(_windowed(frame))
    return total[-1], count[-1]


def _windowed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(window_start=frame["at"].dt.floor("10s"))


class Spark:
    """Spark in local[2]: availableNow, one file a trigger, update mode, two shuffle partitions."""

    def __init__(self) -> None:
        from pyspark.sql import SparkSession

        os.environ["PYSPARK_PYTHON"] = sys.executable
        builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "2")
        builder = builder.config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
        self.session = builder.getOrCreate()
        self.session.sparkContext.setLogLevel("ERROR")

    def run(self, folder: Path, files: int) -> list[float]:
        """Run W1 over a folder; return the milliseconds of every trigger."""
        from pyspark.sql import functions as sql

        with tempfile.TemporaryDirectory() as checkpoint:
            reader = self.session.readStream.schema("at TIMESTAMP_NTZ, key BIGINT, value DOUBLE")
            rows = reader.option("maxFilesPerTrigger", 1).parquet(str(folder))
            rows = rows.withColumn("at", sql.col("at").cast("timestamp")).where(sql.col("value") >= LEAST)
            groups = rows.withWatermark("at", "10 seconds").groupBy(sql.window("at", "10 seconds"), "key")
            out = groups.agg(sql.count("*").alias("n"), sql.sum("value").alias("total"))
            writer = out.writeStream.outputMode("update").format("noop").option("checkpointLocation", checkpoint)
            query = writer.trigger(availableNow=True).start()
            query.awaitTermination()
            done = [p["durationMs"]["triggerExecution"] for p in query.recentProgress if p["numInputRows"]]
        assert len(done) == min(files, 100)
        return done

    def stop(self) -> None:
        self.session.stop()


def elsewhere(rival: str, folder: Path, files: int) -> float | None:
    """Return the seconds that Pathway or Bytewax takes for W1 over some files, None where it is not installed.

    They want other versions of what we use, so they run in an environment of their own, ``RIVALS_PYTHON``.
    """
    script = Path(__file__).with_name(f"{rival}_w1.py")
    done = subprocess.run(
        [_OTHER_PYTHON, str(script), str(folder), str(files)], capture_output=True, text=True, check=False
    )
    return float(done.stdout.split()[-1]) if done.returncode == 0 else None
