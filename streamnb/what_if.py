"""What if: one recording under several settings; what each costs, and whom it costs most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Protocol

import numpy as np
import pandas as pd
import polars as pl

from streamnb import display
from streamnb.answers.cards import NOTE, Card, Line, plural
from streamnb.answers.lineage import numbered, with_delay
from streamnb.answers.trial import Outcome, Unit, readable, recorded, run
from streamnb.answers.worst import Worst, worst
from streamnb.check import check
from streamnb.errors import PlanError
from streamnb.inputs import Inputs, own_sources
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.optimize import optimize
from streamnb.plan import Node
from streamnb.query import Query
from streamnb.time import SystemClock, Watermark, duration, spell

_COLUMNS = ["delay", "output_mode", "trigger"]
Several = Sequence[Any] | Any


class _Frame(Protocol):
    @property
    def node(self) -> Node: ...


@dataclass(frozen=True)
class Setting:
    """One choice of settings; None: as the query has it."""

    delay: pd.Timedelta | None
    output_mode: str
    trigger: pd.Timedelta | None


@dataclass(frozen=True, eq=False)
class Result:
    """What came of one setting.

    ``rows`` were read, ``dropped`` of them in some window as late, so ``completeness`` is the share never dropped.
    ``latency`` is the median time from reading a row to the first result with it in, over the ``counted`` rows that
    are in one; ``wait`` the median from the end of a window to its first result, where rows tell when they arrived.
    ``state_rows`` and ``state_bytes`` are the most that was kept, ``written`` the rows given to the sink. ``best``: no
    other setting is as good in completeness, latency and state, and better in one. ``worst`` is the group that loses
    the largest share of its rows, ``slow`` says how slow all dropped rows were.
    """

    setting: Setting
    rows: int
    dropped: int
    counted: int
    completeness: float
    latency: pd.Timedelta | None
    wait: pd.Timedelta | None
    state_rows: int
    state_bytes: int
    written: int
    batches: int
    worst: Worst | None
    slow: Worst | None
    best: bool = False


@dataclass(frozen=True, eq=False)
class WhatIf(Card):
    """The settings side by side: ``results`` in the order tried, ``frontier`` those that no other beats, ``table``.

    ``own`` is the place among ``results`` of the query's own setting, if that was tried.
    """

    results: tuple[Result, ...]
    varied: tuple[str, ...] = field(default=())
    own: int | None = None

    __repr__ = Card.__repr__

    def _ipython_display_(self) -> None:
        display.answer(self)

    def name(self, result: Result) -> str:
        """Return a setting in few words: the values of what differs, such as ``3 hours, update, every 30 minutes``."""
        values = ((name, _word(getattr(result.setting, name))) for name in self.varied)
        return ", ".join(f"every {value}" if name == "trigger" else value for name, value in values) or "as it is"

    @property
    def frontier(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.best)

    @property
    def title(self) -> str:
        least, most = (f(r.completeness for r in self.results) for f in (min, max))
        return (
            f"{plural(len(self.results), 'setting')}, {plural(self.results[0].rows, 'row')}: completeness from "
            f"{least:.1%} to {most:.1%}, {len(self.frontier)} on the frontier."
        )

    @property
    def lines(self) -> tuple[Line, ...]:
        told = [r for r in self.results if r.dropped]
        return tuple(Line(NOTE, f"{_named(r.setting, self.varied)}: {_whom(r)}") for r in told)

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame([self._row(result) for result in self.results])

    def _row(self, result: Result) -> dict[str, Any]:
        setting = {name: getattr(result.setting, name) for name in self.varied}
        return {
            **setting,
            "completeness": result.completeness,
            "dropped": result.dropped,
            "latency": result.latency,
            "wait": result.wait,
            "state_rows": result.state_rows,
            "written": result.written,
            "batches": result.batches,
            "worst_group": "" if result.worst is None else result.worst.name,
            "worst_completeness": 1.0 if result.worst is None else 1 - result.worst.share,
            "best": result.best,
        }


def _named(setting: Setting, varied: Sequence[str]) -> str:
    return ", ".join(f"{name} {_word(getattr(setting, name))}" for name in varied) or "as it is"


def _word(value: Any) -> str:
    return spell(value // pd.Timedelta(1, "us")) if isinstance(value, pd.Timedelta) else str(value)


def _whom(result: Result) -> str:
    parts = [f"{plural(result.dropped, 'row')} dropped"]
    if result.slow is not None:
        parts.append(f"all of them {result.slow.name} ({result.slow.dropped} of the {result.slow.rows} that were)")
    if result.worst is not None:
        worst = result.worst
        parts.append(f"worst hit: {worst.name}, {worst.dropped} of {worst.rows}")
    return "; ".join(parts)


def what_if(
    query: Query | _Frame,
    *,
    delay: Several = None,
    output_mode: Several = None,
    trigger: Several = None,
    by: Sequence[str] | str | None = None,
) -> WhatIf:
    """Run one recording under several settings and compare completeness, latency and state.

    Parameters
    ----------
    query
        A query: what it has read so far. Or a frame: what its sources hold now.
    delay
        Delays of the watermark to try, of every ``with_watermark``.
    output_mode
        Output modes to try; one that the plan cannot run in is a PlanError.
    trigger
        Durations between batches to try: rows are cut anew by their column of arrival, or by the batches' times.
    by
        Columns whose groups may be the worst hit; all that have few values, if not given.

    State: none; sources are read again, and functions of your own in the plan are called again. Spark: none.

    >>> sn.what_if(query, delay=["1 hour", "3 hours"]).table[["dropped", "worst_group"]]
       dropped worst_group
    0       52    dest=SFO
    1       23  carrier=UA
    """
    case = _Case.of(query)
    varied = {"delay": delay, "output_mode": output_mode, "trigger": trigger}
    settings = [
        Setting(d, m or case.output_mode, t)
        for d, m, t in product(_durations(delay), _several(output_mode), _durations(trigger))
    ]
    results = [case.result(setting, [by] if isinstance(by, str) else by) for setting in settings]
    own = next((n for n, setting in enumerate(settings) if case.is_own(setting)), None)
    return WhatIf(_marked(results), tuple(name for name, given in varied.items() if given is not None), own)


def _several(value: Several) -> list[Any]:
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def _durations(value: Several) -> list[pd.Timedelta | None]:
    return [None if v is None else pd.Timedelta(duration(v, "what_if", months=True), "us") for v in _several(value)]


def _marked(results: Sequence[Result]) -> tuple[Result, ...]:
    return tuple(replace(r, best=not any(_beats(other, r) for other in results)) for r in results)


def _costs(result: Result) -> tuple[float, ...]:
    latency = result.latency.total_seconds() if result.latency is not None else float("inf")
    return 1 - result.completeness, latency, result.state_rows


def _beats(one: Result, other: Result) -> bool:
    pairs = list(zip(_costs(one), _costs(other), strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@dataclass(frozen=True, eq=False)
class _Case:
    """What is run again: the plan as written, its mode, and the units of input with their rows numbered."""

    plan: Node
    output_mode: str
    watermark: Watermark
    units: Sequence[Unit]
    rows: pl.DataFrame
    event_time: str | None
    arrival: str | None
    no_data: bool = True

    @classmethod
    def of(cls, query: Query | _Frame) -> _Case:
        if isinstance(query, Query):
            recording = query.recording()
            plan, mode = query.plan, recording.output_mode
            units, watermark = recorded(recording), recording.watermark
            frames = [rows for batch in recording.inputs for rows in batch]
        else:
            plan, mode, watermark = own_sources(query.node), _mode_of(query.node), Watermark()
            units, frames = _units_of(plan)
        if not units:
            raise PlanError("what_if: nothing is read yet; run the query first.", code="NOTHING_RECORDED")
        rows = pl.concat(frames, how="diagonal_relaxed")
        marks = [node for node in plan.walk() if isinstance(node, WithWatermark)]
        event_time = next((m.event_time for m in marks if m.event_time in rows.columns), None)
        sources = [node.source for node in plan.walk() if isinstance(node, Read)]
        arrivals = {getattr(source, "arrival", None) for source in sources}
        return cls(plan, mode, watermark, units, rows, event_time, arrivals.pop() if len(arrivals) == 1 else None)

    def is_own(self, setting: Setting) -> bool:
        """Tell whether a setting is the one that the query, or the frame, has."""
        delays = {node.delay for node in self.plan.walk() if isinstance(node, WithWatermark)}
        same = setting.delay is None or delays == {setting.delay // pd.Timedelta(1, "us")}
        return same and setting.output_mode == self.output_mode and setting.trigger is None

    def result(self, setting: Setting, by: Sequence[str] | None) -> Result:
        plan = self.plan if setting.delay is None else self._delayed(setting.delay)
        check(plan, setting.output_mode, multiple_stateful=not self.watermark.single)
        units = self.units if setting.trigger is None else self._cut(setting.trigger)
        outcome = run(optimize(plan), setting.output_mode, self.watermark, units, len(self.rows))
        return self._told(setting, outcome, by)

    def _delayed(self, delay: pd.Timedelta) -> Node:
        marks = sum(isinstance(node, WithWatermark) for node in self.plan.walk())
        if not marks:
            raise PlanError("what_if: delay= with a plan without with_watermark; declare one.", code="OPTION_INVALID")
        return with_delay(self.plan, dict.fromkeys(range(1, marks + 1), delay // pd.Timedelta(1, "us")))

    def _cut(self, trigger: pd.Timedelta) -> list[Unit]:
        """Return the rows cut anew, by when they arrived: what has come when a trigger fires is one batch."""
        step = trigger // pd.Timedelta(1, "us")
        found: dict[int, dict[int, list[pl.DataFrame]]] = {}
        for unit in self.units:
            for source, rows in unit.rows.items():
                for at, part in _by_tick(rows, self.arrival, unit.time, step):
                    found.setdefault(at, {}).setdefault(source, []).append(part)
        empty = {source: rows.clear() for source, rows in self.units[0].rows.items()}
        return [
            Unit(at, empty | {source: pl.concat(parts) for source, parts in found[at].items()}) for at in sorted(found)
        ]

    def _told(self, setting: Setting, outcome: Outcome, by: Sequence[str] | None) -> Result:
        there = (outcome.first_at >= 0) & (outcome.read_at >= 0)
        latency = (outcome.first_at - outcome.read_at)[there]
        waits = outcome.waits if self.arrival is not None else []
        dropped = int(outcome.dropped.sum())
        return Result(
            setting=setting,
            rows=len(self.rows),
            dropped=dropped,
            counted=int(there.sum()),
            completeness=1 - dropped / len(self.rows) if len(self.rows) else 1.0,
            latency=_median(latency.tolist()),
            wait=_median(waits),
            state_rows=outcome.state_rows,
            state_bytes=outcome.state_bytes,
            written=outcome.written,
            batches=outcome.batches,
            worst=worst(self.rows, outcome.dropped, by, without={self.event_time, self.arrival}),
            slow=self._slow(outcome.dropped),
        )

    def _slow(self, dropped: np.ndarray[Any, Any]) -> Worst | None:
        """Return the rows as slow as the quickest dropped one, in whole hours or minutes."""
        if self.event_time is None or self.arrival is None or not dropped.any():
            return None
        took = (self.rows[self.arrival] - self.rows[self.event_time]).dt.total_microseconds().to_numpy()
        quickest = int(np.nanmin(took[dropped]))
        unit = 3_600_000_000 if quickest >= 3_600_000_000 else 60_000_000
        bound = quickest // unit * unit
        if bound <= 0:
            return None
        rows = int((took >= bound).sum())
        return Worst("", f"arrived {spell(bound)} or more after they happened", rows, int(dropped.sum()))


def _median(values: Sequence[int]) -> pd.Timedelta | None:
    return pd.Timedelta(int(np.median(values)), "us") if len(values) else None


def _by_tick(rows: pl.DataFrame, arrival: str | None, time: int, step: int) -> Iterator[tuple[int, pl.DataFrame]]:
    if arrival is None or arrival not in rows.columns:
        if len(rows):
            yield -(-time // step) * step, rows
        return
    ticks = -(-rows[arrival].to_physical().to_numpy() // step) * step
    for at in np.unique(ticks).tolist():
        yield at, rows.filter(ticks == at)


def _mode_of(plan: Node) -> str:
    """Return the first mode that a frame can run in."""
    for mode in ("append", "update", "complete"):
        try:
            check(plan, mode)
        except PlanError:
            continue
        return mode
    check(plan, "append")
    return "append"


def _units_of(plan: Node) -> tuple[list[Unit], list[pl.DataFrame]]:
    inputs = Inputs([node.source for node in plan.walk() if isinstance(node, Read)])
    units, frames, start = [], [], 0
    for time, batch in readable(inputs.sources, inputs, SystemClock().now()):
        rows: Mapping[int, pl.DataFrame] = {}
        for source, own in zip(inputs.sources, batch, strict=True):
            rows = {**rows, id(source): numbered(own, start)}
            start += len(own)
        units.append(Unit(time, rows))
        frames += batch
    return units, frames
