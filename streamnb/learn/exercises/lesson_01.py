"""Lesson 01: objects or columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from streamnb import col, data
from streamnb.aggregates import count, sum
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, World, Wrong
from streamnb.ops.filter import Filter
from streamnb.optimize import optimize
from streamnb.query import Query
from streamnb.views.plan_nodes import OPAQUE


def _worlds() -> Sequence[World]:
    days = {"2013-02-07": "1 day", "2013-02-10": "6 hours"}
    return [World(f"{day}, {every} a batch", (data.landings(day=day, every=every),)) for day, every in days.items()]


def _flown(rows: StreamFrame) -> pd.DataFrame:
    flown = rows.collect()
    return flown[flown["origin"] == "LGA"].groupby("carrier", as_index=False)[["distance"]].sum().set_axis(
        ["carrier", "miles"], axis=1
    )  # fmt: skip


def _miles(rows: StreamFrame) -> StreamFrame:
    return rows.filter(col("origin") == "LGA").group_by("carrier").agg(miles=sum("distance"))


def _each_batch(rows: StreamFrame) -> StreamFrame:
    def add(batch: pd.DataFrame) -> pd.DataFrame:
        lga = batch[batch["origin"] == "LGA"]
        return lga.groupby("carrier", as_index=False)[["distance"]].sum().set_axis(["carrier", "miles"], axis=1)

    return rows.map_batches(add, {"carrier": "string", "miles": "int64"})


def _hidden(answer: Callable[[StreamFrame], StreamFrame | Query]) -> str | None:
    """Say what of a right answer the planner cannot see, or cannot move."""
    found = answer(data.landings(day="2013-02-07"))
    plan = optimize(found.node) if isinstance(found, StreamFrame) else found.plans[0]
    nodes = list(plan.walk())
    opaque = next((node.verb for node in nodes if node.verb in OPAQUE), None)
    if opaque:
        return f"the planner cannot look inside {opaque}: your function is handed every column"
    return None if isinstance(nodes[1], Filter) else f"{nodes[1].verb} stands below the filter, and sees every row"


EXERCISES = (
    Exercise(
        name="01.A",
        oracle=_flown,
        worlds=_worlds,
        solution=_miles,
        mode="update",
        but=_hidden,
        wrong=(
            Wrong(
                "that counts flights; a + b adds their miles",
                lambda rows: rows.filter(col("origin") == "LGA").group_by("carrier").agg(miles=count()),
            ),
            Wrong(
                "the flights of all airports are in there: the filter is missing",
                lambda rows: rows.group_by("carrier").agg(miles=sum("distance")),
            ),
            Wrong(
                "those are flights to LGA: dest is where a plane lands",
                lambda rows: rows.filter(col("dest") == "LGA").group_by("carrier").agg(miles=sum("distance")),
            ),
            Wrong("each batch is added up by itself, as reduce_by_key does; group_by goes on adding", _each_batch),
        ),
        hints=(
            "reduce_by_key is group_by: the key goes there, and what a + b does becomes an aggregate.",
            "The filter is filter(col(…) == …); map only chose columns, and a plan does that by itself.",
            'group_by("carrier").agg(miles=sn.sum("distance")); then sn.plan(…) to see where the filter runs.',
        ),
        shown="""def miles(rows):
    lga = rows.filter(col("origin") == "LGA")
    return lga.group_by("carrier").agg(miles=sn.sum("distance"))""",
    ),
)
