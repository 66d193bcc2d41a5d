"""Kafka under faults: a client that is killed, brokers that fail. ``python -m tests.sources.kafka_faults 60 20``.

Two queries read one topic into SQLite, one row by row, one as counts per window. Their processes are killed with
SIGKILL at a point of a batch that is drawn, while brokers go down, are slow, refuse and hand partitions over. What the
tables hold in the end is compared with what was written.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamnb as sn
from streamnb import points
from tests.forked import ended, forked
from tests.servers.kafka_mock import FETCH, LIST_OFFSETS, METADATA, MockKafka

TOPIC, PARTITIONS, BROKERS = "events", 4, (1, 2, 3)
SCHEMA = {"ts": "datetime", "key": "string", "v": "int64"}
KINDS = ("rows", "counts")
NOT_LEADER, TIMED_OUT = 6, 7
PATIENCE = 120


@dataclass(frozen=True)
class Outcome:
    """What happened, and what was not as it should be."""

    kills: int
    faults: int
    rows: int
    wrong: list[str]


# -- the client, in a process of its own


def client(kind: str, servers: str, folder: str, rows_per_batch: int, die_after: int) -> None:
    """Run a query to its end, or be killed at the so-manieth point."""
    reached = itertools.count(1)
    points.listen(lambda _: os.kill(os.getpid(), signal.SIGKILL) if next(reached) == die_after else None)
    events = sn.from_kafka(TOPIC, servers, SCHEMA, metadata=["partition", "offset"], rows_per_batch=rows_per_batch)
    path = f"{folder}/{kind}"
    if kind == "rows":
        query = events.query(sink=sn.sinks.SQLite(f"{path}.db", "out"), checkpoint=path)
    else:
        counts = events.group_by(sn.window("ts", "10 seconds"), "key").agg(n=sn.count(), total=sn.sum("v"))
        sink = sn.sinks.SQLite(f"{path}.db", "out", key=["window_start", "key"])
        query = counts.query("update", sink=sink, checkpoint=path)
    query.run().stop()


# -- what was written, and what came out


def write(servers: str, count: int, seed: int) -> list[dict[str, object]]:
    from confluent_kafka import Producer

    draw = random.Random(seed)  # noqa: S311  a test's dice
    producer = Producer({"bootstrap.servers": servers, "log_level": 0})
    rows = []
    for v in range(count):
        row = {"ts": f"2026-01-01T00:{v // 600:02}:{v // 10 % 60:02}", "key": draw.choice("abcde"), "v": v}
        producer.produce(TOPIC, json.dumps(row).encode(), partition=draw.randrange(PARTITIONS))
        rows.append(row)
    assert producer.flush(30) == 0
    return rows


def wrong_rows(database: Path, rows: list[dict[str, object]]) -> list[str]:
    found = Counter(v for (v,) in _select(database, "SELECT v FROM out"))
    return [f"row {v}: {found[v]} times" for v in range(len(rows)) if found[v] != 1]


def wrong_counts(database: Path, rows: list[dict[str, object]]) -> list[str]:
    expected: Counter[tuple[str, object]] = Counter((f"{str(r['ts'])[:18]}0", r["key"]) for r in rows)
    found = {
        (at[:19].replace(" ", "T"), k): n for at, k, n in _select(database, "SELECT window_start, key, n FROM out")
    }
    return [
        f"{w}: {found.get(w)} for {expected.get(w)}" for w in expected.keys() | found if found.get(w) != expected[w]
    ]


def _select(database: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(statement).fetchall()


# -- faults


def faults(cluster: MockKafka, draw: random.Random) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a fault that has just begun, and what ends it; a kind after the other."""
    while True:
        down = draw.choice(BROKERS)
        cluster.down(down)
        yield "down", lambda down=down: cluster.up(down)  # type: ignore[misc]
        for partition in range(PARTITIONS):
            cluster.lead(TOPIC, partition, draw.choice(BROKERS))
        yield "leader", lambda: None
        slow = draw.choice(BROKERS)
        cluster.slow(300, slow)
        yield "slow", lambda slow=slow: cluster.slow(0, slow)  # type: ignore[misc]
        for request in FETCH, LIST_OFFSETS, METADATA:
            cluster.fail(request, NOT_LEADER, TIMED_OUT)
        yield "refused", lambda: None


def play(kills: int, broker_faults: int, *, count: int, seed: int = 0) -> Outcome:
    """Kill clients and trouble brokers so often, let both queries end, and compare."""
    draw = random.Random(seed)  # noqa: S311  a test's dice
    done = 0
    with MockKafka(len(BROKERS)) as cluster, tempfile.TemporaryDirectory() as folder:
        cluster.topic(TOPIC, PARTITIONS)
        rows = write(cluster.bootstrap, count, seed)
        troubles = faults(cluster, draw)
        killed, rounds = 0, max(kills, broker_faults)
        for number in range(rounds):
            batch = draw.choice((20, 35, 50))
            dies = draw.randint(1, 60) if number < kills else draw.randint(40, 80)
            process = forked(client, KINDS[number % 2], cluster.bootstrap, folder, batch, dies)
            if number * broker_faults // rounds < (number + 1) * broker_faults // rounds:
                _, end = next(troubles)
                process.join(2)
                end()
                done += 1
            killed += ended(process, PATIENCE) == -signal.SIGKILL
        for kind in KINDS:
            assert ended(forked(client, kind, cluster.bootstrap, folder, 500, 0), PATIENCE) == 0
        wrong = wrong_rows(Path(folder, "rows.db"), rows) + wrong_counts(Path(folder, "counts.db"), rows)
        return Outcome(killed, done, len(rows), wrong)


def main() -> None:
    outcome = play(int(sys.argv[1]), int(sys.argv[2]), count=6000)
    told = f"{outcome.kills} kills, {outcome.faults} broker faults, {outcome.rows} rows: {len(outcome.wrong)} wrong"
    sys.exit("\n".join([told, *outcome.wrong[:20]]) if outcome.wrong else print(told))


if __name__ == "__main__":
    from tests.sources import kafka_faults  # whose functions other processes find by name

    kafka_faults.main()
