"""Lesson 15: change the rules while it runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from streamnb import registry
from streamnb.frame import StreamFrame
from streamnb.learn import simulate
from streamnb.learn.exercise import Exercise, Told, World, Wrong
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
        try:
            change(query, better, at_batch)
            shadows = [other for other in registry.queries() if other not in before]
            _only_prepared(query)
            _side_by_side(query, shadows, at_batch)
            return query.run().result if shadows or query.plan is not plan else None
        finally:
            for other in registry.queries():
                if other not in before:
                    other.stop()


def _only_prepared(query: Query) -> None:
    if len(query.progress) > _RUN_BEFORE:
        raise Told("q has done batches inside change; it only prepares, and at_batch of switch_to waits for its batch")


def _side_by_side(query: Query, shadows: Sequence[Query], at_batch: int) -> None:
    """Step a query up to the last batch before ``at_batch``, and see that its shadows do its batches, and no others."""
    for batch_id in range(_RUN_BEFORE, at_batch):
        query.step()
        for shadow in (one for one in shadows if one.status != "stopped"):
            done = shadow.run().last_progress
            if done is not None and done.batch_id > batch_id:
                raise Told("your second query goes its own way: it is no fork, as q.fork(query=better) is")


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
