"""Lesson 13: fast or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from streamnb import data, window
from streamnb.aggregates import count
from streamnb.learn.exercise import Exercise, World, Wrong
from streamnb.learn.load import Load, load

PAPER = ("40 ms", 25)
CALM, SHORT, SOON = "calm rows are done within 250 ms", "no batch takes over 150 ms", "the queue is short within 4 s"
Settings = Callable[[float], Mapping[str, Any] | None]


def _worlds() -> Sequence[World]:
    return [World(f"{rate:,} rows a second", (rate,)) for rate in (10_000, 14_000)]


def _tried(answer: Settings, rate: float) -> dict[str, bool] | None:
    """Run the queue on the paper machine, calm and with a burst."""
    found = answer(rate)
    if found is None:
        return None
    trigger, limit = found["trigger"], found["limit"]
    calm, burst = _load(rate, trigger, limit, 1.0), _load(rate, trigger, limit, 5.0)
    soon = burst.emptied is not None and burst.emptied <= 4.0
    return {CALM: calm.p99 <= 250, SHORT: burst.longest <= 150, SOON: soon}


def _load(rate: float, trigger: str, limit: int | None, burst: float) -> Load:
    hourly = data.landings().group_by(window("dep", "1 hour")).agg(n=count())
    return load(hourly, rate, burst=burst, trigger=trigger, limit=limit, machine=PAPER)


def _told(found: Mapping[str, bool]) -> str | None:
    wrong = [name for name, holds in found.items() if not holds]
    return f"it is not so that {wrong[0]}" if wrong else None


def _settings(trigger: str, limit: int | None) -> Settings:
    return lambda _: {"trigger": trigger, "limit": limit}


EXERCISES = (
    Exercise(
        name="13.A",
        oracle=lambda _: dict.fromkeys((CALM, SHORT, SOON), True),
        worlds=_worlds,
        solution=_settings("100 ms", 4_000),
        trial=_tried,
        tell=_told,
        wrong=(
            Wrong("rows wait for the trigger: one that waits long makes all of them wait", _settings("1 second", None)),
            Wrong("without a limit, or with a wide one, the burst makes batches too long", _settings("100 ms", None)),
            Wrong(
                "the limit takes less than comes from trigger to trigger: rows only pile up", _settings("100 ms", 500)
            ),
        ),
        hints=(
            "Calm: a row waits a trigger at most, and then for its batch. Try sn.load without a burst.",
            "A batch of n rows takes 40 ms + n × 25 µs; for which n is that 150 ms?",
            "The limit must also be worth more rows a second than come: limit / time of such a batch.",
        ),
        shown="""def settings(rate):
    return {"trigger": "100 ms", "limit": 4_000}  # 140 ms a batch, 28,000 rows a second""",
    ),
)
