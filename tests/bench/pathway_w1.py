"""W1 in Pathway: run as a script, in an environment that has it; prints seconds."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import pathway as pw
import polars as pl

TEN_SECONDS = 10_000_000


class Event(pw.Schema):  # type: ignore[misc]  # pathway is not there
    """The columns of the files; event time in microseconds, which is quicker than its datetimes."""

    at: int
    key: int
    value: float


def main() -> None:
    """Count and sum by window and key, with windows closed 10 s behind the newest row. Its own CSV reader reads."""
    folder, files = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as made:
        for path in sorted(folder.glob("*.parquet"))[:files]:
            pl.read_parquet(path).with_columns(pl.col("at").to_physical()).write_csv(f"{made}/{path.stem}.csv")
        started = time.perf_counter()
        rows = pw.io.csv.read(made, schema=Event, mode="static")
        kept = rows.filter(rows.value >= 0.05)
        cutoff = pw.temporal.common_behavior(cutoff=TEN_SECONDS, keep_results=False)
        window = pw.temporal.tumbling(duration=TEN_SECONDS)
        groups = kept.windowby(kept.at, window=window, behavior=cutoff, instance=kept.key)
        out = groups.reduce(pw.this._pw_instance, pw.this._pw_window_start, n=pw.reducers.count(),
                            total=pw.reducers.sum(pw.this.value))  # fmt: skip
        pw.io.null.write(out)
        pw.run(monitoring_level=pw.MonitoringLevel.NONE)
        print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
