"""Lesson 02: two clocks."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from streamnb import col, data, window
from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, World, Wrong

AHEAD = pd.Timedelta("14h")


def _worlds() -> Sequence[World]:
    return [World("all airports", (data.landings(),)), World("JFK, 7 February", (data.landings("JFK", "2013-02-07"),))]


def _counted(rows: StreamFrame) -> pd.DataFrame:
    """Count by the date on a clock in Seoul, in plain pandas."""
    in_seoul = (rows.collect()["dep"] + AHEAD).dt.normalize()
    return (in_seoul - AHEAD).value_counts().rename_axis("window_start").rename("n").reset_index()


def _day(rows: StreamFrame, start: str = "0s", clock: str = "dep") -> StreamFrame:
    return rows.group_by(window(clock, "1 day", start=start)).agg(n=count())


def _sliding(rows: StreamFrame) -> StreamFrame:
    return rows.group_by(window("dep", "1 day", "10 hours")).agg(n=count())


def _seoul_times(rows: StreamFrame) -> StreamFrame:
    return _day(rows.with_columns(seoul=col("dep") + AHEAD), clock="seoul")


EXERCISES = (
    Exercise(
        name="02.A",
        oracle=_counted,
        worlds=_worlds,
        solution=lambda rows: _day(rows, "10 hours"),
        mode="update",
        wrong=(
            Wrong("your day starts at 14:00 in Seoul: that is midnight in New York", _day),
            Wrong("your day starts at 09:00 in Seoul: that is midnight in UTC", lambda rows: _day(rows, "19 hours")),
            Wrong("your day starts at 04:00 in Seoul: Seoul is ahead, not behind", lambda rows: _day(rows, "14 hours")),
            Wrong("the third place of window is its slide, how often one opens; write start='10 hours'", _sliding),
            Wrong(
                "those are dates on a clock in Seoul; give the times at which they begin on New York's", _seoul_times
            ),
            Wrong("that counts landings, arr; the question is about departures", lambda rows: _day(rows, "10h", "arr")),
        ),
        hints=(
            "When it is midnight in Seoul, what time is it in New York?",
            "sn.window takes start=, how far after midnight a window begins.",
            "Midnight in Seoul is 10:00 of the day before in New York: start='10 hours'.",
        ),
        shown="""def seoul_days(rows):
    return rows.group_by(sn.window("dep", "1 day", start="10 hours")).agg(n=sn.count())""",
    ),
)
