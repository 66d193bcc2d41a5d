"""Lesson 10: a table others read."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from streamnb import data, from_pandas
from streamnb.aggregates import last, max, max_by
from streamnb.frame import StreamFrame
from streamnb.learn import chaos
from streamnb.learn.exercise import Exercise, World, Wrong


def _worlds() -> Sequence[World]:
    days = {"2013-02-08": 5, "2013-02-11": 6}
    return [World(f"the news of {day}", (_status(day, seed),)) for day, seed in days.items()]


def _status(day: str, seed: int) -> StreamFrame:
    flights = data.flights().dropna(subset=["dep", "arr"])
    flights = flights[flights["sched_dep"].dt.strftime("%Y-%m-%d") == day]
    boarding = flights["sched_dep"] - pd.Timedelta("30 min")
    times = {"boarding": boarding, "departed": flights["dep"], "landed": flights["arr"]}
    parts = [
        pd.DataFrame({"flight_id": flights["flight_id"], "state": s, "at": at, "heard": at}) for s, at in times.items()
    ]
    return chaos.delay(from_pandas(pd.concat(parts), arrival="heard", every="10 min"), 1 / 3, by="5 hours", seed=seed)


def _newest(status: StreamFrame) -> pd.DataFrame:
    rows = status.collect().sort_values("at", kind="stable")
    return rows.groupby("flight_id").tail(1)[["flight_id", "state", "at"]]


def _board(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=max_by("state", "at"), at=max("at"))


def _as_heard(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=last("state"), at=last("at"))


def _half(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=last("state"), at=max("at"))


EXERCISES = (
    Exercise(
        name="10.A",
        oracle=_newest,
        worlds=_worlds,
        solution=_board,
        mode="update",
        wrong=(
            Wrong("that is the news that came last, not the newest: last goes by arrival", _as_heard),
            Wrong("the time is the newest, the state is the one that came last", _half),
            Wrong(
                "every piece of news is a line; a flight has one",
                lambda status: status.select("flight_id", "state", "at"),
            ),
        ),
        hints=(
            "One line a flight: group_by('flight_id').",
            "sn.max_by('state', 'at') is the state at the greatest at.",
            "The line says at too: sn.max('at').",
        ),
        shown="""def board(status):
    return status.group_by("flight_id").agg(state=sn.max_by("state", "at"), at=sn.max("at"))""",
    ),
)
