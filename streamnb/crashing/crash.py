"""crash: stop a query at a named point of a batch, start it again, and see what its sink has lost or doubled."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd
import polars as pl

from streamnb.batch_log import Log
from streamnb.crashing import child
from streamnb.crashing.dying import Crashed, Made, dying, hearing, like, made, point_of
from streamnb.crashing.strategies import STRATEGIES, Rows, Strategy, Trying, Write, yours
from streamnb.durable import Store
from streamnb.errors import PlanError, one_of
from streamnb.frame import StreamFrame
from streamnb.query import Query


@dataclass(frozen=True)
class Outcome:
    """What one strategy's sink held after the crash and after the restart, against what it should.

    ``lost`` and ``doubled`` count rows; a row with a wrong value is both. ``half_seen``: between crash and restart a
    reader saw a part of the batch. ``logs``: the newest batch in each log and the rows in the sink, at either time.
    ``reached`` is False if the batch has no such point for this strategy: nothing crashed.
    """

    strategy: Strategy
    expected: int
    held: int
    lost: int
    doubled: int
    half_seen: bool
    reached: bool
    logs: pd.DataFrame
    error: str = ""

    @property
    def right(self) -> bool:
        return not (self.lost or self.doubled or self.error)

    @property
    def verdict(self) -> str:
        """``"exact"``, ``"exact, half seen"``, ``"6 lost"``, ``"6 twice"``, or why it refuses to go on."""
        wrong = [f"{n} {word}" for n, word in ((self.lost, "lost"), (self.doubled, "twice")) if n]
        seen = ", half seen" if self.half_seen else ""
        return self.error or ", ".join(wrong) or f"exact{seen}" + ("" if self.reached else ", did not crash")


@dataclass(frozen=True)
class _Setting:
    """What is crashed: how to open it, which rows each batch gives out, and how rows are told apart."""

    opened: Callable[..., Query]
    emitted: Sequence[pl.DataFrame]
    key: Sequence[str]
    mode: str

    def sink(self, path: Path, strategy: Strategy) -> Trying:
        return Trying(path, strategy, self.key, upsert=self.mode == "update")

    def contents(self, strategy: Strategy, batch: int) -> tuple[Rows, Rows, Rows]:
        """Return what the sink holds before a batch, after it and in the end, when nothing crashes."""
        with tempfile.TemporaryDirectory(prefix="streamnb-crash-") as folder:
            sink, held = self.sink(Path(folder, "sink.db"), strategy), []
            for batch_id, rows in enumerate(self.emitted):
                held += [sink.held(rows.columns)] if batch_id in {batch, batch + 1} else []
                sink.write_polars(batch_id, rows, self.mode)
                sink.hear("batch.end")
            last = sink.held(self.emitted[0].columns)
            return held[0], held[1] if len(held) > 1 else last, last


class _Trial:
    """One strategy on a checkpoint and a sink of its own: crashed, then restarted."""

    def __init__(self, setting: _Setting, strategy: Strategy, folder: Path) -> None:
        self.strategy, self.folder, self._setting = strategy, folder, setting
        folder.mkdir()
        self._columns = setting.emitted[0].columns
        self.reached, self._seen = False, Rows()
        self._logs: list[dict[str, object]] = []

    def crash(self, point: str, batch: int) -> None:
        """Die in this process: the query is dropped as it stands."""
        try:
            with dying(point, batch):
                self._run()
        except Crashed:
            self.reached = True
        self.look("crash")

    def _run(self) -> None:
        sink = self._setting.sink(self.folder / "sink.db", self.strategy)
        checkpoint, name = self.folder / "checkpoint", f"crash of {self.strategy.name!r}"
        with hearing(sink.hear), self._setting.opened(sink=sink, checkpoint=checkpoint, name=name) as query:
            query.run()

    def look(self, when: str) -> Rows:
        held = self._setting.sink(self.folder / "sink.db", self.strategy).held(self._columns)
        self._seen = held if when == "crash" else self._seen
        self._logs.append({"after": when, **_newest(self.folder / "checkpoint"), "sink rows": held.total()})
        return held

    def restart(self, batch: int) -> Outcome:
        """Open the query again from its checkpoint, run it to its end, and compare."""
        error = ""
        try:
            self._run()
        except Exception as raised:  # noqa: BLE001  a query that refuses to go on is an outcome
            error = f"{type(raised).__name__}: {raised}"
        held = self.look("restart")
        before, after, due = self._setting.contents(self.strategy, batch)
        return Outcome(
            self.strategy,
            expected=due.total(),
            held=held.total(),
            lost=(due - held).total(),
            doubled=(held - due).total(),
            half_seen=self.reached and self._seen not in (before, after, Rows()),
            reached=self.reached,
            logs=pd.DataFrame(self._logs),
            error=error,
        )


def _newest(checkpoint: Path) -> dict[str, int | None]:
    """Return the newest batch that was begun, the newest that is done, and the newest whose state is written."""
    log = Log(Store(checkpoint)).load()
    told = {"offsets": log.begun, "commits": log.done, "state": log.with_changes}
    return {what: max(batches, default=None) for what, batches in told.items()}


class Crash:
    """A query that died in one batch, over several strategies of writing. ``restart()`` lets every one go on.

    ``crash["append rows"]`` is the :class:`Outcome` of one, ``table`` has them all.
    """

    def __init__(self, trials: Sequence[_Trial], at: str, batch: int, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.at, self.batch = at, batch
        self._trials, self._folder = trials, folder
        self._outcomes: dict[str, Outcome] = {}

    def restart(self) -> Self:
        """Open every query again from its checkpoint, and run it to the end."""
        if not self._outcomes:
            self._outcomes = {trial.strategy.name: trial.restart(self.batch) for trial in self._trials}
            self._folder.cleanup()
        return self

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcome of every strategy; restarts what has not been restarted."""
        self.restart()
        return self._outcomes

    def __getitem__(self, strategy: str) -> Outcome:
        if strategy not in self.outcomes:
            raise one_of("crash", "strategy", strategy, self.outcomes)
        return self.outcomes[strategy]

    @property
    def right(self) -> bool:
        """True if no strategy lost or doubled a row."""
        return all(outcome.right for outcome in self.outcomes.values())

    @property
    def table(self) -> pd.DataFrame:
        """One row a strategy: its guarantee, rows expected and held, lost, doubled, half seen, verdict."""
        names = ["expected", "held", "lost", "doubled", "half_seen", "right", "verdict"]
        rows = [{name: getattr(outcome, name) for name in names} for outcome in self.outcomes.values()]
        about = [{"strategy": o.strategy.name, "guarantee": o.strategy.guarantee} for o in self.outcomes.values()]
        return pd.DataFrame([a | b for a, b in zip(about, rows, strict=True)])

    def __repr__(self) -> str:
        title = f"Crash in batch {self.batch}, {self.at}"
        if not self._outcomes:
            return f"{title}: {len(self._trials)} queries are dead; restart() lets them go on."
        columns = ["strategy", "guarantee", "expected", "held", "verdict"]
        return f"{title}, restarted\n{self.table[columns].to_string(index=False)}"


