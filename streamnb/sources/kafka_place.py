"""Places in a topic: where to begin, how far a batch goes, and both as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from streamnb.errors import one_of
from streamnb.time import MILLISECOND, instant

Begin = str | dt.datetime | Mapping[int, int]
Edges = Mapping[int, tuple[int, int]]
"""The first offset of each partition, and the one after its last."""


def place(began: Mapping[int, int], ends: Mapping[int, int]) -> dict[str, dict[str, int]]:
    """Return an offset: JSON has text for keys. It says where the query began, so that its first range is a range."""
    return {"from": {str(p): n for p, n in began.items()}, "to": {str(p): n for p, n in ends.items()}}


def placed(part: Mapping[str, Any]) -> dict[int, int]:
    """Return one part of an offset by partition."""
    return {int(p): n for p, n in part.items()}


def begin_of(start: Begin, edges: Edges, since: Callable[[int, Edges], dict[int, int]]) -> dict[int, int]:
    """Return the first offsets of a query; a partition that ``start`` does not name begins at its earliest."""
    if isinstance(start, Mapping):
        return {p: start.get(p, low) for p, (low, _) in edges.items()}
    if start in {"earliest", "latest"}:
        return {p: edge[start == "latest"] for p, edge in edges.items()}
    return since(begin_ms(start), edges)


def check_begin(start: Begin) -> None:
    """Refuse what is no place to begin at."""
    if not isinstance(start, Mapping) and start not in {"earliest", "latest"}:
        begin_ms(start)


def begin_ms(start: str | dt.datetime) -> int:
    """Return a time to begin at, in milliseconds since 1970."""
    try:
        at = dt.datetime.fromisoformat(start) if isinstance(start, str) else start
        return instant(at) // MILLISECOND
    except (ValueError, TypeError, AttributeError):
        raise one_of("from_kafka", "start", start, ("earliest", "latest", "2026-01-01 12:00", "{0: 17}")) from None


def next_ends(done: Mapping[int, int], edges: Edges, most: int) -> dict[int, int]:
    """Return how far the next batch goes: at most so many rows, shared out by what waits in each partition."""
    begin = {p: done.get(p, low) for p, (low, _) in edges.items()}
    waiting = {p: high - begin[p] for p, (_, high) in edges.items()}
    total = sum(waiting.values())
    if total <= most:
        return {p: high for p, (_, high) in edges.items()}
    return {p: begin[p] + min(n, max(n * most // total, min(n, 1))) for p, n in waiting.items()}
