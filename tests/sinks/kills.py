"""SIGKILLs of the process that writes, at the points of a batch and at random times: ``python -m tests.sinks.kills``.

A round is one query on a fresh place. Its process is killed and started again a few times, then runs to its end; what
the sink holds must be what plain Python says, no row less or more.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.forked import CONTEXT, forked
from tests.servers.start import START
from tests.sinks.kinds import ALL, KINDS, LEAST_ONCE
from tests.sinks.life import Life, expected, run

POINTS = ("sink.begin", "sink.rows", "sink.ledger", "sink.end", "commits.done", "batch.end", None)
"""None is a random time."""
KILLS_A_ROUND, PATIENCE = 5, 120.0


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory where there is one: a kill does not take what the system holds."""
    memory = Path("/dev/shm")  # noqa: S108  the name is made by tempfile
    return tempfile.TemporaryDirectory(prefix="streamnb-kills-", dir=memory if memory.is_dir() else None)


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
class Round(Life):
    """A query whose process is killed, started again, and compared in the end."""

    def live(self, point: str | None, nth: int, delay: float) -> bool:
        """Run the query in a process; True if it was killed, False if it came to its end."""
        ours, theirs = CONTEXT.Pipe()
        process = forked(run, Life(**vars(self)), point, nth, theirs)
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
        there, right = self._there(), expected(self.mode)
        lost, doubled = (right - there).total(), (there - right).total()
        return f"{self}: {lost} lost, {doubled} too many" if there != right else None

    def _there(self) -> Counter[tuple[object, ...]]:
        names = ("key", "value") if self.mode == "append" else ("key", "n", "total")
        return Counter(tuple(row[name] for name in names) for row in ALL[self.kind].read(self.place))


def kill(kind: str, new_place: Callable[[], str], kills: int, seed: int = 0) -> Result:
    """Kill a writer so many times, five a round, modes and points in turn."""
    dice, result = random.Random(seed), Result()  # noqa: S311  nothing secret
    in_turn = itertools.cycle(POINTS)
    while (done := result.kills.total()) < kills:
        modes = ALL[kind].modes
        with scratch() as checkpoint:
            one = Round(kind, new_place(), modes[result.rounds % len(modes)], checkpoint)
            for _ in range(min(KILLS_A_ROUND, kills - done)):
                point = next(in_turn)
                if one.live(point, dice.randint(1, 2), dice.uniform(0, 0.15)):
                    result.kills[point or "random"] += 1
            one.live("", 0, 0)
            result.wrong += filter(None, [one.wrong()])
        result.rounds += 1
    return result


@contextlib.contextmanager
def places(kind: str) -> Iterator[Callable[[], str]]:
    """Give new places for a kind, on a server that is started for it if it needs one."""
    count = itertools.count()
    with contextlib.ExitStack() as stack:
        name = ALL[kind].server
        if name is None:
            folder = stack.enter_context(scratch())
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
