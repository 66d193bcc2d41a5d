"""Lesson 00: batch or stream?"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from streamnb import data, window
from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn.comparing import as_time
from streamnb.learn.exercise import Exercise, World, Wrong

HOUR = pd.Timedelta("1h")
NOON = pd.Timestamp("2013-02-09 12:00")


def _worlds() -> Sequence[World]:
    return [
        World("all airports, 10 February", (data.landings(day="2013-02-10", every="1 hour"),)),
        World("Newark and LaGuardia, 6 February", (data.landings(("EWR", "LGA"), "2013-02-06", every="1 hour"),)),
    ]


def _counted(rows: StreamFrame) -> pd.DataFrame:
    """Count the landings of each airport in the 24 windows that hold each of them, in plain pandas."""
    table = rows.collect()
    hours = [table.assign(window_start=table["arr"].dt.floor("1h") - back * HOUR) for back in range(24)]
    counts = pd.concat(hours).groupby(["window_start", "origin"]).size()
    return counts.rename("landed").reset_index()


def _by_airport(rows: StreamFrame) -> StreamFrame:
    return rows.group_by(window("arr", "24 hours", "1 hour"), "origin").agg(landed=count())


def _departures(rows: StreamFrame) -> StreamFrame:
    return rows.group_by(window("dep", "24 hours", "1 hour"), "origin").agg(landed=count())


def _days(rows: StreamFrame) -> StreamFrame:
    return rows.group_by(window("arr", "24 hours"), "origin").agg(landed=count())


def _agree() -> pd.Timestamp:
    """Return the step after which the last plane has landed at LaGuardia before noon: no count changes after it."""
    table = data.landings("LGA").collect()
    arrived: pd.Timestamp = table.loc[table["arr"].between(NOON - 24 * HOUR, NOON, inclusive="left"), "arr"].max()
    return arrived.ceil("h")


def _told(given: object) -> str:
    """Say on which side of the right step a time lies."""
    if (as_time(given) or NOON).tz_localize(None) < _agree():
        return "too early: a plane lands at LaGuardia after that, and the count still changes"
    return "too late: the step before had that number too"


EXERCISES = (
    Exercise(
        name="00.A",
        oracle=_counted,
        worlds=_worlds,
        solution=_by_airport,
        mode="update",
        wrong=(
            Wrong("that counts by departure, dep; the report is about landings", _departures),
            Wrong("your windows stand side by side; the report is refreshed every hour", _days),
        ),
        hints=(
            "group_by takes several keys.",
            "sn.window('arr', '24 hours', '1 hour') is one key; the airport is the other.",
            "The count is called landed, as in report.",
        ),
        shown="""def by_airport(rows):
    return rows.group_by(sn.window("arr", "24 hours", "1 hour"), "origin").agg(landed=sn.count())""",
    ),
    Exercise(
        name="00.B",
        oracle=_agree,
        solution=_agree,
        tell=_told,
        wrong=(Wrong("there the window ends; the number is older", lambda: NOON),),
        hints=(
            "q.result_at(batch_id) is the result after a step.",
            "Cancelled flights never land, so the last landing before noon may be long before noon.",
            "Compare the number after each step with the one that collect() gives.",
        ),
        shown="""def number(result):
    noon = result["window_end"] == pd.Timestamp("2013-02-09 12:00")
    return result.loc[noon & (result["origin"] == "LGA"), "landed"].sum()

final = number(by_airport(landings).collect())
stream = by_airport(landings).query(output_mode="update").run()
hour = next(p.timestamp for p in stream.progress if number(stream.result_at(p.batch_id)) == final)""",
    ),
)