def crash(
    query: Query | StreamFrame | Made,
    *,
    batch: int | None = None,
    at: str = "before commit",
    sinks: Write | Mapping[str, Write] | None = None,
    key: str | Sequence[str] | None = None,
    real: bool = False,
) -> Crash:
    """Let a query die in a batch, once for each of five ways of writing to a sink.

    Each gets a checkpoint and a SQLite file of its own in a temporary folder, is run from the beginning of the sources,
    dies, and goes on at ``restart()``. The sources must be able to give their rows again. ``query`` itself is only
    looked at.

    Parameters
    ----------
    query
        A query in append or update mode, or a frame (append mode).
    batch
        The batch to die in; None: the one that gives out most rows.
    at
        ``"before write"``, ``"halfway"``, ``"before commit"``, ``"after commit"`` and others of
        ``streamnb.crashing.dying.MOMENTS``, or a point of ``streamnb.points.POINTS``.
    sinks
        A function ``(rows, batch_id, db)``, or several by name, to try instead of the five: rows are pandas, ``db`` is
        a ``sqlite3`` connection. What is found in tables with the columns of the result counts.
    key
        The columns that tell rows apart, for counting and overwriting; the query's own keys, else all columns.
    real
        Kill a process of its own with SIGKILL instead of raising in this one. ``query`` (and a function in ``sinks``)
        must then be a function whose source can be read, and which imports and reads all it needs itself.

    Raises
    ------
    PlanError
        ``OPTION_INVALID``: no such batch, point or key.
    QueryError
        The other process could not make the query.

    >>> sn.crash(query, batch=8, at="before commit").restart().table[["strategy", "verdict"]]
                         strategy  verdict
    0          commit, then write    exact
    1                 append rows  1 twice
    2            add to a counter  1 twice
    3            overwrite by key    exact
    4  rows and batch id together    exact
    """
    point, setting = point_of(at), _setting(made(query), key)
    batch = _batch(batch, setting.emitted)
    folder = tempfile.TemporaryDirectory(prefix="streamnb-crash-")
    trials = [_Trial(setting, strategy, Path(folder.name, str(n))) for n, strategy in enumerate(ways_of(sinks))]
    if real:
        _kill(trials, query, point, batch, setting)
    else:
        for trial in trials:
            trial.crash(point, batch)
    return Crash(trials, at, batch, folder)


