"""Lesson 09: alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from streamnb import data, from_pandas
from streamnb.frame import StreamFrame
from streamnb.group_state import GroupState
from streamnb.learn.exercise import Exercise, World, Wrong, played

HOUR = pd.Timedelta("1 hour")
ENOUGH = 15
Alarm = Callable[[tuple[Any, ...], pd.DataFrame, GroupState], Iterable[pd.DataFrame] | None]


def _worlds() -> Sequence[World]:
    return [
        World("the overdue flights above", (_overdue("02-06", "02-08", "20 min"),), seen=True),
        World("9 to 11 February, 3 hours a batch", (_overdue("02-09", "02-11", "3 hours"),)),
    ]


def _overdue(first: str, last: str, every: str) -> StreamFrame:
    """Stream the flights that have not left an hour after their time."""
    flights = data.flights()
    day, left_in_time = flights["sched_dep"].dt.strftime("%m-%d"), flights["dep"] - flights["sched_dep"] < HOUR
    rows = flights.loc[day.between(first, last) & ~left_in_time, ["flight_id", "origin", "sched_dep"]]
    rows = rows.assign(at=rows.pop("sched_dep") + HOUR).sort_values("at", kind="stable")
    return from_pandas(rows, arrival="at", every=every)


def _storms(overdue: StreamFrame) -> pd.DataFrame:
    """Return the 15th overdue flight of each airport and storm, in plain pandas."""
    rows = overdue.collect().sort_values(["origin", "at"], kind="stable")
    pause = rows.groupby("origin")["at"].diff() > HOUR
    storm = pause.groupby(rows["origin"]).cumsum()
    return rows[rows.groupby(["origin", storm]).cumcount() == ENOUGH - 1][["origin", "at"]]


# -- how an answer is tried


def _alerts(alarm: Alarm, overdue: StreamFrame) -> pd.DataFrame | None:
    """Run an alarm over a stream; None if it never says or remembers anything."""
    tried = False

    def heard(key: tuple[Any, ...], rows: pd.DataFrame, state: GroupState) -> Iterable[pd.DataFrame]:
        nonlocal tried
        found = alarm(key, rows, state)
        tried |= found is not None or state.updated
        return iter(()) if found is None else found

    keyed = overdue.group_by("origin")
    frame = keyed.apply_in_pandas_with_state(heard, "origin string, at timestamp", "n bigint, last timestamp")
    result = played(frame).result
    return result if tried else None


# -- alarms


def _alarm(
    speaks: Callable[[int], bool], goes_on: Callable[[pd.Timestamp, pd.Timestamp], bool], *, remembers: bool = True
) -> Alarm:
    """Return an alarm that counts flights for as long as it ``goes_on``, and is raised where it ``speaks``."""

    def alarm(key: tuple[Any, ...], rows: pd.DataFrame, state: GroupState) -> Iterator[pd.DataFrame]:
        n, last = (state.get_option if remembers else None) or (0, None)
        for at in rows["at"]:
            n, last = n + 1 if last is None or goes_on(at, last) else 1, at
            if speaks(n):
                yield pd.DataFrame({"origin": [key[0]], "at": [at]})
        state.update((n, last))

    return alarm


def _whole_batches(_: tuple[Any, ...], rows: pd.DataFrame, state: GroupState) -> Iterator[pd.DataFrame]:
    """Count a batch's flights at once, and ring at the last of the batch that holds the 15th."""
    before, last = state.get_option or (0, None)
    first, newest = rows["at"].iloc[0], rows["at"].iloc[-1]
    before = before if last is not None and _no_pause(first, last) else 0
    if before < ENOUGH <= before + len(rows):
        yield rows[["origin", "at"]].tail(1)
    state.update((before + len(rows), newest))


def _enough(n: int) -> bool:
    return n == ENOUGH


def _no_pause(at: pd.Timestamp, last: pd.Timestamp) -> bool:
    return at - last <= HOUR


EXERCISES = (
    Exercise(
        name="09.A",
        oracle=_storms,
        worlds=_worlds,
        solution=_alarm(_enough, _no_pause),
        trial=_alerts,
        wrong=(
            Wrong("each further flight rings again: a storm has one alert", _alarm(lambda n: n >= ENOUGH, _no_pause)),
            Wrong("it rings once and never again: a pause ends the storm", _alarm(_enough, lambda *_: True)),
            Wrong("one overdue flight is no storm: that rings on calm days", _alarm(lambda n: n == 1, _no_pause)),
            Wrong("the 15th stands inside a batch: go through its rows one by one", _whole_batches),
            Wrong(
                "it counts within a batch and forgets: keep n in the state", _alarm(_enough, _no_pause, remembers=False)
            ),
        ),
        hints=(
            "The state is (n, last): how many flights without a pause, and when the newest of them was overdue.",
            "Of each flight: is it more than an hour after last? Then n begins again at 1.",
            "Give out a row where n == 15, not n >= 15; and state.update((n, last)) at the end.",
        ),
        shown="""def alarm(key, rows, state):
    n, last = state.get_option or (0, None)
    for at in rows["at"]:
        n = n + 1 if last is not None and at - last <= pd.Timedelta("1 hour") else 1
        last = at
        if n == 15:
            yield pd.DataFrame({"origin": [key[0]], "at": [at]})
    state.update((n, last))""",
    ),
)
