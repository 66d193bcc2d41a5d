"""Kills: a program is killed again and again, goes on from its checkpoint, and in the end its sink is compared."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from streamnb.points import POINTS
from tests.faults.changing import Kill
from tests.faults.child import DONE, REFUSED, Run, told
from tests.faults.programs import PROGRAMS, held_by, scratch, wrong

OUTSIDE = "outside"
_ONCE = {point for point in POINTS if point.startswith(("metadata", "epoch"))}  # written once a run, or once at all
_MOST_RUNS = 60

_BEFORE = ("metadata.opened", "metadata.written", "metadata.synced")  # it is not there yet, and is written again
_WHEN_THERE = ("metadata.renamed", "metadata.done")


class Nursery:
    """A process that forks a child for every run."""

    def __enter__(self) -> Self:
        command, environment = [sys.executable, "-m", "tests.faults.child"], os.environ | {"POLARS_MAX_THREADS": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def change(self, name: str, folder: Path, seed: int, kill: Kill) -> int:
        """Run a program whose logic changes; return how it ended."""
        return self.run(Run(name, str(folder), seed, 3 + seed % 4, point=kill.point, count=kill.count))

    def run(self, run: Run) -> int:
        """Return how a run ended: DONE, REFUSED, or the signal that killed it, negative."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(told(run))
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@dataclass
class Story:
    """What became of one checkpoint: where it was killed, and what was wrong in the end, if anything."""

    program: str
    seed: int
    mutant: str | None = None
    kills: list[str] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    refused: str = ""

    @property
    def exact(self) -> bool:
        return not (self.lost or self.doubled or self.refused)

    def __str__(self) -> str:
        what = self.refused or f"{self.lost} lost, {self.doubled} doubled or wrong"
        return f"{self.program}, seed {self.seed}: {what}, after kills at {', '.join(self.kills)}"


def story(nursery: Nursery, name: str, seed: int, kills: Iterable[str], mutant: str | None = None) -> Story:
    """Kill a program at one point after the other, each run with batches of another size, until it is done."""
    told, rng, waiting = Story(name, seed, mutant), random.Random(seed), iter(kills)  # noqa: S311  a story, not a secret
    with scratch() as folder:
        for _ in range(_MOST_RUNS):
            point = next(waiting, None)
            ended = nursery.run(_run(told, folder, point, rng))
            if ended == -signal.SIGKILL:
                told.kills.append(str(point))
            elif ended == REFUSED:
                told.refused = Path(folder, "error").read_text()
                return told
            else:
                assert ended == DONE, f"a run ended with {ended}: {told}"
                told.lost, told.doubled = wrong(held_by(Path(folder, "sink.db")), name, seed)
                return told
    told.refused = f"not done after {_MOST_RUNS} runs"
    return told


def _run(told: Story, folder: str, point: str | None, rng: random.Random) -> Run:
    run = Run(told.program, folder, told.seed, rng.choice([3, 5, 8, 13]), mutant=told.mutant)
    if point == OUTSIDE:
        return replace(run, after=rng.uniform(0.005, 0.3))
    return replace(run, point=point, count=1 if point in _ONCE else rng.choice([1, 1, 2, 3]))


def campaign(least: int, mutant: str | None = None) -> list[Story]:
    """Kill at least so many times, going round the points and the programs; stop at a mutant's first mistake."""
    wheel = itertools.cycle([*(point for point in POINTS if not point.startswith("metadata")), OUTSIDE])
    stories: list[Story] = []
    with Nursery() as nursery:
        while sum(len(s.kills) for s in stories) < least or (not mutant and len(stories) < len(PROGRAMS)):
            number = len(stories)
            kills = itertools.chain(_BEFORE, [_WHEN_THERE[number % 2]], wheel)
            stories.append(story(nursery, list(PROGRAMS)[number % len(PROGRAMS)], number, kills, mutant))
            if mutant and not stories[-1].exact:
                break
    return stories


def table(stories: list[Story]) -> str:
    """Return the counts by point and program."""
    found = Counter((point, s.program) for s in stories for point in s.kills)
    names = list(PROGRAMS)
    lines = [["killed at", *names, "all"]]
    for point in (*POINTS, OUTSIDE):
        counts = [found[point, name] for name in names]
        lines.append([point, *map(str, counts), str(sum(counts))])
    sums = [sum(found[point, name] for point in (*POINTS, OUTSIDE)) for name in names]
    lines.append(["all", *map(str, sums), str(sum(sums))])
    return "\n".join(aligned(lines))


def aligned(lines: list[list[Any]]) -> list[str]:
    """Return lines of cells as text, columns under one another, figures to the right."""
    widths = [max(len(str(line[i])) for line in lines) for i in range(len(lines[0]))]
    return [
        "  ".join(
            [str(line[0]).ljust(widths[0]), *(str(c).rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
