"""Lesson 10: a table others read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd

from streamnb import data, from_pandas
from streamnb.aggregates import last, max, max_by
from streamnb.frame import StreamFrame
from streamnb.learn import chaos, simulate
from streamnb.learn.exercise import Exercise, Told, World, Wrong


def _worlds() -> Sequence[World]:
    return [
        World("the news of 2013-02-08", (_status("2013-02-08", 5),)),
        World("a dozen flights, their news in 100 orders", (_in_orders(100),)),
    ]


def _in_orders(orders: int) -> StreamFrame:
    """Stream the news of a dozen flights once for each order, under names of their own."""
    news = _status("2013-02-11", 0).collect().sort_values(["flight_id", "at"]).head(36)
    heard = pd.date_range("2013-02-11", periods=len(news), freq="1min")
    named = (news.assign(flight_id=news["flight_id"] + f" #{n}") for n in range(orders))
    shuffled = [rows.sample(frac=1, random_state=n).assign(heard=heard) for n, rows in enumerate(named)]
    return from_pandas(pd.concat(shuffled), arrival="heard", every="10 min")


def _status(day: str, seed: int) -> StreamFrame:
    flights = data.flights().dropna(subset=["dep", "arr"])
    flights = flights[flights["sched_dep"].dt.strftime("%Y-%m-%d") == day]
    boarding = flights["sched_dep"] - pd.Timedelta("30 min")
    times = {"boarding": boarding, "departed": flights["dep"], "arrived": flights["arr"]}
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


def _greatest(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=max("state"), at=max("at"))


def _first(status: StreamFrame) -> StreamFrame:
    return status.drop_duplicates(["flight_id"]).select("flight_id", "state", "at")


def _by_hearing(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=max_by("state", "heard"), at=max("at"))


def _half(status: StreamFrame) -> StreamFrame:
    return status.group_by("flight_id").agg(state=last("state"), at=max("at"))


# -- B: the visitors of a shop now


def _visits() -> Sequence[World]:
    times = {11: "2026-03-02 09:10", 12: "2026-03-02 10:25"}
    return [World(f"the clicks of another day at {now[11:]}", _served(seed, now)) for seed, now in times.items()]


def _served(seed: int, now: str) -> tuple[sqlite3.Connection, pd.Timestamp]:
    """Return a table as a stream serves it by version: the newest click of each visitor so far."""
    clicks, at = simulate.clicks(seed).collect(), pd.Timestamp(now)
    newest = clicks[clicks["arrived"] <= at].sort_values("at").groupby("user").tail(1)
    db = sqlite3.connect(":memory:")
    newest.assign(at=newest["at"].astype(str))[["user", "page", "at"]].to_sql("visits", db, index=False)
    return db, at


def _now(db: sqlite3.Connection, now: pd.Timestamp, last: str = "30 min") -> pd.DataFrame:
    """Count in plain pandas whose newest click is at most so old, by its page."""
    visits = pd.read_sql("select * from visits", db, parse_dates=["at"])
    here = visits[visits["at"] > now - pd.Timedelta(last)]
    return here.groupby("page").size().rename("visitors").reset_index()


def _asked(answer: Callable[..., Any], db: sqlite3.Connection, now: pd.Timestamp) -> Any:
    """Ask for the visitors; None if the answer is none yet."""
    try:
        return answer(db, now)
    except Exception as error:
        if "type 'Timestamp' is not supported" in str(error):
            raise Told("SQLite knows no Timestamp: at is text, so compare it with str(now - …)") from None
        raise


def _by_user(db: sqlite3.Connection, now: pd.Timestamp) -> pd.DataFrame:
    return _now(db, now)[["visitors"]].sum().rename("visitors").to_frame().assign(page="all")


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
            Wrong("drop_duplicates keeps the first news of a flight; the newest is asked, by at", _first),
            Wrong("heard is when we heard of it; at is when it happened, and the newest goes by that", _by_hearing),
            Wrong("the state is the last in the alphabet, not the newest: words have no time", _greatest),
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
    Exercise(
        name="10.B",
        oracle=_now,
        worlds=_visits,
        solution=_now,
        trial=_asked,
        wrong=(
            Wrong(
                "those are all who ever came: a visitor whose last click is old has left", partial(_now, last="9 days")
            ),
            Wrong("that is how many there are in all; the question is on which page", _by_user),
            Wrong("half an hour is 30 minutes, and you look back only 3", partial(_now, last="3 min")),
        ),
        hints=(
            "The table has one line a visitor already: count its lines, and of each page apart.",
            "where at > ? leaves out who has gone; the bound is now - pd.Timedelta('30 min').",
            "Times stand in the table as text, such as str(timestamp); group by page, and call the count visitors.",
        ),
        shown="""def visitors(db, now):
    since = str(now - pd.Timedelta("30 min"))
    question = "select page, count(*) as visitors from visits where at > ? group by page"
    return pd.read_sql(question, db, params=[since])""",
    ),
)
