"""Queueing: rows that come at a pace, batches that take them, and how long each row waits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from streamnb.views.load import DSTREAM, Pace, Run

Floats = NDArray[np.float64]
Cost = Callable[[int], float]
"""What a batch of so many rows takes, in seconds."""
_MOST_ASKED = 1_000_000
_PATIENCE = 3.0
"""So many times the given seconds a queue may take to empty."""


def arrived(pace: Pace, time: float) -> int:
    """Return how many rows have come by a time."""
    begin, end = pace.during
    known = min(time, pace.seconds)
    extra = max(0.0, min(known, end) - begin) * (pace.burst - 1)
    return int(pace.rate * (known + extra) + 1e-6)


def drive(pace: Pace, cost: Cost) -> list[Run]:
    """Run batch after batch until all rows are taken, or three times the given seconds have passed."""
    return _queued(pace, cost) if pace.model == DSTREAM else _taken(pace, cost)


def _taken(pace: Pace, cost: Cost) -> list[Run]:
    """Structured Streaming: a batch takes what waits, up to the limit; one that is late is followed at once."""
    runs: list[Run] = []
    start, done = pace.trigger, 0
    total = arrived(pace, pace.seconds)
    while done < total and start < _PATIENCE * pace.seconds:
        waiting = arrived(pace, start) - done
        rows = waiting if pace.limit is None else min(waiting, pace.limit)
        took = cost(rows) if rows else 0.0
        if rows:
            runs.append(Run(start, took, rows, waiting - rows))
        done += rows
        start = max(start + pace.trigger, start + took)
    return runs


def _queued(pace: Pace, cost: Cost) -> list[Run]:
    """DStream: each interval has its batch, and batches wait for one another; the limit cuts what an interval takes."""
    runs: list[Run] = []
    free, taken, number = 0.0, 0, 0
    total = arrived(pace, pace.seconds)
    while taken < total and free < _PATIENCE * pace.seconds:
        number += 1
        tick = number * pace.trigger
        rows = arrived(pace, tick) - taken
        rows = rows if pace.limit is None else min(rows, pace.limit)
        if not rows:
            continue
        start = max(tick, free)
        taken += rows
        took = cost(rows)
        runs.append(Run(start, took, rows, max(0, arrived(pace, start) - taken)))
        free = start + took
    return runs


def latencies(pace: Pace, runs: Sequence[Run]) -> Floats:
    """Return how long each row waited until its batch was done, in seconds; rows never taken are left out.

    Of n million rows about every n-th is asked.
    """
    taken = np.cumsum([run.rows for run in runs], dtype=np.int64)
    number = int(taken[-1]) if len(taken) else 0
    rows = np.arange(0, number, 1 + number // _MOST_ASKED)
    times = [0.0, *pace.during, pace.seconds]
    came = np.interp(rows + 1, [arrived(pace, time) for time in times], times)
    done = np.array([run.start + run.took for run in runs])[np.searchsorted(taken, rows, side="right")]
    found: Floats = done - came
    return found


def emptied(pace: Pace, runs: Sequence[Run]) -> float | None:
    """Return how long after the burst the queue holds no more than a trigger brings; None if not while rows come."""
    after = [run for run in runs if pace.during[1] <= run.start <= pace.seconds]
    calm = pace.rate * pace.trigger
    return next((run.start - pace.during[1] for run in after if run.waiting <= calm), None)
