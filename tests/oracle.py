"""The oracle: Spark's rules for windowed aggregation, written anew in plain Python and pandas, one row at a time.

It knows nothing of the engine: no partial aggregates, no state tables. Every group keeps all of its rows, and every
answer is computed from them again. What it says is the specification that `test_laws.py` holds the engine to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pandas as pd

Row = dict[str, Any]
EPOCH = pd.Timestamp(0)
Columns = Mapping[str, list[Any]]
AGGREGATES: dict[str, Callable[[Columns, tuple[str, ...]], Any]] = {}


# -- aggregates: from all rows of a group to a value


def aggregate(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function of the non-null values of a column."""
    AGGREGATES[function.__name__.rstrip("_")] = lambda rows, columns: function(_known(rows[columns[0]]))
    return function


def _known(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if value is not None]


@aggregate
def count(values: list[Any]) -> int:
    return len(values)


@aggregate
def sum_(values: list[Any]) -> Any:
    return sum(values) if values else None


@aggregate
def mean(values: list[Any]) -> Any:
    return math.fsum(values) / len(values) if values else None


@aggregate
def min_(values: list[Any]) -> Any:
    return min(values) if values else None


@aggregate
def max_(values: list[Any]) -> Any:
    return max(values) if values else None


@aggregate
def var(values: list[Any]) -> Any:
    return float(pd.Series(values, dtype="float64").var()) if len(values) > 1 else None


@aggregate
def std(values: list[Any]) -> Any:
    return math.sqrt(var(values)) if len(values) > 1 else None


@aggregate
def quantile(values: list[Any]) -> Any:
    return float(pd.Series(values, dtype="float64").quantile(0.5)) if values else None


@aggregate
def collect_list(values: list[Any]) -> list[Any]:
    return values


@aggregate
def collect_set(values: list[Any]) -> list[Any]:
    return sorted(set(values))


@aggregate
def count_distinct(values: list[Any]) -> int:
    return len(set(values))


@aggregate
def approx_count_distinct(values: list[Any]) -> int:
    return len(set(values))


@aggregate
def span(values: list[Any]) -> Any:
    return float(max(values) - min(values)) if values else None


AGGREGATES["rows"] = lambda rows, _: len(rows[""])
AGGREGATES["first"] = lambda rows, columns: next(iter(rows[columns[0]]), None)
AGGREGATES["last"] = lambda rows, columns: next(reversed(rows[columns[0]]), None)
AGGREGATES["first_known"] = lambda rows, columns: next(iter(_known(rows[columns[0]])), None)
AGGREGATES["last_known"] = lambda rows, columns: next(reversed(_known(rows[columns[0]])), None)
AGGREGATES["min_by"] = lambda rows, columns: _by(rows, columns, min)
AGGREGATES["max_by"] = lambda rows, columns: _by(rows, columns, max)


def _by(rows: Columns, columns: tuple[str, ...], best: Callable[[Iterable[Any]], Any]) -> Any:
    pairs = [pair for pair in zip(rows[columns[0]], rows[columns[1]], strict=True) if pair[1] is not None]
    wanted = best(by for _, by in pairs) if pairs else None
    return next((value for value, by in pairs if by == wanted), None)


# -- operators


@dataclass
class Times:
    """What a stateful operator is told in a batch: behind `late` rows are dropped, behind `evict` state ends."""

    late: pd.Timestamp | None
    evict: pd.Timestamp | None


@dataclass
class Operator:
    """From the rows of a batch to the rows of a batch."""

    dropped: list[Row] = field(default_factory=list, init=False)

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        raise NotImplementedError

    def asks(self) -> bool:
        """Would it act in a batch without input?"""
        return False

    def held(self) -> int:
        """How many rows of state it keeps."""
        return 0


@dataclass
class Each(Operator):
    """Row by row: a row to the rows that come of it."""

    work: Callable[[Row], Iterable[Row]]

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        return [out for row in rows for out in self.work(dict(row))]


@dataclass
class FirstRows(Operator):
    most: int
    passed: int = 0

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        taken = rows[: self.most - self.passed]
        self.passed += len(taken)
        return taken

    def held(self) -> int:
        return 1 if self.passed else 0


@dataclass
class Mark(Operator):
    """A watermark: the largest time that ever passed, cut to milliseconds, less the delay."""

    time: str
    delay: str
    largest: pd.Timestamp | None = None

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        seen = _known([self.largest, *(row[self.time] for row in rows)])
        self.largest = max(seen) if seen else None
        return rows

    def candidate(self) -> pd.Timestamp:
        return EPOCH if self.largest is None else self.largest.floor("ms") - pd.Timedelta(self.delay).floor("ms")


