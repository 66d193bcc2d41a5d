"""Lesson 03: how long to wait."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import pandas as pd

from streamnb import col, data, from_pandas, window
from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn.comparing import briefly
from streamnb.learn.exercise import Exercise, Told, World, Wrong

HOUR = pd.Timedelta("1h")


def dropped(reports: pd.DataFrame, delay: int) -> pd.Series[bool]:
    """Tell which reports a delay of so many hours drops: hourly windows, a batch every half hour of arrivals."""
    newest = before = mark = pd.Timestamp(0)
    late = pd.Series(False, index=reports.index)
    for _, batch in reports.groupby(reports["arr"].dt.ceil("30min")):
        late[batch.index] = batch["dep"].dt.floor("1h") + HOUR <= before
        newest = max(newest, batch["dep"].max())
        before, mark = mark, max(mark, newest - delay * HOUR)
    return late


def waits(reports: pd.DataFrame, delay: int) -> pd.Series[float]:
    """Return the hours from the end of each final window to the batch that gives out its count."""
    ticks = reports["arr"].dt.ceil("30min")
    marks = (reports.groupby(ticks)["dep"].max().cummax() - delay * HOUR).shift(1)
    ends = (reports.loc[~dropped(reports, delay), "dep"].dt.floor("1h") + HOUR).unique()
    out = {end: marks.index[marks >= end].min() for end in ends if (marks >= end).any()}
    return pd.Series({end: (tick - end) / HOUR for end, tick in out.items()})


@lru_cache
def _reports(day: str) -> pd.DataFrame:
    return data.landings("JFK", day).collect()


def _smallest(lost: int) -> int:
    """Return the least delay that drops at most so many flights of five hours or more."""
    reports = _reports("2013-02-08")
    long = reports["arr"] - reports["dep"] >= 5 * HOUR
    return next(delay for delay in range(12) if (dropped(reports, delay) & long).sum() <= lost)


def _answer(delay: int) -> dict[str, float]:
    return {"delay": delay, "median_wait": float(waits(_reports("2013-02-08"), delay).median())}


def _mean_wait() -> dict[str, float]:
    delay = _smallest(2)
    return {"delay": delay, "median_wait": float(waits(_reports("2013-02-08"), delay).mean())}


def _told(given: object) -> str:
    """Say what is wrong with an answer: its form, the flights it loses, or its wait."""
    delay, wait = (given.get(name) for name in ("delay", "median_wait")) if isinstance(given, Mapping) else (None, None)
    if not isinstance(delay, int | float) or not isinstance(wait, int | float | None):
        return 'give a dict with "delay" and "median_wait", both numbers of hours'
    if delay < _smallest(2):
        reports = _reports("2013-02-08")
        long = reports["arr"] - reports["dep"] >= 5 * HOUR
        lost = (dropped(reports, int(delay)) & long).sum()
        return f"a delay of {delay} hours loses {lost} of the {long.sum()} long flights, more than 5 % of them"
    return "a shorter delay does" if delay > _smallest(2) else "the delay is right, the wait is not"


# -- B: one bad clock


def _worlds() -> Sequence[World]:
    return [World(f"JFK on {day}", (_damaged(day, row),)) for day, row in (("2013-02-08", 3), ("2013-02-11", 40))]


def _damaged(day: str, row: int) -> StreamFrame:
    reports = _reports(day)
    fast = reports.iloc[[row]].assign(flight_id="fast clock", dep=lambda one: one["dep"] + pd.Timedelta("2 days"))
    return from_pandas(pd.concat([reports, fast]), arrival="arr", every="30 min")


def _hourly(rows: StreamFrame) -> StreamFrame:
    if not isinstance(rows, StreamFrame):
        raise Told(f"give a frame, such as rows.filter(…), not {briefly(rows)}")
    if not {"dep", "arr"} <= set(rows.schema):
        raise Told("give the reports themselves, with dep and arr; the check counts them")
    marked = rows if rows.node.event_times else rows.with_watermark("dep", "3 hours")
    return marked.group_by(window("dep", "1 hour")).agg(flights=count())


def _counts(damaged: StreamFrame) -> pd.DataFrame:
    """Return the final counts of the reports that can be true, in plain pandas."""
    rows = damaged.collect()
    rows = rows[rows["dep"] <= rows["arr"]].sort_values("arr", kind="stable", ignore_index=True)
    marks = rows["dep"].max() - 3 * HOUR
    kept = rows[~dropped(rows, 3)]
    counts = kept.groupby(kept["dep"].dt.floor("1h")).size().rename_axis("window_start").reset_index(name="flights")
    final: pd.DataFrame = counts[counts["window_start"] + HOUR <= marks]
    return final


def _protected(damaged: StreamFrame) -> StreamFrame:
    return damaged.filter(col("dep") <= col("arr"))


def _after(damaged: StreamFrame) -> StreamFrame:
    return damaged.with_watermark("dep", "3 hours").filter(col("dep") <= col("arr"))


def _near(damaged: StreamFrame) -> StreamFrame:
    return _protected(damaged).filter(col("arr") - col("dep") <= pd.Timedelta("5h"))


def _upside_down(damaged: StreamFrame) -> StreamFrame:
    return damaged.filter(col("arr") < col("dep"))


def _one_day(damaged: StreamFrame) -> StreamFrame:
    return damaged.filter(col("dep") < pd.Timestamp("2013-02-09"))


EXERCISES = (
    Exercise(
        name="03.A",
        oracle=lambda: _answer(_smallest(2)),
        solution=lambda: _answer(_smallest(2)),
        tell=_told,
        wrong=(
            Wrong(
                "that delay loses none; 95 % may lose two of them, and waits less",
                lambda: _answer(_smallest(0)),
            ),
            Wrong("the delay is right; the wait is the mean, and the median was asked", _mean_wait),
        ),
        hints=(
            "The worst-hit group counts, not all flights: those of five hours or more.",
            "95 % of 45 is 42.75, so at most two of them may be lost.",
            "outcome(delay) in the notebook gives both numbers; try 3 to 7 hours.",
        ),
        shown="""outcomes = {hours: outcome(hours) for hours in range(3, 8)}
delay = min(hours for hours, found in outcomes.items() if found["lost"] <= 2)
answer = {"delay": delay, "median_wait": outcomes[delay]["wait"]}""",
    ),
    Exercise(
        name="03.B",
        oracle=_counts,
        worlds=_worlds,
        solution=_protected,
        then=_hourly,
        wrong=(
            Wrong("the filter comes after the watermark, and the bad row has moved that already", _after),
            Wrong("that throws away the long flights, which are true", _near),
            Wrong("that keeps what cannot be true, and drops the rest", _upside_down),
            Wrong("a date that is fixed in the filter is right on one day only", _one_day),
        ),
        hints=(
            "Which rows cannot be true? No plane lands before it leaves.",
            "The row must be gone before it moves the watermark.",
            "filter takes an expression such as col('a') <= col('b').",
        ),
        shown="""def protect(rows):
    return rows.filter(col("dep") <= col("arr"))""",
    ),
)
