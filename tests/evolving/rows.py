"""Rows and frames that the tests of evolving share."""

from __future__ import annotations

import datetime as dt
from typing import Any

import streamnb as sn

SCHEMA = {"at": "datetime", "card": "string", "v": "int64"}
START = dt.datetime(2026, 1, 1)


def rows(count: int, start: int = 0) -> list[list[dict[str, Any]]]:
    """Return units of two rows each, five seconds apart."""
    numbers = range(start, start + count)
    return [[_row(n, "ann", n), _row(n, "bob", n * 10)] for n in numbers]


def _row(number: int, card: str, value: int) -> dict[str, Any]:
    return {"at": START + dt.timedelta(seconds=5 * number), "card": card, "v": value}


def source(count: int = 0) -> sn.MemorySource:
    """Return a source with so many units."""
    found = sn.MemorySource(SCHEMA)
    feed(found, count)
    return found


def feed(to: sn.MemorySource, count: int) -> None:
    """Add so many more units."""
    for unit in rows(count, to.latest()):
        to.add(unit)


def windows(
    over: sn.MemorySource, *, least: int = 0, delay: str = "5 seconds", size: str = "10 seconds", **aggregates: Any
) -> sn.StreamFrame:
    """Return counts and sums per window and card of the rows of at least some value."""
    events = sn.stream(over).filter(sn.col("v") >= least).with_watermark("at", delay)
    return events.group_by(sn.window("at", size), "card").agg(**aggregates or {"n": sn.count(), "total": sn.sum("v")})


def told(query: sn.Query, after: int = -1) -> list[tuple[Any, ...]]:
    """Return what the batches after one gave out, in order."""
    first = query.trace[0].batch_id
    return [tuple(row) for frame in query.emitted[max(0, after + 1 - first) :] for row in frame.to_numpy().tolist()]