@dataclass
class Windows:
    """Every window [start, end) that holds a time, counted from 1970 + start."""

    time: str
    size: str
    slide: str | None = None
    start: str = "0s"

    def of(self, time: pd.Timestamp) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
        size, slide = pd.Timedelta(self.size), pd.Timedelta(self.slide or self.size)
        origin = EPOCH + pd.Timedelta(self.start)
        first = (time - size - origin) // slide
        starts = [origin + k * slide for k in range(first, first + size // slide + 3)]
        return [(start, start + size) for start in starts if start <= time < start + size]


@dataclass
class Groups(Operator):
    """group_by(window, keys).agg(…) in one output mode. `ends` names a raw event-time key; a window ends by itself."""

    mode: str
    keys: Sequence[str]
    aggregates: Mapping[str, tuple[str, ...]]
    windows: Windows | None = None
    ends: str | None = None
    watermarked: bool = True
    groups: dict[tuple[Any, ...], list[Row]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.keys and self.windows is None:
            self.groups[()] = []

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        self.dropped, touched = [], dict.fromkeys([()] if () in self.groups else [])
        for row in rows:
            for key in self._keys(row):
                if self._behind(key, times.late):
                    self.dropped.append(row)
                else:
                    self.groups.setdefault(key, []).append(row)
                    touched[key] = None
        shown = [self._answer(key) for key in self._shown(touched, times)]
        self.groups = {key: held for key, held in self.groups.items() if not self._behind(key, times.evict)}
        return shown

    def _keys(self, row: Row) -> list[tuple[Any, ...]]:
        plain = tuple(row[name] for name in self.keys)
        if self.windows is None:
            return [plain]
        time = row[self.windows.time]
        return [] if time is None else [(*window, *plain) for window in self.windows.of(time)]

    def _end(self, key: tuple[Any, ...]) -> Any:
        if self.windows is not None:
            return key[1]
        return None if self.ends is None else key[list(self.keys).index(self.ends)]

    def _behind(self, key: tuple[Any, ...], watermark: pd.Timestamp | None) -> bool:
        end = self._end(key)
        judged = self.mode in {"append", "update"} and self.watermarked and watermark is not None
        return bool(judged and end is not None and end <= watermark)

    def _shown(self, touched: Iterable[tuple[Any, ...]], times: Times) -> list[tuple[Any, ...]]:
        if self.mode == "append":
            return [key for key in self.groups if self._behind(key, times.evict)]
        return list(touched) if self.mode == "update" else list(self.groups)

    def _answer(self, key: tuple[Any, ...]) -> Row:
        names = [*(("window_start", "window_end") if self.windows else ()), *self.keys]
        rows = self.groups[key]
        columns = {column: [row[column] for row in rows] for _, *of in self.aggregates.values() for column in of}
        table = {"": rows, **columns}
        values = {name: AGGREGATES[how](table, tuple(of)) for name, (how, *of) in self.aggregates.items()}
        return dict(zip(names, key, strict=True)) | values

    def asks(self) -> bool:
        return self.mode in {"append", "update"} and self.watermarked

    def held(self) -> int:
        return len(self.groups)


# -- a query


@dataclass
class Told:
    """One batch: what it gave out, dropped, kept, and the watermark it ran with."""

    rows: list[Row]
    dropped: list[Row]
    held: int
    watermark: pd.Timestamp | None
    no_data: bool


@dataclass
class Twin:
    """A query: one branch of operators an input, joined by union, then a trunk."""

    branches: Sequence[Sequence[Operator]]
    trunk: Sequence[Operator] = ()
    policy: Callable[[Iterable[pd.Timestamp]], pd.Timestamp] = min
    late: pd.Timestamp = EPOCH
    watermark: pd.Timestamp = EPOCH
    told: list[Told] = field(default_factory=list)

    @property
    def operators(self) -> list[Operator]:
        return [*chain(*self.branches), *self.trunk]

    @property
    def marks(self) -> list[Mark]:
        return [operator for operator in self.operators if isinstance(operator, Mark)]

    def batch(self, *inputs: list[Row], no_data: bool = False) -> Told:
        """Run one batch. The watermark moves after it: a row is not late because of its neighbours."""
        times = Times(self.late, self.watermark) if self.marks else Times(None, None)
        inputs = inputs or tuple([] for _ in self.branches)
        parts = [_through(branch, rows, times) for branch, rows in zip(self.branches, inputs, strict=True)]
        rows = _through(self.trunk, [row for part in parts for row in part], times)
        dropped = [row for operator in self.operators for row in operator.dropped]
        held = sum(operator.held() for operator in self.operators)
        told = Told(rows, dropped, held, self.watermark if self.marks else None, no_data)
        self.told.append(told)
        self._advance()
        return told

    def _advance(self) -> None:
        self.late = self.watermark
        if self.marks:
            self.watermark = max(self.watermark, self.policy(mark.candidate() for mark in self.marks))

    def idle(self) -> None:
        """Run the batches without input that are due."""
        while self.told and self.watermark > self.late and any(operator.asks() for operator in self.operators):
            self.batch(no_data=True)


def _through(operators: Iterable[Operator], rows: list[Row], times: Times) -> list[Row]:
    for operator in operators:
        rows = operator.run(rows, times)
    return rows


def at_once(twin: Twin, *inputs: list[Row]) -> list[Row]:
    """Return what the query says of a whole table: no row is late, and every group is given out."""
    for operator in twin.operators:
        if isinstance(operator, Groups):
            operator.mode = "complete"
    return twin.batch(*inputs).rows
