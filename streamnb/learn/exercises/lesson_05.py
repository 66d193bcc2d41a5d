"""Lesson 05: memory that must end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn import chaos, simulate
from streamnb.learn.exercise import Exercise, World, Wrong, collected, ran
from streamnb.ops.session import session_window
from streamnb.windows import window

GAP = pd.Timedelta("30 min")


def _clicks(seed: int) -> StreamFrame:
    return chaos.duplicate(simulate.clicks(seed), p=0.05, after="8 min", seed=seed)


def _worlds() -> Sequence[World]:
    return [World(f"the clicks of another day (seed {seed})", (_clicks(seed),)) for seed in (11, 12)]


# -- A: each click once


def _distinct(clicks: StreamFrame) -> pd.DataFrame:
    return clicks.collect().drop_duplicates("id")[["id", "user", "page", "at"]]


def _within(delay: str) -> Callable[[StreamFrame], StreamFrame]:
    return lambda clicks: clicks.with_watermark("at", delay).drop_duplicates_within_watermark(["id"])


def _grows(once: Callable[[StreamFrame], StreamFrame]) -> str | None:
    """Say so if the state at its largest holds more than half of the ids."""
    clicks = _clicks(11)
    held = max(sum(step.num_rows_total for step in p.state_operators) for p in ran(once(clicks)).progress)
    ids = clicks.collect()["id"].nunique()
    told = f"each click once, but the state holds {held} of {ids} ids at its largest; let a time end them sooner"
    return told if held > ids / 2 else None


def _by_user(clicks: StreamFrame) -> StreamFrame:
    return clicks.with_watermark("at", "20 minutes").drop_duplicates_within_watermark(["user"])


# -- B: visits


def _visits(clicks: StreamFrame) -> pd.DataFrame:
    """Return the visits in plain pandas: a silence of 30 minutes or more ends one."""
    rows = clicks.collect().drop_duplicates("id").sort_values(["user", "at"])
    new = (rows.groupby("user")["at"].diff() >= GAP).groupby(rows["user"]).cumsum()
    found = rows.groupby(["user", new.rename("visit")])["at"].agg(window_start="min", pages="size").reset_index()
    return found[["window_start", "user", "pages"]]


def _sessions(gap: str, *, once: bool = True) -> Callable[[StreamFrame], StreamFrame]:
    def visits(clicks: StreamFrame) -> StreamFrame:
        rows = _within("20 minutes")(clicks) if once else clicks.with_watermark("at", "20 minutes")
        return rows.group_by(session_window("at", gap), "user").agg(pages=count())

    return visits


def _in_a_stream(visits: Callable[[StreamFrame], StreamFrame]) -> str | None:
    """Say what becomes of visits that are right over the whole table, where the clicks are a stream."""
    clicks = _clicks(11)
    query = ran(visits(clicks))
    given = query.result[["window_start", "user", "pages"]].merge(_visits(clicks), how="left", indicator=True)
    short = (given["_merge"] == "left_only").sum()
    told = f"as a stream it gets {short} visits wrong: with that delay, clicks of phones that were offline are lost"
    return told if short else None


def _endless(visits: Callable[[StreamFrame], StreamFrame]) -> str | None:
    endless = ran(visits(_clicks(11))).state["expires_at"].isna().sum()
    return f"{endless} keys of the state never end; let a time end them" if endless else None


def _half_hours(clicks: StreamFrame) -> StreamFrame:
    return _within("20 minutes")(clicks).group_by(window("at", "30 minutes"), "user").agg(pages=count())


EXERCISES = (
    Exercise(
        name="05.A",
        oracle=_distinct,
        worlds=_worlds,
        solution=_within("20 minutes"),
        must=_grows,
        wrong=(
            Wrong("clicks of phones that were offline are lost: the delay is too short for them", _within("2 minutes")),
            Wrong("that lets through one click of each user: two clicks of one user are two clicks", _by_user),
            Wrong(
                "clicks are still doubled: two rows with one id are one click",
                lambda clicks: clicks.limit(10**9),
            ),
        ),
        hints=(
            "An id may go once no copy can come any more. How late may a first copy be? The text says it.",
            "The delay must be as long as a phone may be offline, and no longer.",
            "with_watermark('at', '20 minutes'), then drop_duplicates_within_watermark.",
        ),
        shown="""def once(clicks):
    return clicks.with_watermark("at", "20 minutes").drop_duplicates_within_watermark(["id"])""",
    ),
    Exercise(
        name="05.B",
        oracle=_visits,
        worlds=_worlds,
        solution=_sessions("30 minutes"),
        then=collected,
        must=_in_a_stream,
        but=_endless,
        wrong=(
            Wrong("some clicks are counted twice: the retries", _sessions("30 minutes", once=False)),
            Wrong("those are half hours of the clock, not visits: one visit may lie in two of them", _half_hours),
            Wrong("that is the delay; the gap is 30 minutes", _sessions("20 minutes")),
        ),
        hints=(
            "First each click once, as in exercise A; then group.",
            "The keys are sn.session_window('at', '30 minutes') and 'user'.",
            "pages=sn.count() counts the clicks of a visit.",
        ),
        shown="""def visits(clicks):
    marked = clicks.with_watermark("at", "20 minutes")
    each = marked.drop_duplicates_within_watermark(["id"])
    return each.group_by(sn.session_window("at", "30 minutes"), "user").agg(pages=sn.count())""",
    ),
)
