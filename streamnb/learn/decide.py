"""decisions: a function of one's own asked about every payment, with what it remembers of the card, in time or not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from streamnb.dstream.states import KeyState
from streamnb.errors import PlanError, column_not_found
from streamnb.ops.read import Read
from streamnb.stream import objects
from streamnb.time import SECOND, Duration, duration
from streamnb.views.decisions import Decided, decisions_sheet, outcome, thresholds
from streamnb.views.inspectors import Exhibit

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame
    from streamnb.views.shapes import Sheet

Risk = Callable[[Any, dict[str, Any], KeyState], Any]
Clock = Callable[[], float]
STOPPED = 10.0
"""Euro that an honest payment costs if it is blocked: somebody must call."""


class Decisions(Exhibit):
    """What a function decided. ``table`` has a row a payment, with ``score`` and ``waited``, seconds to its answer.

    ``threshold`` is the least score that is blocked; ``lost`` euro of fraud are paid, ``stopped`` honest payments
    blocked, and ``cost`` is both: 10 € for each honest one. ``slow`` is the share of answers over the budget.
    """

    def __init__(self, table: pd.DataFrame, shown: _Shown) -> None:
        super().__init__(shown)
        self.table, self._shown = table, shown

    @property
    def threshold(self) -> float:
        """The least score that is blocked."""
        return self._shown.threshold

    @property
    def caught(self) -> int:
        """How many frauds are blocked."""
        return sum(one.fraud and one.score >= self.threshold for one in self._shown.decided)

    @property
    def lost(self) -> float:
        """The euro of fraud that are paid."""
        return outcome(self._shown.decided, self.threshold).lost

    @property
    def stopped(self) -> int:
        """How many honest payments are blocked."""
        return outcome(self._shown.decided, self.threshold).stopped

    @property
    def cost(self) -> float:
        """What is lost, and 10 € for every honest payment blocked."""
        return self.lost + STOPPED * self.stopped

    @property
    def slow(self) -> float:
        """The share of answers that took longer than the budget."""
        return sum(one.waited > self._shown.budget for one in self._shown.decided) / max(1, len(self._shown.decided))


class _Shown:
    def __init__(self, decided: list[Decided], threshold: float, budget: float) -> None:
        self.decided, self.threshold, self.budget = decided, threshold, budget

    def sheet(self) -> Sheet:
        return decisions_sheet(self.decided, self.threshold, self.budget)

    def hear(self, name: str, value: Any) -> None:
        """Take another threshold."""
        if name == "threshold":
            self.threshold = float(value)

    def choices(self) -> Mapping[str, Sequence[float]]:
        """Return what a page keeps: the thresholds that make a difference."""
        return {"threshold": thresholds(self.decided)}


def decisions(
    payments: StreamFrame,
    risk: Risk,
    truth: pd.DataFrame,
    *,
    threshold: float = 1.0,
    budget: Duration = "200 ms",
    clock: Clock = time.perf_counter,
) -> Decisions:
    """Ask ``risk(card, payment, state)`` about every payment, in order of arrival, and count what it costs.

    It runs as ``sn.objects(payments).map(lambda p: (p["card"], p)).map_with_state(risk)``. What comes back is a score,
    a number or True and False; a payment with ``threshold`` or more is blocked.

    Parameters
    ----------
    payments
        Such as ``sn.simulate.payments(seed)``: columns ``id``, ``card``, ``amount`` and ``at``. Where they come by a
        replay, each waits from its arrival to its batch; to that comes the time that the batch really takes.
    truth
        The ``id`` of every fraud, such as ``sn.simulate.truth("payments", seed)``. The function does not get it.
    budget
        How long an answer may take.

    State: whatever the function keeps for a card.

    >>> payments, truth = sn.simulate.payments(seed=7), sn.simulate.truth("payments", seed=7)
    >>> sn.decisions(payments, lambda card, payment, state: 0.0, truth)
    0 of 75 frauds are blocked, and 0 honest payments; 11,465 € are lost.
    """
    for name in ("id", "card", "amount", "at"):
        if name not in payments.schema:
            raise column_not_found("decisions", name, list(payments.schema))
    rows = list(_asked(payments, risk, clock))
    if not rows:
        raise PlanError(
            "decisions: there is no payment to decide about; give a frame that has rows.", code="OPTION_INVALID"
        )
    table = pd.DataFrame(rows, columns=["id", "card", "at", "amount", "score", "waited"])
    table["fraud"] = table["id"].isin(set(truth["id"]))
    minutes = (table["at"] - table["at"].min()).dt.total_seconds() / 60
    columns = zip(table["card"], minutes, table["amount"], table["fraud"], table["score"], table["waited"], strict=True)
    decided = [Decided(*one) for one in columns]
    return Decisions(table, _Shown(decided, threshold, duration(budget, "decisions") / SECOND))


def _asked(payments: StreamFrame, risk: Risk, clock: Clock) -> Iterator[tuple[Any, ...]]:
    """Yield what each payment was, its score, and how long its answer took."""
    waits = list(_waits(payments))
    keyed = objects(payments).map(lambda payment: (payment["card"], payment))
    answers = keyed.map_with_state(lambda card, payment, state: (payment, float(risk(card, payment, state))))
    number = 0
    while True:
        began = clock()
        batch = answers.step()
        if batch is None:
            return
        took = clock() - began
        for payment, score in batch:
            waited = (waits[number] if waits else 0.0) + took
            number += 1
            yield payment["id"], payment["card"], payment["at"], payment["amount"], score, waited


def _waits(payments: StreamFrame) -> Iterator[float]:
    """Yield, for every row of a replay, the seconds from its arrival to its batch; nothing for other sources."""
    node = payments.node
    arrival = getattr(node.source, "arrival", None) if isinstance(node, Read) else None
    if not isinstance(node, Read) or arrival is None or not hasattr(node.source, "unit"):
        return
    at = 0
    times: list[int] = []
    while (unit := node.source.unit(at)) is not None:
        times += [unit.time] * (unit.end - at)
        at = unit.end
    arrived = node.source.read(None, at)[arrival].to_physical().to_list()
    yield from ((time - came) / SECOND for time, came in zip(times, arrived, strict=True))