def ways_of(sinks: Write | Mapping[str, Write] | None) -> Sequence[Strategy]:
    """Return the ways of writing to try: the five, or a user's own."""
    if sinks is None:
        return STRATEGIES
    named = sinks if isinstance(sinks, Mapping) else {getattr(sinks, "__name__", "yours"): sinks}
    return [yours(name, write) for name, write in named.items()]


def _setting(query: Query, key: str | Sequence[str] | None) -> _Setting:
    """Run a query's plan once without a crash."""
    mode = query._mode  # noqa: SLF001  a query's own settings
    if mode == "complete":
        raise PlanError("crash: complete mode writes the whole table; use append or update.", code="OPTION_INVALID")
    with like(query)(name="crash, without one") as whole:
        emitted = whole.run()._memory.batches()  # noqa: SLF001  as the sink was given them
    if not emitted:
        raise PlanError("crash: no batch runs, so there is none to die in; feed the source.", code="OPTION_INVALID")
    columns = emitted[0].columns
    chosen = [key] if isinstance(key, str) else list(key or query._optimized.key or columns)  # noqa: SLF001
    if not set(chosen) <= set(columns):
        raise one_of("crash", "key", key, columns)
    return _Setting(like(query), emitted, chosen, mode)


def _batch(batch: int | None, emitted: Sequence[pl.DataFrame]) -> int:
    """Return the batch to die in; unless told, the one that gives out most rows."""
    if batch is None:
        return max(range(len(emitted)), key=lambda n: len(emitted[n]))
    if not 0 <= batch < len(emitted):
        raise PlanError(
            f"crash: batch={batch} never runs; the query runs batches 0 to {len(emitted) - 1}.", code="OPTION_INVALID"
        )
    return batch


def _kill(trials: Sequence[_Trial], make: Any, point: str, batch: int, setting: _Setting) -> None:
    """Kill a process for each trial."""
    if isinstance(make, Query | StreamFrame):
        raise PlanError(
            "crash: real=True kills another process, which has not this query; give a function that makes it.",
            code="OPTION_INVALID",
        )
    tasks = [child.Task(str(t.folder), t.strategy.name, point, batch, list(setting.key)) for t in trials]
    died = child.run(make, [trial.strategy.write for trial in trials], tasks)
    for trial, killed in zip(trials, died, strict=True):
        trial.reached = killed
        trial.look("crash")
