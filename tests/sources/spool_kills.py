"""A source that cannot be read again, under kills: ``python -m tests.sources.spool_kills 30``.

A generator counts into a spool, a query with a checkpoint writes what it reads to SQLite, and their process is killed
with SIGKILL at a point of a batch that is drawn. In the end every number must be there once.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import streamnb as sn
from streamnb import points
from tests.forked import ended, forked

PATIENCE = 120


def client(folder: str, count: int, die_after: int) -> None:
    """Count on from what the spool holds, until all is written or the so-manieth point is reached."""
    reached = itertools.count(1)
    points.listen(lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(reached) == die_after else None)

    def numbers(done: int) -> Iterator[dict[str, int]]:
        return ({"n": n} for n in range(done, count))

    frame = sn.from_generator(numbers, {"n": "int64"}, spool=f"{folder}/spool", rows_per_batch=7)
    query = frame.query(sink=sn.sinks.SQLite(f"{folder}/out.db", "out"), checkpoint=f"{folder}/checkpoint")
    never = threading.Event()
    while query.step() is not None or not query.sources[0].endswith("ended"):
        never.wait(0.001)
    query.run().stop()


def play(kills: int, *, count: int, seed: int = 0) -> tuple[int, list[str]]:
    """Kill so often, let it end, and return how often it was killed and what is wrong."""
    draw = random.Random(seed)  # noqa: S311  a test's dice
    with tempfile.TemporaryDirectory() as folder:
        killed = sum(
            ended(forked(client, folder, count, draw.randint(1, 60)), PATIENCE) == -signal.SIGKILL for _ in range(kills)
        )
        assert ended(forked(client, folder, count, 0), PATIENCE) == 0
        with closing(sqlite3.connect(f"{folder}/out.db")) as db:
            found = Counter(n for (n,) in db.execute("SELECT n FROM out"))
    return killed, [f"{n}: {found[n]} times" for n in {*range(count), *found} if found[n] != (n < count)]


def main() -> None:
    killed, wrong = play(int(sys.argv[1]), count=2000)
    print(f"spool: {killed} kills, 2000 rows: {len(wrong)} wrong")
    sys.exit("\n".join(wrong[:20]) if wrong else 0)


if __name__ == "__main__":
    from tests.sources import spool_kills  # whose functions other processes find by name

    spool_kills.main()
