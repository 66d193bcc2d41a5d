"""W5 to W10: other operators, delivery, the dashboard, plain objects."""

from __future__ import annotations

import datetime as dt
import gc
import operator
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
from streamz import Stream

import streamnb as sn
from streamnb.connect import Unit
from streamnb.views.dashboard import Dashboard
from streamnb.views.plane_panel import PlanePanel
from tests.bench.data import BATCH, PER_SECOND, ROWS, batches, events, folder
from tests.bench.measure import Figure, contest, figure, ratios
from tests.bench.workloads import Options, in_memory, windowed


def _steady(options: Options, workload: str, what: str, make: Callable[[], sn.Query], goal: str) -> list[Figure]:
    """Measure batches once the state is full; and the last third of them against the first."""
    found: dict[str, list[tuple[float, float]]] = {"wall": [], "processor": []}
    for _ in range(max(2, options.rounds // 2)):
        steps = _stepped(make())
        for number, clock in enumerate(found):
            found[clock].append(_rate_and_growth([(rows, spent[number]) for rows, *spent in steps]))
    (rates, growth), (cpu_rates, cpu_growth) = (tuple(zip(*pairs, strict=True)) for pairs in found.values())
    return [
        figure(workload, f"ours, {what}", "M rows/s", rates, goal),
        figure(workload, f"ours, {what}, a second of processor time", "M rows", cpu_rates),
        figure(workload, "time of the last batches ÷ of the first", "×", growth, "<= 1.3"),
        figure(workload, "the same, processor time", "×", cpu_growth),
    ]


def _stepped(query: sn.Query) -> list[tuple[int, float, float]]:
    """Run a query; return rows, seconds and seconds of the processor of every batch with rows."""
    found: list[tuple[int, float, float]] = []
    while True:
        clock, used = time.perf_counter(), time.process_time()
        progress = query.step()
        if progress is None:
            return found
        if progress.num_input_rows:
            found.append((progress.num_input_rows, time.perf_counter() - clock, time.process_time() - used))


def _rate_and_growth(batches: list[tuple[int, float]]) -> tuple[float, float]:
    rates = [rows / spent / 1e6 for rows, spent in batches]
    steady = rates[len(rates) // 3 :]
    third = len(steady) // 3
    return statistics.median(steady), statistics.median(steady[:third]) / statistics.median(steady[-third:])


def w5(options: Options) -> list[Figure]:
    """Drop duplicates within the watermark, 1 M ids live, and 100 k; every tenth row is a duplicate."""
    count = 2_500_000
    rows = events(count).with_columns(id=pl.int_range(count, eager=True))
    rows = rows.with_columns(id=pl.when(pl.col("id") % 10 == 9).then(pl.col("id") - 5).otherwise(pl.col("id")))

    def batch(live: int) -> tuple[float, float]:
        """Return the seconds of a batch, by both clocks, once as many ids end as come: each lives two delays."""
        seconds = int(live / 0.9) // PER_SECOND // 2
        marked = in_memory(rows).with_watermark("at", f"{seconds} seconds")
        steps = _stepped(marked.drop_duplicates_within_watermark("id").query("append"))
        steady = steps[len(steps) // 2 : -1]
        return statistics.median(wall for _, wall, _ in steady), statistics.median(cpu for *_, cpu in steady)

    pairs = [(batch(100_000), batch(1_000_000)) for _ in range(max(2, options.rounds // 2))]
    many = [one for _, one in pairs]
    growth = [(more[0] / few[0], more[1] / few[1]) for few, more in pairs]
    return [
        figure("W5", "ours, dedup, 1 M ids live", "M rows/s", [BATCH / wall / 1e6 for wall, _ in many], ">= 1.0"),
        figure("W5", "the same, a second of processor time", "M rows", [BATCH / cpu / 1e6 for _, cpu in many]),
        figure("W5", "1 M ids live ÷ 100 k, a batch", "×", [wall for wall, _ in growth], "<= 1.3"),
        figure("W5", "the same, processor time", "×", [cpu for _, cpu in growth]),
    ]


def w6(options: Options) -> list[Figure]:
    """Join two streams within 30 s by 50 k keys: with the watermark's delay, 100 k rows a side are live."""
    rows = events(800_000, keys=50_000)
    other = events(800_000, keys=50_000, seed=2).rename({"at": "at2", "value": "value2"})

    def query() -> sn.Query:
        left = in_memory(rows, BATCH // 2).with_watermark("at", "5 seconds")
        right = in_memory(other, BATCH // 2).with_watermark("at2", "5 seconds")
        within = sn.between("at2", after="0s", before="30 seconds", of="at")
        return left.join(right, on="key", within=within).query("append")

    return _steady(options, "W6", "interval join, 100 k rows a side live", query, ">= 0.3")


def w7(options: Options) -> list[Figure]:
    """Sessions of 100 k users, with a gap of 30 s."""
    rows = events(1_500_000, keys=100_000)

    def query() -> sn.Query:
        marked = in_memory(rows).with_watermark("at", "10 seconds")
        groups = marked.group_by(sn.session_window("at", "30 seconds"), "key")
        return groups.agg(n=sn.count(), total=sn.sum("value")).query("append")

    found = _steady(options, "W7", "sessions, 100 k users", query, ">= 0.5")
    return [*found, *_processor(options)]


class Counter(sn.StatefulProcessor):
    """Counts the rows of every key."""

    def init(self, handle: Any) -> None:
        self.count = handle.get_value_state("count", "n bigint")

    def handle_input_rows(self, key: Any, rows: Any, timer_values: Any) -> Any:
        n = (self.count.get() or (0,))[0] + sum(map(len, rows))
        self.count.update((n,))
        yield self.row(key[0], n)

    def row(self, key: int, n: int) -> Any:
        return pd.DataFrame({"key": [key], "n": [n]})


class InDicts(Counter):
    """Gives out the same rows as dicts."""

    def row(self, key: int, n: int) -> Any:
        return {"key": key, "n": n}


def _processor(options: Options) -> list[Figure]:
    rows = events(40_000, keys=2_000)

    def run(processor: sn.StatefulProcessor) -> None:
        groups = in_memory(rows, 10_000).group_by("key")
        groups.transform_with_state(processor, "key bigint, n bigint").query("update").run()

    times = contest(
        options.rounds,
        {
            "frames": lambda: run(Counter()),
            "dicts": lambda: run(InDicts()),
            "alone": lambda: [pd.DataFrame({"key": [n], "n": [n]}) for n in range(8_000)],
        },
    )
    what = "transform_with_state, 10 k rows of 2 k keys"
    return [
        figure("W7", f"{what}, a data frame out of each", "ms", times["frames"].per(4)),
        figure("W7", f"{what}, a dict out of each", "ms", times["dicts"].per(4)),
        figure("W7", "making these 2 k data frames, by itself", "ms", times["alone"].per(4)),
    ]


def w8(options: Options) -> list[Figure]:
    """Run W1 with a checkpoint on disk and the SQLite sink, against W1 alone: from files, and from memory.

    Disk and table are there before the clock starts, and closed behind it: what counts are the batches.
    """
    rows, paths = events(ROWS), f"{folder()}/*.parquet"
    makes = {
        "files": lambda: windowed(sn.from_files(paths, files_per_batch=1)),
        "memory": lambda: windowed(in_memory(rows)),
    }
    found = []
    for name, make in makes.items():
        rounds = [(_seconds(make), _durable_seconds(make)) for _ in range(options.rounds + 1)][1:]
        times = [durable / plain for plain, durable in rounds]
        rates = [ROWS / durable / 1e6 for _, durable in rounds]
        found.append(figure("W8", f"ours, checkpoint and SQLite, from {name}", "M rows/s", rates))
        found.append(figure("W8", f"time ÷ that of W1, from {name}", "×", times, "<= 1.3"))
    return found


def _durable_seconds(make: Callable[[], sn.StreamFrame]) -> float:
    with tempfile.TemporaryDirectory() as path:
        sink = sn.sinks.SQLite(Path(path) / "out.db", "counts", key=["window_start", "key"])
        return _seconds(make, sink=sink, checkpoint=Path(path) / "checkpoint")


def _seconds(make: Callable[[], sn.StreamFrame], **options: Any) -> float:
    """Return how long a run takes of a query that is open."""
    with make().query("update", **options) as query:
        gc.collect()
        clock = time.perf_counter()
        query.run()
        return time.perf_counter() - clock


def w9(options: Options) -> list[Figure]:
    """Run W1 flat out while its dashboard's kernel side is at work: every frame is sent to a browser that answers.

    The dashboard stands before the clock starts, and is closed behind it: what counts is the run.
    """
    parts = batches(events(ROWS))
    paints: list[float] = []
    shares: list[float] = []
    lost: list[float] = []
    for number in range(options.rounds + 1):
        plain, _ = _long_run(parts)
        before = len(paints)
        watched, used = _long_run(parts, paints)
        if number:
            lost.append(100 * (1 - plain / watched))
            shares.append(0.1 * sum(paints[before:]) / used)
    return [
        figure("W9", "rows/s lost to the dashboard", "%", lost, "<= 10"),
        figure("W9", "the frames' share of the processor", "%", shares),
        figure("W9", "kernel time of a frame", "ms", paints),
    ]


class _Rounds:
    """The same batches again and again, each time later."""

    def __init__(self, parts: Sequence[pl.DataFrame], rounds: int) -> None:
        self._parts, self._rounds, self.schema = parts, rounds, parts[0].schema

    def latest(self) -> int:
        return self._rounds * len(self._parts)

    def unit(self, start: int | None) -> Unit | None:
        return Unit((start or 0) + 1) if (start or 0) < self.latest() else None

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        again, number = divmod(start or 0, len(self._parts))
        return self._parts[number].with_columns(pl.col("at") + again * dt.timedelta(seconds=ROWS / PER_SECOND))

    def commit(self, end: int) -> None:
        pass


def _long_run(parts: Sequence[pl.DataFrame], paints: list[float] | None = None) -> tuple[float, float]:
    """Return the seconds of a run, by the clock and of the processor; with a dashboard if there is where to note it."""
    query = windowed(sn.stream(_Rounds(parts, 12))).query("update")
    board = None if paints is None else Dashboard(query)
    if board is not None and paints is not None:
        _answer_at_once(board, paints)
    gc.collect()
    clock, used = time.perf_counter(), time.process_time()
    query.run()
    spent = time.perf_counter() - clock, time.process_time() - used
    if board is not None:
        board.close()
    query.stop()
    return spent


def _answer_at_once(board: Dashboard, paints: list[float]) -> None:
    """Stand in for the browser: every frame is painted the moment it is sent; note how long the drawing took."""
    panel, draw = board.panel, board._pacer._draw
    assert isinstance(panel, PlanePanel)
    live = panel.live

    def timed(since: float) -> bool:
        used = time.thread_time()
        drawn = draw(since)
        live._painted(live._number)
        if drawn:
            paints.append((time.thread_time() - used) * 1e3)
        return drawn

    board._pacer._draw = timed


def w10(options: Options) -> list[Figure]:
    """Push objects one by one through four nodes: bare streamz, our batches of one, and our batches of a hundred."""
    count, nodes = 20_000, 4
    bare, ours = Stream(), sn.batches()
    _pipeline(bare).sink(_nothing)
    end = _pipeline(ours)
    single = [[n] for n in range(count)]
    hundred = [list(range(n, n + 100)) for n in range(0, count, 100)]
    times = contest(
        options.rounds,
        {
            "bare": lambda: [bare.emit(n) for n in range(count)],
            "ones": lambda: [ours.emit(batch) for batch in single],
            "hundreds": lambda: [ours.emit(batch) for batch in hundred],
        },
    )
    assert end.time >= count
    each = {name: t.per(count * nodes, 1e6) for name, t in times.items()}
    return [
        figure("W10", "bare streamz, an element and node", "µs", each["bare"]),
        figure("W10", "ours, batches of one", "µs", each["ones"]),
        figure("W10", "ours, batches of 100", "µs", each["hundreds"]),
        figure("W10", "ours, batches of one ÷ bare", "×", ratios(each["ones"], each["bare"]), "<= 1.5"),
        figure("W10", "ours, batches of 100 ÷ bare", "×", ratios(each["hundreds"], each["bare"]), "<= 1.5"),
    ]


def _pipeline(stream: Any) -> Any:
    return stream.map(_more).filter(_any).map(_more).map(operator.neg)


def _more(n: int) -> int:
    return n + 1


def _any(n: int) -> bool:
    return n >= 0


def _nothing(_: object) -> None:
    pass
