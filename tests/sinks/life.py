"""One life of a writer: a query in a process that kills itself at a point, and what must be there in the end."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection

import streamnb as sn
from streamnb import points
from tests.sinks.kinds import ALL

BATCHES, ROWS, KEYS = 8, 20, 7


@dataclass(frozen=True)
class Life:
    """A query: the sink, where it writes, how, and the folder from which it goes on."""

    kind: str
    place: str
    mode: str
    checkpoint: str


def run(one: Life, point: str | None, nth: int, ready: Connection) -> None:
    """Run the query to its end, or to the nth time that a point is reached."""
    left = nth

    def listener(reached: str) -> None:
        nonlocal left
        left -= reached == point
        if reached == point and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    points.listen(listener)
    source = sn.MemorySource({"key": "string", "value": "int64"})
    for batch in range(BATCHES):
        source.add(_input(batch))
    frame, options = sn.stream(source), {"key": "key"} if one.mode == "update" else {}
    if one.mode != "append":
        frame = frame.group_by("key").agg(n=sn.count(), total=sn.sum("value"))
    query = frame.query(one.mode, sink=ALL[one.kind].make(one.place, **options), checkpoint=one.checkpoint)
    ready.send(True)
    query.run().stop()


def _input(batch: int) -> list[dict[str, object]]:
    numbers = range(batch * ROWS, (batch + 1) * ROWS)
    return [{"key": None if n % KEYS == 0 else f"k{n % KEYS}", "value": n} for n in numbers]


def expected(mode: str) -> Counter[tuple[object, ...]]:
    """Say what must be there, in plain Python."""
    rows = [row for batch in range(BATCHES) for row in _input(batch)]
    if mode == "append":
        return Counter((row["key"], row["value"]) for row in rows)
    values: dict[object, list[int]] = {}
    for row in rows:
        values.setdefault(row["key"], []).append(int(str(row["value"])))
    return Counter((key, len(of_key), sum(of_key)) for key, of_key in values.items())
