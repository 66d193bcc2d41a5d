"""load: what a batch of a query costs by its size, and the queue that stands before it, measured live."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl

from streamnb.connect import Unit
from streamnb.errors import PlanError, one_of
from streamnb.learn.queueing import drive, emptied, latencies
from streamnb.ops.read import Read
from streamnb.query import Query
from streamnb.schema import as_rows
from streamnb.time import SECOND, Duration, duration, spell
from streamnb.views.inspectors import Exhibit
from streamnb.views.load import DSTREAM, STRUCTURED, Pace, Size, load_sheet

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame
    from streamnb.plan import Node
    from streamnb.views.shapes import Sheet

Clock = Callable[[], float]
SIZES = {1: 15, 10: 15, 100: 15, 1_000: 15, 10_000: 8, 100_000: 3}
"""Rows of a batch, and how many of that size are measured."""
HERE = "Measured here, just now."
_SECONDS, _BURST = 8.0, (1.5, 2.5)
_SHARE, _MOST = 0.2, 500_000
"""Without a rate, this share of what the machine can take comes in, but no more rows a second than that."""


class Load(Exhibit):
    """What was measured: ``curve`` by size of batch, ``batches`` behind the queue, and how rows fared.

    ``p99``: milliseconds within which 99 of 100 rows are done. ``longest``: milliseconds of the longest batch.
    ``emptied``: seconds after the burst until the queue is short again, None if it never is.
    """

    def __init__(self, shown: _Shown) -> None:
        super().__init__(shown)
        self._shown = shown

    @property
    def curve(self) -> pd.DataFrame:
        """A row a size of batch: milliseconds, at the median and for the slowest tenth, and rows a second."""
        rows = [(s.rows, 1000 * s.median, 1000 * s.slow, s.rows / s.median) for s in self._shown.sizes]
        return pd.DataFrame(rows, columns=["rows", "median_ms", "slow_ms", "rows_per_second"]).set_index("rows")

    @property
    def batches(self) -> pd.DataFrame:
        """A row a batch: start in seconds, milliseconds, rows, and rows left waiting."""
        rows = [(run.start, 1000 * run.took, run.rows, run.waiting) for run in self._shown.runs]
        return pd.DataFrame(rows, columns=["start", "ms", "rows", "waiting"])

    @property
    def p99(self) -> float:
        """Milliseconds within which 99 of 100 rows are done."""
        return 1000 * self._shown.p99

    @property
    def longest(self) -> float:
        """Milliseconds of the longest batch."""
        return 1000 * max((run.took for run in self._shown.runs), default=0.0)

    @property
    def emptied(self) -> float | None:
        """Seconds from the end of the burst until the queue is short again; None if it never is."""
        return emptied(self._shown.pace, self._shown.runs)


def load(
    what: StreamFrame | Query,
    rate: float | None = None,
    *,
    burst: float = 1.0,
    trigger: Duration = "100 ms",
    limit: int | None = None,
    model: str = STRUCTURED,
    machine: tuple[Duration, float] | None = None,
    clock: Clock = time.perf_counter,
) -> Load:
    """Measure what batches of a query cost by their size, and run a queue before it for eight seconds.

    Rows of the query's own source are given to a query of its own, again and again, in batches of 1 to 100,000. Then
    ``rate`` rows a second come, ``burst`` times as many from second 1.5 to 2.5, and wait until a batch takes them.
    Every batch really runs and takes what it takes; only the waiting between batches is not waited for.

    Parameters
    ----------
    what
        A frame (run in update mode) or a query, with one source; its rows come again, so without a watermark.
    rate
        Rows a second; if not given, a fifth of what was measured for the largest batch, at most 500,000.
    trigger, limit
        Time between two batches, and how many rows one may take at most.
    model
        What a slow batch leads to: ``"one bigger batch"`` (Structured Streaming) or ``"a queue of batches"`` (DStream).
    machine
        A machine on paper, in place of this one: what a batch takes, and what a row adds, in microseconds, such as
        ``("40 ms", 25)``. Then nothing is measured, and the figures are the same everywhere.

    Errors: PlanError ``OPTION_INVALID`` for several sources, no rows, or numbers that make no queue.

    >>> measured = sn.load(hourly, rate=50_000)
    """
    if model not in (STRUCTURED, DSTREAM):
        raise one_of("load", "model", model, (STRUCTURED, DSTREAM))
    wait = duration(trigger, "load") / SECOND
    if wait <= 0 or burst < 1 or (limit is not None and limit < 1) or (rate is not None and rate <= 0):
        raise PlanError(
            f"load: {rate=}, {burst=}, {trigger=}, {limit=}; a queue needs some time, some rows and burst >= 1.",
            code="OPTION_INVALID",
        )
    cost = _Measured(what, clock) if machine is None else _on_paper(*machine)
    sizes = _sizes(cost)
    found = round(min(_MOST, _SHARE * sizes[-1].rows / sizes[-1].median), -2) if rate is None else rate
    where = HERE if machine is None else _spelled(*machine)
    return Load(_Shown(cost, sizes, where, Pace(found, burst, _BURST, _SECONDS, wait, limit, model)))


class _Shown:
    """The machine at work, and the pace that the reader has set."""

    def __init__(self, cost: Callable[[int], float], sizes: Sequence[Size], where: str, pace: Pace) -> None:
        self.sizes, self._cost, self._where = sizes, cost, where
        self._run(pace)

    def _run(self, pace: Pace) -> None:
        self.pace, self.runs = pace, drive(pace, self._cost)

    @property
    def p99(self) -> float:
        waits = latencies(self.pace, self.runs)
        return float(np.quantile(waits, 0.99)) if len(waits) else 0.0

    def sheet(self) -> Sheet:
        done = emptied(self.pace, self.runs)
        return load_sheet(self.sizes, self.runs, self.pace, p99=self.p99, emptied=done, where=self._where)

    def hear(self, name: str, value: Any) -> None:
        """Take a new rate, burst, trigger, limit or model, and run the queue again."""
        changes: dict[str, Any] = {
            "rate": lambda: float(value),
            "burst": lambda: float(value),
            "trigger": lambda: float(value) / 1000,
            "limit": lambda: int(value) or None,
            "model": lambda: value,
        }
        if name in changes:
            self._run(replace(self.pace, **{name: changes[name]()}))

    def choices(self) -> Mapping[str, Sequence[Any]]:
        """Return what a page keeps: a few of each."""
        pace = self.pace
        return {
            "rate": [pace.rate / 2, pace.rate, 2 * pace.rate, 4 * pace.rate],
            "burst": sorted({1.0, 2.0, 5.0, pace.burst}),
            "trigger": sorted({50.0, 100.0, 500.0, 1000 * pace.trigger}),
            "limit": [0, pace.limit or round(2 * pace.rate * pace.trigger)],
            "model": [STRUCTURED, DSTREAM],
        }

    def replayed(self) -> _Shown:
        """Return it with batches that take what the curve says, in place of being run."""
        rows, seconds = [size.rows for size in self.sizes], [size.median for size in self.sizes]
        where = self._where if self._where != HERE else f"{HERE} Batches take what the curve says."
        return _Shown(lambda n: float(np.interp(n, rows, seconds)), self.sizes, where, self.pace)


def _sizes(cost: Callable[[int], float]) -> list[Size]:
    """Measure all sizes in turn, again and again, so that what else the machine does falls on all alike."""
    times: dict[int, list[float]] = {rows: [] for rows in SIZES}
    for turn in range(max(SIZES.values())):
        for rows in (rows for rows, tries in SIZES.items() if turn < tries):
            times[rows].append(cost(rows))
    return [Size(rows, float(np.median(took)), float(np.quantile(took, 0.9))) for rows, took in times.items()]


def _on_paper(batch: Duration, row: float) -> Callable[[int], float]:
    fixed = duration(batch, "load") / SECOND
    return lambda rows: fixed + rows * row / SECOND


def _spelled(batch: Duration, row: float) -> str:
    return f"A machine on paper: {spell(duration(batch, 'load'))} a batch and {row:g} µs a row."


# -- this machine


class _Feed:
    """A source that gives the same rows again and again, as many as it is told; it keeps no more than them."""

    def __init__(self, rows: pl.DataFrame) -> None:
        most = max(SIZES)
        self.schema, self.next = rows.schema, 0
        self._rows = pl.concat([rows] * -(-most // len(rows))).head(most).rechunk()

    def latest(self) -> int:
        return 0

    def unit(self, start: int | None) -> Unit:
        return Unit((start or 0) + self.next)

    def read(self, start: int | None, end: int) -> pl.DataFrame:
        times, rest = divmod(end - (start or 0), len(self._rows))
        return pl.concat([*[self._rows] * times, self._rows.head(rest)])

    def commit(self, end: int) -> None:
        """Nothing to tell."""


class _Measured:
    """Runs batches of so many rows, and tells what each took."""

    def __init__(self, what: StreamFrame | Query, clock: Clock) -> None:
        plan, mode = (what.plans[0], what.outline.output_mode) if isinstance(what, Query) else (what.node, "update")
        self._feed, self._clock = _feed(plan), clock
        self._query = Query(_with_source(plan, self._feed), output_mode=mode, name="the load's")
        for _ in range(3):
            self(100)  # the first batches also load what is needed later

    def __call__(self, rows: int) -> float:
        self._feed.next = rows
        began = self._clock()
        self._query.step()
        return self._clock() - began


def _feed(plan: Node) -> _Feed:
    """Return the rows of a plan's one source, to be given again."""
    reads = {id(node.source): node for node in plan.walk() if isinstance(node, Read)}
    if len(reads) != 1:
        raise PlanError(f"load: the query has {len(reads)} sources; give one that has one.", code="OPTION_INVALID")
    (read,) = reads.values()
    rows = as_rows("load", read.source.read(None, read.source.latest()), read.schema)
    if not len(rows):
        raise PlanError("load: the source holds no rows to give again; add some.", code="OPTION_INVALID")
    return _Feed(rows)


def _with_source(plan: Node, feed: _Feed) -> Node:
    if isinstance(plan, Read):
        return Read((), feed)
    return replace(plan, inputs=tuple(_with_source(node, feed) for node in plan.inputs))
