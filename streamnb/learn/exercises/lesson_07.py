"""Lesson 07: joining."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from streamnb import col, data
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, World, Wrong, collected, ran
from streamnb.ops.join import between

SIX_HOURS = pd.Timedelta("6h")
Overdue = Callable[[StreamFrame, StreamFrame], StreamFrame]


def _worlds() -> Sequence[World]:
    days = {"the storm's day": "2013-02-08", "the calm day before it": "2013-02-07"}
    return [World(name, _streams(day)) for name, day in days.items()]


def _streams(day: str) -> tuple[StreamFrame, StreamFrame]:
    reports = data.landings(day=day).select("flight_id", landed="arr").with_watermark("landed", "1 hour")
    return data.departures(day=day).with_watermark("dep", "1 hour"), reports


def _missing(departures: StreamFrame, reports: StreamFrame) -> pd.DataFrame:
    both = departures.collect().merge(reports.collect(), on="flight_id", how="left")
    return both.loc[~(both["landed"] - both["dep"] <= SIX_HOURS), ["flight_id", "dep"]]


def _joined(how: str, hours: int = 6) -> Overdue:
    within = between("landed", after="0s", before=f"{hours} hours", of="dep")
    return lambda departures, reports: departures.join(reports, on="flight_id", how=how, within=within)


def _null(joined: Overdue) -> Overdue:
    return lambda departures, reports: joined(departures, reports).filter(col("landed").is_null())


def _slow(departures: StreamFrame, reports: StreamFrame) -> StreamFrame:
    rows = _joined("inner", hours=12)(departures, reports)
    return rows.filter(col("landed") - col("dep") > SIX_HOURS)


def _told(frame: StreamFrame) -> pd.Series[pd.Timestamp]:
    """Return when each flight was given out first."""
    query = ran(frame)
    said = [rows.assign(told=step.timestamp) for step, rows in zip(query.progress, query.emitted, strict=True)]
    return pd.concat(said).groupby("flight_id")["told"].min()


def _later(overdue: Overdue) -> str | None:
    """Say how many flights are told later than it is certain that they are overdue."""
    days = [world.arguments for world in _worlds()]
    each = [(_told(overdue(*day)), _told(_null(_joined("left"))(*day))) for day in days]
    later = sum(int((mine > best.reindex(mine.index)).sum()) for mine, best in each)
    return f"the right flights, but {later} of them later than it is certain; 6 hours of waiting do" if later else None


EXERCISES = (
    Exercise(
        name="07.A",
        oracle=_missing,
        worlds=_worlds,
        solution=_null(_joined("left")),
        then=collected,
        must=_later,
        wrong=(
            Wrong("those are the flights that landed in time: an inner join keeps partners", _joined("inner")),
            Wrong(
                "no rows: an inner join keeps none that is without a partner; which other how does?",
                _null(_joined("inner")),
            ),
            Wrong("that is every flight; the overdue ones are those without a partner", _joined("left")),
            Wrong("those never landed at all; after 6 hours more are overdue", _null(_joined("left", hours=12))),
            Wrong("the ones that never land are missing: an inner join cannot find them", _slow),
        ),
        hints=(
            "Which side may be missing? That decides left, right or inner.",
            "within=sn.between('landed', after='0s', before='6 hours', of='dep') says how long to wait.",
            "Of a left join, the rows without a partner have a null in landed.",
        ),
        shown="""def overdue(departures, reports):
    six_hours = sn.between("landed", after="0s", before="6 hours", of="dep")
    joined = departures.join(reports, on="flight_id", how="left", within=six_hours)
    return joined.filter(col("landed").is_null()).select("flight_id", "dep")""",
    ),
)
