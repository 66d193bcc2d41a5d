"""SIGKILLs of the process that writes, at the points of a batch and at random times: ``python -m tests.sinks.kills``.

A round is one query on a fresh place. Its process is killed and started again a few times, then runs to its end; what
the sink holds must be what plain Python says, no row less or more.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import streamnb as sn
from streamnb import points
from tests.servers.start import START
from tests.sinks.kinds import ALL, KINDS, LEAST_ONCE

POINTS = ("sink.begin", "sink.rows", "sink.ledger", "sink.end", "commits.renamed", "batch.end", None)
"""None is a random time."""
BATCHES, ROWS, KEYS, KILLS_A_ROUND, PATIENCE = 8, 20, 7, 5, 120.0
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tests.sinks.kinds"])  # a process of its own costs a second of imports


@dataclass
class Result:
    """How often a process was killed and where, and what was wrong in the end, round by round."""

    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        where = ", ".join(f"{count} {point}" for point, count in sorted(self.kills.items()))
        return f"{self.kills.total()} kills in {self.rounds} rounds, {len(self.wrong)} wrong ({where})"


@dataclass(frozen=True)
class Round:
    """A query whose process is killed: the sink, where it writes, how, and the folder from which it goes on."""

    kind: str
    place: str
    mode: str
    checkpoint: str

    def live(self, point: str | None, nth: int, delay: float) -> bool:
        """Run the query in a process; True if it was killed, False if it came to its end."""
        ours, theirs = _PROCESSES.Pipe()
        process = _PROCESSES.Process(target=_run, args=(self, point, nth, theirs))
        process.start()
        theirs.close()
        if point is None and ours.poll(PATIENCE):
            process.join(delay)
            process.kill()
        process.join(PATIENCE)
        if process.exitcode not in {0, -signal.SIGKILL}:
            process.kill()
            raise AssertionError(f"{self}: a process ended with {process.exitcode}")
        return process.exitcode == -signal.SIGKILL

    def wrong(self) -> str | None:
        """Return what is lost or doubled, or None."""
        there, expected = self._there(), _expected(self.mode)
        lost, doubled = (expected - there).total(), (there - expected).total()
        return f"{self}: {lost} lost, {doubled} too many" if there != expected else None

    def _there(self) -> Counter[tuple[object, ...]]:
        names = ("key", "value") if self.mode == "append" else ("key", "n", "total")
        return Counter(tuple(row[name] for name in names) for row in ALL[self.kind].read(self.place))


def kill(kind: str, new_place: Callable[[], str], kills: int, seed: int = 0) -> Result:
    """Kill a writer so many times, five a round, modes and points in turn."""
    dice, result = random.Random(seed), Result()  # noqa: S311  nothing secret
    in_turn = itertools.cycle(POINTS)
    while (done := result.kills.total()) < kills:
        modes = ALL[kind].modes
        with tempfile.TemporaryDirectory(prefix="streamnb-kills-") as checkpoint:
            one = Round(kind, new_place(), modes[result.rounds % len(modes)], checkpoint)
            for _ in range(min(KILLS_A_ROUND, kills - done)):
                point = next(in_turn)
                if one.live(point, dice.randint(1, 2), dice.uniform(0, 0.15)):
                    result.kills[point or "random"] += 1
            one.live("", 0, 0)
            result.wrong += filter(None, [one.wrong()])
        result.rounds += 1
    return result


def _run(one: Round, point: str | None, nth: int, ready: Connection) -> None:
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


def _expected(mode: str) -> Counter[tuple[object, ...]]:
    """Say what must be there, in plain Python."""
    rows = [row for batch in range(BATCHES) for row in _input(batch)]
    if mode == "append":
        return Counter((row["key"], row["value"]) for row in rows)
    values: dict[object, list[int]] = {}
    for row in rows:
        values.setdefault(row["key"], []).append(int(str(row["value"])))
    return Counter((key, len(of_key), sum(of_key)) for key, of_key in values.items())


@contextlib.contextmanager
def places(kind: str) -> Iterator[Callable[[], str]]:
    """Give new places for a kind, on a server that is started for it if it needs one."""
    count = itertools.count()
    with contextlib.ExitStack() as stack:
        name = ALL[kind].server
        if name is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="streamnb-kills-"))
            yield lambda: str(Path(folder) / str(next(count)))
        else:
            server = START[name]()
            stack.callback(server.remove)
            yield lambda: server.place(f"kills{next(count)}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=[*KINDS, LEAST_ONCE], metavar="KIND", help=f"of {', '.join(ALL)}")
    parser.add_argument("--kills", type=int, default=60, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    wrong: list[str] = []
    for kind in given.kinds:
        started = time.monotonic()
        with places(kind) as new_place:
            result = kill(kind, new_place, given.kills, given.seed)
        print(f"{kind}: {result}, {time.monotonic() - started:.0f} s", flush=True)
        wrong += result.wrong
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
