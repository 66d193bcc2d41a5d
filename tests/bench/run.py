"""make bench: how fast a batch is, as ratios measured side by side in one run.

Prints a table and writes ``bench.json`` beside itself. Figures compare within a run, not with another run.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

import streamnb as sn

ROWS, BATCH, SMALL, REPEATS = 2_000_000, 100_000, 10, 5


@dataclass(frozen=True)
class Figure:
    """A measured figure: the median over the repeats, with the least and the most."""

    name: str
    unit: str
    median: float
    least: float
    most: float


def events(rows: int, keys: int = 100, seed: int = 1) -> pl.DataFrame:
    """Return rows of event time (slightly out of order), key and value: 2,500 rows a second of event time."""
    rng = np.random.default_rng(seed)
    ordered = np.arange(rows) * 400 + 10**12
    at = ordered - rng.integers(0, 3_000_000, rows)
    return pl.DataFrame(
        {"at": pl.Series(at).cast(pl.Datetime("us")), "key": rng.integers(0, keys, rows), "value": rng.random(rows)}
    )


def windowed(frame: sn.StreamFrame) -> sn.StreamFrame:
    """Return W1: filter, 10 s windows × key, count and sum, watermark of 10 s."""
    kept = frame.filter(sn.col("value") >= 0.05).with_watermark("at", "10 seconds")
    return kept.group_by(sn.window("at", "10 seconds"), "key").agg(n=sn.count(), total=sn.sum("value"))


def in_polars(rows: pl.DataFrame) -> pl.DataFrame:
    """Do W1 on one table with Polars alone."""
    window = pl.col("at").dt.truncate("10s").alias("window_start")
    lazy = rows.lazy().filter(pl.col("value") >= 0.05).group_by(window, "key")
    return lazy.agg(n=pl.len(), total=pl.col("value").sum()).collect()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def figure(name: str, unit: str, values: list[float]) -> Figure:
    return Figure(name, unit, statistics.median(values), min(values), max(values))


def measure() -> list[Figure]:
    """Run every contender in turn, again and again, so that a busy moment hits them all."""
    rows = events(ROWS)
    few = rows[: SMALL * 1_000]
    one, floor, ours, small = [], [], [], []
    for _ in range(REPEATS):
        one.append(ROWS / seconds(lambda: in_polars(rows)) / 1e6)
        floor.append(ROWS / seconds(lambda: [in_polars(rows[i : i + BATCH]) for i in range(0, ROWS, BATCH)]) / 1e6)
        query = windowed(sn.from_pandas(rows, rows=BATCH)).query("update")
        ours.append(ROWS / seconds(query.run) / 1e6)
        query = windowed(sn.from_pandas(few, rows=SMALL)).query("update")
        small.append(seconds(query.run) / len(query.trace) * 1e3)
    return [
        figure("Polars, all rows as one batch", "M rows/s", one),
        figure("Polars, batch by batch, no state", "M rows/s", floor),
        figure("streamnb W1, update mode, batches of 100 k", "M rows/s", ours),
        figure("ratio: streamnb / Polars as one batch", "×", [a / b for a, b in zip(ours, one, strict=True)]),
        figure("ratio: streamnb / Polars batch by batch", "×", [a / b for a, b in zip(ours, floor, strict=True)]),
        figure("streamnb W3, a batch of 10 rows", "ms", small),
    ]


def main() -> None:
    """Print the table, write the JSON."""
    figures = measure()
    for f in figures:
        print(f"{f.name:46} {f.median:8.2f} {f.unit:9} ({f.least:.2f} to {f.most:.2f})")
    report = {"machine": platform.machine(), "python": platform.python_version(), "figures": [*map(asdict, figures)]}
    Path(__file__).with_name("bench.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
