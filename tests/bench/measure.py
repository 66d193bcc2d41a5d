"""Measuring: contenders in turn, round after round; figures with their spread, and what they were to reach."""

from __future__ import annotations

import gc
import operator
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], object]
_HOLDS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Goal:
    """What a figure is to reach, such as ``>= 0.7``."""

    sign: str
    value: float

    def met(self, figure: float) -> bool:
        return bool(_HOLDS[self.sign](figure, self.value))

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """A measured figure: the median over the rounds, with the least and the most."""

    workload: str
    name: str
    unit: str
    median: float
    least: float
    most: float
    goal: Goal | None = None

    @property
    def short(self) -> bool:
        """Whether it falls short of its goal."""
        return self.goal is not None and not self.goal.met(self.median)


@dataclass(frozen=True)
class Times:
    """Seconds of each round, by the clock on the wall and of the processor, all threads together."""

    wall: Sequence[float]
    cpu: Sequence[float]

    def per(self, count: int, unit: float = 1e3) -> list[float]:
        """Return the wall time of one of ``count`` things, in milliseconds."""
        return [seconds / count * unit for seconds in self.wall]

    def rate(self, rows: int) -> list[float]:
        """Return millions of rows a second."""
        return [rows / seconds / 1e6 for seconds in self.wall]


def contest(rounds: int, contenders: Mapping[str, Work]) -> dict[str, Times]:
    """Let every contender work once a round, so that a busy moment hits them all; one more round goes before."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    cpu: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, work in contenders.items():
            gc.collect()
            clock, used = time.perf_counter(), time.process_time()
            work()
            if number:
                wall[name].append(time.perf_counter() - clock)
                cpu[name].append(time.process_time() - used)
    return {name: Times(wall[name], cpu[name]) for name in contenders}


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratio of each round."""
    return [a / b for a, b in zip(above, below, strict=True)]


def figure(workload: str, name: str, unit: str, values: Sequence[float], goal: str = "") -> Figure:
    """Return a figure; ``goal`` is such as ``">= 0.7"``."""
    sign, _, value = goal.partition(" ")
    wanted = Goal(sign, float(value)) if goal else None
    return Figure(workload, name, unit, statistics.median(values), min(values), max(values), wanted)


def line(f: Figure) -> str:
    """Return a figure as a row of a Markdown table."""
    verdict = "" if f.goal is None else ("**short**" if f.short else "reached")
    spread = f"{f.least:.3g} to {f.most:.3g}"
    return f"| {f.workload} | {f.name} | {f.median:.3g} {f.unit} | {spread} | {f.goal or ''} | {verdict} |"


def table(figures: Sequence[Figure]) -> str:
    """Return figures as a Markdown table."""
    head = "| | figure | median | least to most | wanted | |\n|---|---|---|---|---|---|"
    return "\n".join([head, *map(line, figures)])
