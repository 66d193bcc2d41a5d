"""Programs whose logic, rules and params change while they run; and what their sink must hold."""

from __future__ import annotations

import itertools
import random
import signal
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import streamnb as sn
from streamnb.errors import CheckpointMismatchError
from streamnb.points import POINTS, STEPS
from tests.faults.programs import CLICKS, DELAY, HOPELESS, START, Rows, scratch
from tests.faults.ruled import CHANGED_AFTER, RULES, Numbered, Ruled, ruled

LATER = 9
"""The batch that a switch waits for."""
AT_THE_CHANGE = tuple(f"{file}.{step}" for file in ("snapshot", "logic") for step in STEPS)
_AT_OTHERS = {"switch that waits": tuple(f"switch.{step}" for step in STEPS), "rules and params": RULES}
_BEFORE_AND_AFTER = tuple(point for point in POINTS if not point.startswith(("metadata", "epoch")))


def _rows(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)  # noqa: S311  a story, not a secret
    times = [START + (HOPELESS / 3600) * (i - rng.uniform(0, 4)) for i in range(72)]
    found: list[dict[str, Any]] = [
        {"at": at.replace(microsecond=0), "user": rng.choice(["ann", "bob"]), "v": rng.randint(-9, 9)} for at in times
    ]
    return [*found, *[{"at": START + HOPELESS, "user": "end", "v": 0}] * 2]


def _old(clicks: sn.StreamFrame) -> sn.StreamFrame:
    groups = clicks.with_watermark("at", DELAY).group_by(sn.window("at", "10 seconds"), "user")
    counted = groups.agg(n=sn.count(), total=sn.sum("v"))
    return counted.select("window_start", "user", "total", rule=sn.lit("old"))


def _new(clicks: sn.StreamFrame) -> sn.StreamFrame:
    groups = clicks.with_watermark("at", DELAY).group_by(sn.window("at", "10 seconds"), "user")
    return groups.agg(total=sn.sum("v")).select("window_start", "user", "total", rule=sn.lit("new"))


@dataclass(frozen=True)
class Changing:
    """A query that sums a window and user, whose logic changes behind a batch by ``change``; or from one on, known."""

    name: str
    change: Callable[[sn.Query, sn.StreamFrame], object]
    at: int | None = None

    def open(self, folder: Path, seed: int, size: int, **given: Any) -> sn.Query:
        stream = sn.stream(Rows(CLICKS, _rows(seed), size))
        options: dict[str, Any] = {"sink": Numbered(folder), "checkpoint": folder / "checkpoint", **given}
        try:
            query = _old(stream).query(**options)
        except CheckpointMismatchError:
            return _new(stream).query(**options)
        query.run = lambda: self._run(query, _new(stream))  # type: ignore[method-assign]
        return query

    def _run(self, query: sn.Query, new: sn.StreamFrame) -> sn.Query:
        changed = False
        while True:
            if not changed and query._history.last.batch_id >= CHANGED_AFTER:
                self.change(query, new)
                changed = True
            if query.step() is None:
                return query

    def wrongs(self, folder: Path, seed: int) -> list[str]:
        """Return what is wrong with what a sink holds in the end."""
        return _wrongs(folder, seed, self.at)


def _switch_later(query: sn.Query, new: sn.StreamFrame) -> None:
    query.switch_to(query.fork(query=new), at_batch=LATER)


PROGRAMS: tuple[Changing | Ruled, ...] = (
    Changing("evolve", lambda query, new: query.evolve(new)),
    Changing("switch", lambda query, new: query.switch_to(query.fork(query=new))),
    Changing("switch that waits", _switch_later, at=LATER),
    ruled(START + HOPELESS / 3600 * n for n in range(60)),
)
CHANGING = {program.name: program for program in PROGRAMS}


def _wrongs(folder: Path, seed: int, at: int | None) -> list[str]:
    with closing(sqlite3.connect(folder / "sink.db")) as db:
        held = db.execute("SELECT window_start, user, total, rule, batch FROM out").fetchall()
    sums: Counter[tuple[str, str]] = Counter()
    for row in _rows(seed)[:-2]:
        start = row["at"].replace(second=row["at"].second // 10 * 10)
        sums[start.isoformat(" ", "seconds"), row["user"]] += row["v"]
    found = Counter((start[:19], user, total) for start, user, total, _, _ in held)
    due = Counter((start, user, total) for (start, user), total in sums.items())
    rules: dict[int, set[str]] = defaultdict(set)
    for *_, rule, batch in held:
        rules[batch].add(rule)
    order = [rule for batch in sorted(rules) for rule in sorted(rules[batch])]
    return [
        *(f"lost: {row}" for row in due - found),
        *(f"doubled or wrong: {row}" for row in found - due),
        *(f"batch {batch} was decided by both" for batch, by in rules.items() if len(by) > 1),
        *(["a batch of the old logic after one of the new"] if order != sorted(order, reverse=True) else []),
        *([] if "new" in order else ["the new logic never decided"]),
        *(f"batch {n} was decided by {by}" for n, by in rules.items() if at is not None and by != _due(n, at)),
    ]


def _due(batch: int, at: int) -> set[str]:
    return {"old" if batch < at else "new"}


@dataclass(frozen=True)
class Kill:
    """Where a run is killed: at a point that is reached for the ``count``-th time."""

    point: str | None = None
    count: int = 1


@dataclass
class Life:
    """What became of one checkpoint."""

    program: str
    seed: int
    kills: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.program}, seed {self.seed}: {self.wrong} after kills at {', '.join(self.kills)}"


Runner = Callable[[str, Path, int, Kill], int]
"""Runs a program in a folder, with a seed, killed somewhere or not at all; returns how it ended."""


def live(run: Runner, name: str, seed: int, kills: Iterable[Kill]) -> Life:
    """Kill a program at one point after the other, until a run comes to its end."""
    life = Life(name, seed)
    with scratch() as scratched:
        folder = Path(scratched)
        for kill in [*kills, Kill()]:
            ended = run(name, folder, seed, kill)
            if ended == -signal.SIGKILL:
                life.kills.append(str(kill.point))
            elif ended:
                life.wrong.append((folder / "error").read_text())
                return life
            else:
                break
        life.wrong += CHANGING[name].wrongs(folder, seed)
    return life


def lives(run: Runner, least: int) -> list[Life]:
    """Kill at least so many times: before the change, in it and after it."""
    found: list[Life] = []
    around, at = (
        itertools.cycle(_BEFORE_AND_AFTER),
        itertools.cycle([AT_THE_CHANGE[:4], AT_THE_CHANGE[4:8], AT_THE_CHANGE[8:9], AT_THE_CHANGE[9:]]),
    )
    while sum(len(life.kills) for life in found) < least:
        rng, number = random.Random(len(found)), len(found)  # noqa: S311  a story, not a secret
        before, after = Kill(next(around), rng.choice([1, 2, 3])), [Kill(next(around)), Kill(next(around), 2)]
        program = PROGRAMS[(number + number // 4) % 4].name
        others = _AT_OTHERS.get(program, ())
        own = Kill(rng.choice(others), rng.choice([1, 2])) if others else Kill(next(around))
        kills = [before, own, *map(Kill, next(at)), *after]
        found.append(live(run, program, number, kills))
    return found
