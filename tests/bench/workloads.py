"""W1 to W4: windows against every rival, many keys, small batches, growth with the keys held."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl

import streamnb as sn
from tests.bench import rivals
from tests.bench.data import BATCH, ROWS, batches, events, folder
from tests.bench.measure import Figure, contest, figure, ratios


@dataclass(frozen=True)
class Options:
    """How long to measure: rounds, and whether Spark, Pathway and Bytewax take part."""

    rounds: int = 5
    heavy: bool = True


def windowed(frame: sn.StreamFrame) -> sn.StreamFrame:
    """Return W1: filter, 10 s windows × key, count and sum, watermark of 10 s."""
    kept = frame.filter(sn.col("value") >= rivals.LEAST).with_watermark("at", "10 seconds")
    return kept.group_by(sn.window("at", "10 seconds"), "key").agg(n=sn.count(), total=sn.sum("value"))


def in_memory(rows: pl.DataFrame, size: int = BATCH) -> sn.StreamFrame:
    """Return rows in memory as a stream."""
    return sn.from_pandas(rows, rows=size)


def w1(options: Options) -> list[Figure]:
    """Run windows of 10 s × 100 keys over 4 M rows in batches of 100 k."""
    return [*_w1_files(options), *_w1_memory(options)]


def _w1_files(options: Options) -> list[Figure]:
    paths = sorted(folder().glob("*.parquet"))
    source = f"{folder()}/*.parquet"

    def ours(mode: str) -> None:
        windowed(sn.from_files(source, files_per_batch=1)).query(mode).run()

    times = contest(
        options.rounds,
        {
            "one": lambda: rivals.polars_batch(pl.scan_parquet(source)),
            "floor": lambda: rivals.polars_files(paths),
            "update": lambda: ours("update"),
            "append": lambda: ours("append"),
        },
    )
    rate = {name: t.rate(ROWS) for name, t in times.items()}
    found = [
        figure("W1 files", "Polars, all rows as one batch", "M rows/s", rate["one"]),
        figure("W1 files", "Polars, batch by batch, no state: the floor", "M rows/s", rate["floor"]),
        figure("W1 files", "ours, update", "M rows/s", rate["update"]),
        figure("W1 files", "ours, append", "M rows/s", rate["append"]),
        figure("W1 files", "ours, update ÷ floor", "×", ratios(rate["update"], rate["floor"]), ">= 0.7"),
        figure("W1 files", "ours, append ÷ floor", "×", ratios(rate["append"], rate["floor"]), ">= 0.7"),
        figure("W1 files", "ours ÷ floor, processor time", "×", ratios(times["floor"].cpu, times["update"].cpu)),
    ]
    return [*found, *(_w1_heavy(statistics.median(rate["update"])) if options.heavy else [])]


def _w1_heavy(ours: float) -> list[Figure]:
    files = 40
    spark = rivals.Spark()
    spark.run(folder(), files)
    triggers = spark.run(folder(), files)
    spark.stop()
    rates = [BATCH / ms / 1e3 for ms in triggers]
    found = [
        figure("W1 files", "Spark local[2], by trigger", "M rows/s", rates),
        figure("W1 files", "ours ÷ Spark", "×", [ours / statistics.median(rates)], ">= 100"),
    ]
    return [*found, *_w1_elsewhere("Pathway", ours, 5, ">= 50"), *_w1_elsewhere("Bytewax", ours, 1)]


def _w1_elsewhere(rival: str, ours: float, files: int, goal: str = "") -> list[Figure]:
    seconds = rivals.elsewhere(rival.lower(), folder(), files)
    if seconds is None:
        return []
    rate = files * BATCH / seconds / 1e6
    return [
        figure("W1 files", rival, "M rows/s", [rate]),
        figure("W1 files", f"ours ÷ {rival}", "×", [ours / rate], goal),
    ]


def _w1_memory(options: Options) -> list[Figure]:
    rows = events(ROWS)
    parts = batches(rows)
    few = [part.to_pandas() for part in parts[:10]]
    times = contest(
        options.rounds,
        {
            "floor": lambda: [rivals.polars_batch(part.lazy()) for part in parts],
            "ours": lambda: windowed(in_memory(rows)).query("update").run(),
            "streamz": lambda: rivals.streamz_dataframe(few),
        },
    )
    floor, ours = times["floor"].rate(ROWS), times["ours"].rate(ROWS)
    streamz = times["streamz"].rate(len(few) * BATCH)
    return [
        figure("W1 memory", "Polars, batch by batch, no state: the floor", "M rows/s", floor),
        figure("W1 memory", "ours, update", "M rows/s", ours),
        figure("W1 memory", "streamz.dataframe", "M rows/s", streamz),
        figure("W1 memory", "ours ÷ floor", "×", ratios(ours, floor), ">= 0.7"),
        figure("W1 memory", "ours ÷ floor, processor time", "×", ratios(times["floor"].cpu, times["ours"].cpu)),
        figure("W1 memory", "ours ÷ streamz.dataframe", "×", ratios(ours, streamz), ">= 2.5"),
    ]


def w2(options: Options) -> list[Figure]:
    """Run the same with 100 k distinct keys."""
    rows = events(ROWS // 4, keys=100_000)
    parts = batches(rows)
    times = contest(
        options.rounds,
        {
            "floor": lambda: [rivals.polars_batch(part.lazy()) for part in parts],
            "ours": lambda: windowed(in_memory(rows)).query("update").run(),
        },
    )
    floor, ours = times["floor"].rate(len(rows)), times["ours"].rate(len(rows))
    return [
        figure("W2", "Polars, batch by batch, no state: the floor", "M rows/s", floor),
        figure("W2", "ours, update", "M rows/s", ours),
        figure("W2", "ours ÷ floor", "×", ratios(ours, floor), ">= 0.25"),
    ]


def w3(options: Options) -> list[Figure]:
    """Run W1 on batches of 10 rows: what a batch costs by itself."""
    count = 500
    rows = events(10 * count)
    times = contest(options.rounds, {"ours": lambda: windowed(in_memory(rows, 10)).query("update").run()})
    found = [figure("W3", "ours, a batch of 10 rows", "ms", times["ours"].per(count), "<= 1.5")]
    found.append(figure("W3", "the same, processor time", "ms", [cpu / count * 1e3 for cpu in times["ours"].cpu]))
    if options.heavy:
        found += _w3_spark(statistics.median(times["ours"].per(count)))
    return found


def _w3_spark(ours: float) -> list[Figure]:
    spark = rivals.Spark()
    triggers = spark.run(folder(rows=30 * 10, size=10), 30)
    spark.stop()
    return [
        figure("W3", "Spark local[2], a batch of 10 rows", "ms", triggers),
        figure("W3", "Spark ÷ ours", "×", [statistics.median(triggers) / ours], ">= 200"),
    ]


KEYS = (10_000, 100_000, 1_000_000)


def w4(options: Options) -> list[Figure]:
    """Run a global aggregation with more and more keys held; batches of 10 k rows, each with a key of its own."""
    held = {keys: _Held(keys) for keys in KEYS}
    count = 10
    times = contest(options.rounds, {str(keys): partial(q.steps, count) for keys, q in held.items()})
    found = [figure("W4", f"{keys:,} keys, a batch", "ms", times[str(keys)].per(count)) for keys in KEYS]
    growth = ratios(times[str(KEYS[-1])].wall, times[str(KEYS[0])].wall)
    found.append(figure("W4", "1 M keys ÷ 10 k keys", "×", growth, "<= 1.3"))
    growth = ratios(times[str(KEYS[-1])].cpu, times[str(KEYS[0])].cpu)
    found.append(figure("W4", "1 M keys ÷ 10 k keys, processor time", "×", growth))
    found.append(figure("W4", "bytes of state a key, two aggregates", "", [held[KEYS[-1]].bytes_per_key], "<= 200"))
    return found


class _Held:
    """A query with so many keys in state, and batches that meet them in another order."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self.source = sn.MemorySource({"key": "int64", "value": "float64"})
        frame = sn.stream(self.source).group_by("key").agg(n=sn.count(), total=sn.sum("value"))
        self.query = frame.query("update")
        self.rng = np.random.default_rng(keys)
        self.order = self.rng.permutation(keys)
        self.at = 0
        self._add(self.order)
        self.query.step()

    def _add(self, keys: np.typing.NDArray[np.int64]) -> None:
        self.source.add(pl.DataFrame({"key": keys, "value": self.rng.random(len(keys))}))

    def steps(self, count: int) -> None:
        for _ in range(count):
            self._add(np.take(self.order, range(self.at, self.at + 10_000), mode="wrap"))
            self.at = (self.at + 10_000) % self.keys
            self.query.step()

    @property
    def bytes_per_key(self) -> float:
        (operator,) = self.query.progress[-1].state_operators
        return operator.memory_used_bytes / self.keys
