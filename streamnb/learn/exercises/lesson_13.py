"""Lesson 13: fast or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamnb import data, window
from streamnb.aggregates import count
from streamnb.learn.comparing import briefly
from streamnb.learn.exercise import Exercise, Told, World, Wrong
from streamnb.learn.load import Load, load

PAPER = ("40 ms", 25)
CALM, SHORT, SOON = "in time", "hardly noticed", "soon over"
Settings = Callable[[float], Mapping[str, Any] | None]


def _worlds() -> Sequence[World]:
    return [World(f"{rate:,} rows a second", (rate,)) for rate in (8_000, 16_000)]


def _tried(answer: Settings, rate: float) -> dict[str, Any] | None:
    """Run the queue on the paper machine, calm and with a burst."""
    found = answer(rate)
    if found is None:
        return None
    trigger, limit = _read(found)
    calm, burst = _load(rate, trigger, limit, 1.0), _load(rate, trigger, limit, 5.0)
    soon = burst.emptied is not None and burst.emptied <= 4.0
    times = {"p99": round(calm.p99), "calm": round(calm.longest), "burst": round(burst.longest)}
    return {CALM: calm.p99 <= 250, SHORT: burst.longest <= 2 * calm.longest, SOON: soon, **times}


def _read(found: Any) -> tuple[str, int | None]:
    """Return trigger and limit of an answer."""
    if not isinstance(found, Mapping) or not {"trigger", "limit"} <= set(found):
        raise Told(f'return a dict with "trigger" and "limit", not {briefly(found)}')
    trigger, limit = found["trigger"], found["limit"]
    if limit is not None and (not isinstance(limit, int | float) or limit < 1):
        raise Told(f"limit is a number of rows, not {briefly(limit)}")
    return str(trigger), None if limit is None else int(limit)


def _load(rate: float, trigger: str, limit: int | None, burst: float) -> Load:
    hourly = data.landings().group_by(window("dep", "1 hour")).agg(n=count())
    return load(hourly, rate, burst=burst, trigger=trigger, limit=limit, machine=PAPER)


def _told(found: Mapping[str, Any]) -> str | None:
    if not found[CALM]:
        return f"calm, 99 % of the rows are done within {found['p99']} ms, and 250 are allowed"
    if not found[SHORT]:
        return f"the longest batch of the burst takes {found['burst']} ms, more than twice the {found['calm']} of calm"
    return None if found[SOON] else "the queue is not short again 4 s after the burst"


def _settings(trigger: str, limit: int | None) -> Settings:
    return lambda _: {"trigger": trigger, "limit": limit}


EXERCISES = (
    Exercise(
        name="13.A",
        oracle=lambda _: dict.fromkeys((CALM, SHORT, SOON), True),
        worlds=_worlds,
        solution=lambda rate: {"trigger": "100 ms", "limit": round(0.28 * rate)},
        trial=_tried,
        tell=_told,
        wrong=(
            Wrong("rows wait for the trigger: one that waits long makes all of them wait", _settings("1 second", None)),
            Wrong("without a limit, or with a wide one, the burst makes batches too long", _settings("100 ms", None)),
            Wrong(
                "one limit for both: what lets the fast stream catch up makes long batches of the slow one",
                _settings("100 ms", 4_480),
            ),
            Wrong(
                "the limit takes less than comes from trigger to trigger: rows only pile up", _settings("100 ms", 500)
            ),
        ),
        hints=(
            "Calm: a row waits a trigger at most, and then for its batch. Try sn.load without a burst.",
            "A batch of n rows takes 40 ms + n × 25 µs; in calm n is what comes from trigger to trigger.",
            "The limit must be worth more rows a second than come, limit / time of such a batch: it grows with rate.",
        ),
        shown="""def settings(rate):
    return {"trigger": "100 ms", "limit": round(0.28 * rate)}  # of 16,000 a second: 152 ms a batch""",
    ),
)
