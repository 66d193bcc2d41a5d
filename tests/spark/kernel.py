"""What a notebook's kernel does: a query through Spark Connect, told when to go on by its standard input."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import streamnb as sn

SCHEMA = {"at": "datetime", "user": "string", "n": "int64"}


def hourly(folder: Path) -> sn.StreamFrame:
    """Return the query that runs here and there, a file a batch."""
    clicks = sn.from_files(f"{folder}/*.jsonl", SCHEMA, files_per_batch=1)
    timed = clicks.with_watermark("at", "10 seconds")
    return timed.group_by(sn.window("at", "1 minute"), "user").agg(n=sn.count(), total=sn.sum("n"))


def children() -> list[str]:
    """Return the programs that this process has started."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = {pid for path in found for pid in path.read_text().split()}
    return [Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids]


def say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main(address: str, folder: Path) -> None:
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.remote(address).getOrCreate()
    out = {"path": str(folder / "out")}
    query = hourly(folder / "in").start_on(spark, sink="parquet", options=out, checkpoint=folder / "checkpoint")
    for number, _ in enumerate(sys.stdin):
        query.processAllAvailable()
        progress = query.lastProgress
        say(turn=number, batches=progress["batchId"] + 1, watermark=progress["eventTime"]["watermark"])
    say(programs=children(), failed=str(query.exception() or ""), compared=compared(spark, folder))
    query.stop()


def compared(spark: Any, folder: Path) -> str:
    """Return what ``sn.compare`` says about a client of Spark Connect."""
    try:
        return repr(sn.compare(hourly(folder / "in").query().run(), spark))
    except sn.PlanError as error:
        return str(error)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
