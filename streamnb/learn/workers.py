"""workers: real keys on simulated workers, to see who waits for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import polars as pl

from streamnb.errors import PlanError
from streamnb.frame import StreamFrame
from streamnb.learn.schedule import Load, schedule
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.per_key import PerKey
from streamnb.plan import Node
from streamnb.spark.forecast import keys_of
from streamnb.spark.murmur import partitions
from streamnb.views.gantt import Schedule, controls, gantt_sheet
from streamnb.views.inspectors import Exhibit
from streamnb.views.shapes import Sheet

_KEYED = (GroupBy, Deduplication, Join, PerKey)
_SALT = "__salt"
_MOST_SALTED = 200


class Workers(Exhibit):
    """Who worked when. ``end`` in seconds, ``idle`` the share of worker-time in which nobody worked, ``table``."""

    def __init__(self, shown: _Shown) -> None:
        super().__init__(shown)
        self._shown = shown

    @property
    def end(self) -> float:
        """When the last worker is done, in seconds."""
        return self._shown.schedule().end

    @property
    def idle(self) -> float:
        """The share of worker-time in which nobody works, from 0 to 1."""
        return self._shown.schedule().idle

    @property
    def table(self) -> pd.DataFrame:
        """A row a worker: its keys, its rows and the seconds it works."""
        plan = self._shown.schedule()
        rows = []
        for worker in range(plan.workers):
            mine = [task for task in plan.tasks if task.worker == worker]
            keys = ", ".join(dict.fromkeys(task.key for task in mine if task.stage == 0))
            busy = sum(task.end - task.start for task in mine)
            rows.append((worker, keys, sum(task.rows for task in mine), round(busy, 3)))
        return pd.DataFrame(rows, columns=["worker", "keys", "rows", "busy"])


def workers(
    what: Any, n: int = 8, *, slow: Mapping[int, float] | None = None, salt: int = 1, backup: bool = False
) -> Workers:
    """Show how ``n`` workers would share the rows of some keys. Simulated workers, real keys.

    Parameters
    ----------
    what
        A frame: each of its operators with keys is a stage, fed with the rows that the frame's source holds now. Or
        keys: a series, a list, or a table with one column or several; ``salt`` then cuts each key into so many.
    slow
        Workers that take longer, by number, and how many times longer: ``{3: 4.0}``.
    backup
        Let a worker that has nothing to do begin a copy of the task that would end last.

    A key's rows go to the worker that Spark's hash names among ``n`` (Murmur3, as in ``sn.forecast``), a row takes a
    millisecond there, and a stage begins when the one below it has ended. What comes before the first of them, such as
    reading, is left out, and so is the adding up that Spark does before it sends rows.

    Errors: PlanError ``OPTION_INVALID`` for a frame without keys, a worker that is not there, or a factor below 1.

    >>> sn.workers(flights.group_by("origin").agg(n=sn.count()), n=4)
    4 workers are done after 0.14 s, and idle 75% of that time.
    """
    given = dict(slow or {})
    if n < 1 or salt < 1:
        raise PlanError(f"workers: n={n!r}, salt={salt!r}; give 1 or more of each.", code="OPTION_INVALID")
    wrong = [worker for worker, factor in given.items() if worker not in range(n) or not factor >= 1]
    if wrong:
        raise PlanError(
            f"workers: slow={given!r}: worker {wrong[0]} is none of 0 to {n - 1}, or its factor is below 1; "
            "write {3: 4.0} for one that takes four times as long.",
            code="OPTION_INVALID",
        )
    frame = isinstance(what, StreamFrame)
    stages = _stages(what) if frame else [_table(what)]
    return Workers(_Shown(stages, n, given, None if frame else salt, backup=backup))


class _Shown:
    """The keys of each stage, and what the reader has set."""

    def __init__(
        self, stages: Sequence[pl.DataFrame], n: int, slow: dict[int, float], salt: int | None, *, backup: bool
    ) -> None:
        self._stages, self._n, self._slow, self._salt, self._backup = stages, n, slow, salt, backup

    def schedule(self) -> Schedule:
        stages = list(self._stages)
        if self._salt is not None and self._salt > 1:
            (keys,) = stages
            salted = keys.with_columns((pl.int_range(pl.len()) % self._salt).alias(_SALT))
            stages = [salted, salted.unique(maintain_order=True).drop(_SALT)]
        return schedule([_loads(keys, self._n) for keys in stages], self._n, self._slow, backup=self._backup)

    def sheet(self) -> Sheet:
        worker, factor = next(iter(self._slow.items()), (0, 1.0))
        return gantt_sheet(self.schedule(), controls(self._n, self._salt, (worker, factor), backup=self._backup))

    def hear(self, name: str, value: Any) -> None:
        """Take a number of workers, a salt, a slow worker or how slow it is."""
        worker, factor = next(iter(self._slow.items()), (0, 1.0))
        if name == "n":
            self._n = int(value)
            self._slow = {min(worker, self._n - 1): factor}
        elif name == "salt":
            self._salt = int(value)
        elif name == "backup":
            self._backup = value == "yes"
        elif name in {"worker", "factor"}:
            self._slow = {int(value): factor} if name == "worker" else {worker: float(value)}

    def choices(self) -> Mapping[str, Sequence[Any]]:
        """Return what a page keeps: few of each, and all ways to put them together."""
        worker, factor = next(iter(self._slow.items()), (0, 1.0))
        salts = {} if self._salt is None else {"salt": sorted({*self._salts(), self._salt})}
        return {
            "n": sorted({2, 3, 4, 8, 16, self._n}),
            **salts,
            "worker": sorted({0, 3, worker}),
            "factor": sorted({1.0, 2.0, 4.0, factor}),
            "backup": ["no", "yes"],
        }

    def _salts(self) -> list[int]:
        """Return salts that make no more than a few hundred keys."""
        keys = self._stages[0].n_unique()
        return [1, *(salt for salt in (2, 4, 8) if keys * salt <= _MOST_SALTED)]


def _stages(frame: StreamFrame) -> list[pl.DataFrame]:
    """Return the keys of the rows that come to each operator with keys, the lowest first."""
    nodes: list[Node] = [node for node in frame.node.walk() if isinstance(node, _KEYED)]
    if not nodes:
        raise PlanError(
            "workers: the frame has no operator with keys, so any worker may take any row; group it by something.",
            code="OPTION_INVALID",
        )
    return [keys_of(node, [pl.from_pandas(StreamFrame(below).collect()) for below in node.inputs]) for node in nodes]


def _table(keys: Any) -> pl.DataFrame:
    if isinstance(keys, pd.DataFrame | pd.Series):
        found = pl.from_pandas(pd.DataFrame(keys).reset_index(drop=True))
    else:
        found = keys if isinstance(keys, pl.DataFrame) else pl.DataFrame({"key": list(keys)})
    return found.with_columns(pl.col(pl.Null).cast(pl.String))


def _loads(keys: pl.DataFrame, n: int) -> list[Load]:
    """Return the rows of every key and the worker it lives on, in order of appearance."""
    counted = keys.group_by(keys.columns, maintain_order=True).len("__rows")
    named = counted.drop("__rows")
    names = [" · ".join("null" if part is None else str(part) for part in row) for row in named.rows()]
    where = partitions(named, n).tolist() if len(named) else []
    return list(zip(names, where, counted["__rows"].to_list(), strict=True))
