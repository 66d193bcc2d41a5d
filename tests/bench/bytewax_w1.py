"""W1 in Bytewax: run as a script, in an environment that has it; prints seconds."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import bytewax.operators as op
import polars as pl
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.testing import TestingSink, TestingSource, run_main

Event = tuple[dt.datetime, int, float]
Total = tuple[int, float]
TEN_SECONDS = dt.timedelta(seconds=10)
BATCH = 1000


def events(paths: list[Path]) -> Iterator[Event]:
    """Yield the rows of some files."""
    for path in paths:
        yield from pl.read_parquet(path).iter_rows()


def added(total: Total, event: Event) -> Total:
    return total[0] + 1, total[1] + event[2]


def merged(one: Total, other: Total) -> Total:
    return one[0] + other[0], one[1] + other[1]


def main() -> None:
    """Count and sum by window and key; rows more than 10 s behind the newest of their key are late."""
    folder, files = Path(sys.argv[1]), int(sys.argv[2])
    out: list[object] = []
    started = time.perf_counter()
    flow = Dataflow("w1")
    rows = op.input("read", flow, TestingSource(events(sorted(folder.glob("*.parquet"))[:files]), BATCH))
    kept = op.filter("filter", rows, lambda event: event[2] >= 0.05)
    keyed = op.key_on("key", kept, lambda event: str(event[1]))
    clock = EventClock(lambda event: event[0].replace(tzinfo=dt.UTC), wait_for_system_duration=TEN_SECONDS)
    windows = TumblingWindower(TEN_SECONDS, dt.datetime(1970, 1, 1, tzinfo=dt.UTC))
    folded = fold_window("fold", keyed, clock, windows, lambda: (0, 0.0), added, merged)
    op.output("write", folded.down, TestingSink(out))
    run_main(flow)
    seconds = time.perf_counter() - started
    assert out
    print(seconds)


if __name__ == "__main__":
    main()
