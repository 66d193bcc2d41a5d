"""Lesson 15: change the rules while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from streamnb import registry
from streamnb.frame import StreamFrame
from streamnb.learn import simulate
from streamnb.learn.exercise import Exercise, World, Wrong
from streamnb.query import Query

Change = Callable[[Query, StreamFrame, int], Any]
_RUN_BEFORE = 6
"""Batches that the query has done before it is changed."""


def _worlds() -> Sequence[World]:
    told = {"the payments of another bank": (1, "2 hours", 12), "those of a third": (2, "3 hours", 8)}
    return [World(name, arguments) for name, arguments in told.items()]


def _decided(seed: int, every: str, at_batch: int) -> pd.DataFrame:
    """Return which rules decide each payment, in plain pandas: a batch is what arrived within ``every``."""
    rows = simulate.payments(seed, every=every).collect()
    ends = rows["arrived"].dt.ceil(pd.Timedelta(every))
    batch = ends.rank(method="dense").astype(int) - 1
    return pd.DataFrame({"id": rows["id"], "rule": (batch >= at_batch).map({False: "old", True: "new"})})


def _tried(change: Change, seed: int, every: str, at_batch: int) -> pd.DataFrame | None:
    """Run the old rules for a while, have them changed, and run on; None if nothing was done to the query."""
    payments = simulate.payments(seed, every=every)
    old, better = (payments.map_batches(_marked(rule), {"id": "string", "rule": "string"}) for rule in ("old", "new"))
    with old.query(name="the check's") as query:
        for _ in range(_RUN_BEFORE):
            query.step()
        before, plan = registry.queries(), query.plan
        change(query, better, at_batch)
        touched = query.plan is not plan or registry.queries() != before
        result = query.run().result
    for other in registry.queries():
        if other not in before:
            other.stop()
    return result if touched else None


def _marked(rule: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda rows: rows[["id"]].assign(rule=rule)


def _solution(q: Query, better: StreamFrame, at_batch: int) -> None:
    shadow = q.fork(query=better)
    q.switch_to(shadow, at_batch=at_batch)


def _at_once(q: Query, better: StreamFrame, at_batch: int) -> None:  # noqa: ARG001
    q.evolve(better)


def _too_late(q: Query, better: StreamFrame, at_batch: int) -> None:
    q.switch_to(q.fork(query=better), at_batch=at_batch + 1)


def _never(q: Query, better: StreamFrame, at_batch: int) -> None:  # noqa: ARG001
    q.fork(query=better)


EXERCISES = (
    Exercise(
        name="15.A",
        oracle=_decided,
        worlds=_worlds,
        solution=_solution,
        trial=_tried,
        wrong=(
            Wrong("the new rules decided at once: evolve does not wait for at_batch, switch_to does", _at_once),
            Wrong("one batch too late: at_batch is the first that the new rules decide", _too_late),
            Wrong("the shadow runs, and never takes over: switch q to it", _never),
        ),
        hints=(
            "What would the new rules have to remember? Here nothing is remembered, so any batch boundary will do.",
            "q.fork(query=better) goes on from where q stands, beside it.",
            "q.switch_to(shadow, at_batch=at_batch) waits for the batch; what comes before stays with the old rules.",
        ),
        shown="""def change(q, better, at_batch):
    shadow = q.fork(query=better)
    q.switch_to(shadow, at_batch=at_batch)""",
    ),
)
