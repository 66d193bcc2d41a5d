"""Lesson 11: decide in time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd

from streamnb import from_pandas, simulate
from streamnb.dstream.states import KeyState
from streamnb.frame import StreamFrame
from streamnb.learn.decide import STOPPED, Risk, decisions
from streamnb.learn.exercise import Exercise, World, Wrong

TEN_MINUTES, HOUR = timedelta(minutes=10), timedelta(hours=1)
CHEAP, IN_TIME = "costs at most half of what the rule over 300 € costs", "answers in time"
_MOST_KEPT = 50


def _worlds() -> Sequence[World]:
    return [World(f"the payments of seed {seed}", _paid(seed)) for seed in (11, 12)]


def _paid(seed: int) -> tuple[StreamFrame, pd.DataFrame]:
    rows = simulate.payment_table(seed, cards=90, days=1)
    shown = rows.drop(columns="fraud")
    return from_pandas(shown, arrival="arrived", every="100 ms"), rows.loc[rows["fraud"] != "", ["id"]]


def _tried(risk: Risk, payments: StreamFrame, truth: pd.DataFrame) -> dict[str, Any] | None:
    """Run a risk function over payments; None if it never answers anything but None."""
    answered = False

    def heard(card: Any, payment: dict[str, Any], state: KeyState) -> Any:
        nonlocal answered
        found = risk(card, payment, state)
        answered |= found is not None
        return found or 0

    found, rule = decisions(payments, heard, truth), _of_the_rule(payments.collect(), truth)
    told = {"cost": round(found.cost, 2), "rule": round(rule, 2), "lost": found.lost, "blocked": found.stopped}
    return {CHEAP: found.cost <= rule / 2, IN_TIME: found.slow < 0.25, **told} if answered else None


def _of_the_rule(rows: pd.DataFrame, truth: pd.DataFrame) -> float:
    """Return what blocking everything over 300 € costs."""
    fraud, large = rows["id"].isin(truth["id"]), rows["amount"] > 300
    return float(rows.loc[fraud & ~large, "amount"].sum() + STOPPED * (~fraud & large).sum())


def _told(found: Mapping[str, Any]) -> str | None:
    if not found[IN_TIME]:
        return "more than a quarter of the answers took over 200 ms: do less for each payment"
    parts = f"{found['lost']:,.0f} € lost, {found['blocked']} honest payments blocked"
    dear = f"that costs {found['cost']:,.0f} € ({parts}); half of what the rule over 300 € costs is asked: "
    dear += f"{found['rule'] / 2:,.0f} €"
    return None if found[CHEAP] else dear


def _grows(risk: Risk) -> str | None:
    """Say whether a card that pays every hour for a month has a state without end, or none: then it is elsewhere."""
    state, is_used = KeyState(), False
    start = datetime(2026, 3, 2)  # noqa: DTZ001  the simulation's times are naive
    for hour in range(24 * 30):
        amount, city = ((20.0, "Seoul"), (1.0, "Busan"), (900.0, "Seoul"))[hour % 3]
        risk("c", {"id": f"p{hour}", "card": "c", "amount": amount, "city": city, "at": start + hour * HOUR}, state)
        is_used |= state.exists
    if not is_used:
        return "nothing is kept in state: what a rule remembers elsewhere is lost in a crash (lesson 06)"
    kept = _size(state.get_option) if state.exists else 0
    return f"after a month a card has {kept} values in its state: forget what is too old" if kept > _MOST_KEPT else None


def _size(kept: Any) -> int:
    if isinstance(kept, Mapping):
        return sum(map(_size, kept.values()))
    return sum(map(_size, kept)) if isinstance(kept, list | tuple | set) else 1


# -- rules


def _large(_: Any, payment: dict[str, Any], __: KeyState) -> bool:
    return bool(payment["amount"] > 300)


def _often(within: Callable[[datetime, datetime], bool], *, remembers: bool = True) -> Risk:
    """Return a rule that blocks the fourth payment of those within a time."""

    def risk(_: Any, payment: dict[str, Any], state: KeyState) -> bool:
        recent = [at for at in state.get_option or [] if within(at, payment["at"])]
        if remembers:
            state.update([*recent, payment["at"]])
        return len(recent) >= 3

    return risk


def _within_ten(at: datetime, now: datetime) -> bool:
    return now - at < TEN_MINUTES


def _risk(_: Any, payment: dict[str, Any], state: KeyState) -> bool:
    recent, last = state.get_option or ([], payment)
    recent = [at for at in recent if payment["at"] - at < TEN_MINUTES]
    travels = last["city"] != payment["city"] and payment["at"] - last["at"] < HOUR
    state.update(([*recent, payment["at"]], payment))
    return len(recent) >= 3 or travels or payment["amount"] > 500


EXERCISES = (
    Exercise(
        name="11.A",
        oracle=lambda *_: {CHEAP: True, IN_TIME: True},
        worlds=_worlds,
        solution=_risk,
        trial=_tried,
        tell=_told,
        but=_grows,
        wrong=(
            Wrong("that is the rule without a memory: many small payments pass below it", _large),
            Wrong(
                "it counts payments, and lets the large ones pass: one payment can be worth a hundred",
                _often(_within_ten),
            ),
            Wrong(
                "it counts all payments ever, so good customers are blocked: ten minutes matter",
                _often(lambda *_: True),
            ),
            Wrong(
                "nothing is ever blocked; what a rule reads from its state it must have written: state.update(…)",
                _often(_within_ten, remembers=False),
            ),
        ),
        hints=(
            "Three things give a thief away: many payments in minutes, two cities within the hour, a large amount.",
            "Keep a tuple in the state: the times of the last ten minutes, and the payment before.",
            "recent, last = state.get_option or ([], payment); at the end state.update((recent, payment)).",
        ),
        shown="""def risk(card, payment, state):
    recent, last = state.get_option or ([], payment)
    recent = [at for at in recent if payment["at"] - at < minutes(10)]
    travels = last["city"] != payment["city"] and payment["at"] - last["at"] < minutes(60)
    state.update(([*recent, payment["at"]], payment))
    return len(recent) >= 3 or travels or payment["amount"] > 500""",
    ),
)
