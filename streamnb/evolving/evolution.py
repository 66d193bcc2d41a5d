"""Evolution: what becomes of a query when another logic takes over, operator by operator, as a value and a card."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from streamnb.answers.cards import NO, NOTE, TODO, YES, Card, Line, plural
from streamnb.errors import PlanError
from streamnb.judging import Told, Verdict, altered, judge

_MARKS = {"kept": YES, "converted": YES, "rebuilt": TODO, "dropped": NOTE}


@dataclass(frozen=True, eq=False)
class Evolution(Card):
    """What another logic does to a query that stands at the end of batch ``after``; it decides the batches that follow.

    ``verdicts`` has one entry an operator with state: its ``fate`` (``"kept"``, ``"converted"``, ``"rebuilt"`` or
    ``"dropped"``) and ``why``. ``changes`` are pairs of the verbs that differ, as ``explain()`` tells them.
    ``rows_read`` is how many rows of the input were replayed. ``done`` is False for a plan.
    """

    after: int
    verdicts: tuple[Verdict, ...]
    changes: tuple[tuple[str, str], ...] = ()
    sink: tuple[str, str] | None = None
    rebuild: bool = False
    done: bool = False
    rows_read: int = 0

    __repr__ = Card.__repr__

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The operators that would be wrong in silence, and are not to be rebuilt."""
        return () if self.rebuild else tuple(verdict for verdict in self.verdicts if verdict.fate == "rebuilt")

    @property
    def replays(self) -> bool:
        """Whether the input is read again from its beginning."""
        return self.rebuild and any(verdict.fate == "rebuilt" for verdict in self.verdicts)

    def check(self) -> None:
        """Raise a PlanError for what would be wrong in silence."""
        if self.refused:
            verdict = self.refused[0]
            raise PlanError(
                f"evolve: `{verdict.operator}` cannot keep what it remembers: {verdict.why}; evolve(…, rebuild=True) "
                "replays the input into the new query, or start a new one.",
                code="EVOLVE_STATE",
            )

    @property
    def title(self) -> str:
        from_ = f"From batch {self.after + 1} on"
        if self.refused:
            return f"{from_}: refused, {plural(len(self.refused), 'operator')} would go wrong in silence."
        told = f"{plural(self.rows_read, 'row')} replayed" if self.done else "the input is replayed"
        return f"{from_} the new logic decides; {told if self.replays else 'nothing is read again'}."

    @property
    def lines(self) -> tuple[Line, ...]:
        return (
            *(self._told(verdict) for verdict in self.verdicts),
            *(Line(NOTE, _changed(*change), "remembers nothing") for change in self.changes),
            *([Line(NOTE, f"sink: was {self.sink[0]}, is {self.sink[1]}")] if self.sink else []),
            *([Line(NOTE, said) for said in self._notes]),
        )

    def _told(self, verdict: Verdict) -> Line:
        mark = NO if verdict in self.refused else _MARKS[verdict.fate]
        fate = "cannot be kept" if verdict in self.refused else verdict.fate
        return Line(mark, f"{verdict.operator}: {fate}", verdict.why)

    @property
    def _notes(self) -> list[str]:
        if self.refused:
            return ["with rebuild=True the input that the sources still have is replayed, and all state made anew"]
        if self.replays:
            return [
                f"what was given out up to batch {self.after} stays, and what ended by then is not given out again",
                "functions of your own are called again for the rows that are replayed",
            ]
        fates = {verdict.fate for verdict in self.verdicts}
        is_other = self.changes or "dropped" in fates
        told = ["what is remembered is what the old logic let through"]
        return told if fates & {"kept", "converted"} and is_other else []

    @property
    def fates(self) -> pd.DataFrame:
        """A row an operator with state: ``operator``, ``state`` (its fate, or ``"refused"``) and ``why``."""
        rows = [(v.operator, "refused" if v in self.refused else v.fate, v.why) for v in self.verdicts]
        return pd.DataFrame(rows, columns=["operator", "state", "why"])

    def __len__(self) -> int:
        return len(self.verdicts)


def _changed(was: str, now: str) -> str:
    if not was:
        return f"added: {now}"
    return f"was {was}, is {now}" if now else f"left out: {was}"


def planned(
    after: int, old: Told, new: Told, *, rebuild: bool, sink: tuple[str, str] | None = None, nothing_read: bool
) -> Evolution:
    """Return what becomes of everything; before the first batch there is nothing to lose."""
    verdicts = judge(old, new)
    if nothing_read:
        fresh = [v for v in verdicts if v.now is not None]
        verdicts = [replace(v, fate="kept", why="nothing has been read yet") for v in fresh]
    elif rebuild and any(v.fate == "rebuilt" for v in verdicts):
        verdicts = [_made_anew(verdict) for verdict in verdicts]
    return Evolution(after, tuple(verdicts), _changes(old, new), sink, rebuild)


def _made_anew(verdict: Verdict) -> Verdict:
    if verdict.now is None:
        return replace(verdict, fate="dropped", why="the new query does without it")
    return verdict if verdict.fate == "rebuilt" else replace(verdict, fate="rebuilt", why="with the others")


def _changes(old: Told, new: Told) -> tuple[tuple[str, str], ...]:
    """Return what changed among the verbs that remember nothing."""
    if "logic" not in old:
        return ()
    pairs = altered(old["logic"], new["logic"])
    moved = sorted({was for was, _ in pairs} & {now for _, now in pairs} - {""})
    left = {*moved, *(operator["told"] for shape in (old, new) for operator in shape["operators"])}
    others = (("" if was in left else was, "" if now in left else now) for was, now in pairs)
    return (*(pair for pair in others if any(pair)), *((verb, f"{verb}, in another place") for verb in moved))
