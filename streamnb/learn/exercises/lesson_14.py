"""Lesson 14: the slow worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from streamnb import col, data
from streamnb.aggregates import count, mean, sum
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, World, Wrong, collected
from streamnb.learn.workers import workers

LEAST_IDLE = 1 / 3
_STORM = ("2013-02-08", "2013-02-09", "2013-02-10")


def _worlds() -> Sequence[World]:
    return [
        World("the reports of six days", (data.landings(),)),
        World("the days of the storm", (data.landings(day=_STORM),)),
    ]


def _mean_delay(rows: StreamFrame) -> pd.DataFrame:
    delays = rows.collect().groupby("origin")["dep_delay"].mean()
    return delays.rename("mean_delay").reset_index()


def _salted(rows: StreamFrame) -> StreamFrame:
    return rows.with_columns(salt=col("flight") % 16)


def _two_stages(rows: StreamFrame) -> StreamFrame:
    part = _salted(rows).group_by("origin", "salt").agg(total=sum("dep_delay"), n=count())
    full = part.group_by("origin").agg(total=sum("total"), n=sum("n"))
    return full.with_columns(mean_delay=col("total") / col("n")).select("origin", "mean_delay")


def _mean_of_means(rows: StreamFrame) -> StreamFrame:
    part = _salted(rows).group_by("origin", "salt").agg(each=mean("dep_delay"))
    return part.group_by("origin").agg(mean_delay=mean("each"))


def _first_stage(rows: StreamFrame) -> StreamFrame:
    return _salted(rows).group_by("origin", "salt").agg(mean_delay=mean("dep_delay")).select("origin", "mean_delay")


def _by_parts(rows: StreamFrame) -> StreamFrame:
    part = _salted(rows).group_by("origin", "salt").agg(total=sum("dep_delay"))
    full = part.group_by("origin").agg(total=sum("total"), n=count())
    return full.with_columns(mean_delay=col("total") / col("n")).select("origin", "mean_delay")


def _waiting(answer: Callable[[StreamFrame], StreamFrame]) -> str | None:
    """Say how much the workers wait, where that is too much."""
    frames = [answer(*world.arguments) for world in _worlds()]
    if not all(isinstance(frame, StreamFrame) for frame in frames):
        return "give the frame itself: of a query nobody can say how workers would share it"
    idle = max(workers(frame).idle for frame in frames)
    told = f"the means are right; but eight workers are idle {idle:.0%} of the time, and under a third is asked"
    return told if idle > LEAST_IDLE else None


EXERCISES = (
    Exercise(
        name="14.A",
        oracle=_mean_delay,
        worlds=_worlds,
        solution=_two_stages,
        then=collected,
        must=_waiting,
        wrong=(
            Wrong("a mean of means: a part with few flights weighs as much as one with many", _mean_of_means),
            Wrong("that is the first stage: each airport still has a row for each salt", _first_stage),
            Wrong("the second stage counts parts, not flights: add up the first stage's counts", _by_parts),
        ),
        hints=(
            "What can be added up? Sums can, and counts; means cannot.",
            "First stage: total and n by origin and salt. Second: the sums of both by origin.",
            "The salt is any column that splits an airport's flights: col('flight') % 16. Some numbers hash luckier.",
        ),
        shown="""def mean_delay(rows):
    salted = rows.with_columns(salt=col("flight") % 16)
    part = salted.group_by("origin", "salt").agg(total=sn.sum("dep_delay"), n=sn.count())
    full = part.group_by("origin").agg(total=sn.sum("total"), n=sn.sum("n"))
    return full.with_columns(mean_delay=col("total") / col("n")).select("origin", "mean_delay")""",
    ),
)
