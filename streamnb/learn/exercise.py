"""Exercises: what is asked, how an answer is tried on data it has not seen, and which wrong models are known."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from streamnb.errors import StreamnbError
from streamnb.frame import StreamFrame
from streamnb.query import Query


@dataclass(frozen=True)
class Wrong:
    """A known wrong model: an answer that learners give, and what to tell them."""

    message: str
    answer: Any


@dataclass(frozen=True)
class World:
    """One data set that an answer is tried on: its name in a message, and what the answer is called with."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Exercise:
    """An answer is a value, or a function that gives a value, a table or a frame.

    A function is called with the arguments of every world, and must give there what ``oracle`` gives, which knows
    pandas and nothing of this engine. A frame is run as a query in ``mode`` and its result compared, rows in any
    order. The answer is ``right`` then, unless ``but`` finds fault with how it gets there.

    Where the answer is no function of a world, ``trial`` says how it is tried there, and ``tell`` what went wrong.
    """

    name: str
    oracle: Callable[..., Any]
    solution: Any
    worlds: Callable[[], Sequence[World]] = lambda: (World(""),)
    wrong: tuple[Wrong, ...] = ()
    hints: tuple[str, ...] = ()
    mode: str = "append"
    trial: Callable[..., Any] | None = None  # called with the answer and a world's arguments
    tell: Callable[[Any], str | None] | None = None  # what is wrong with what the answer gave, None if nothing
    then: Callable[[Any], Any] | None = None  # what is made of what the answer returns, such as a whole query
    but: Callable[[Any], str | None] | None = None
    shown: str | None = field(default=None, repr=False)  # the solution as text, where it is no function

    def source(self) -> str:
        """Return the solution as code."""
        return self.shown or textwrap.dedent(inspect.getsource(self.solution))


@dataclass(frozen=True)
class Verdict:
    """What a check says: ``"not tried"``, ``"not yet"``, ``"right"`` or ``"right, but"``, and why."""

    outcome: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.reason}" if self.reason else self.outcome


NOT_TRIED = Verdict("not tried")
RIGHT = Verdict("right")


class _UntriedError(Exception):
    """The answer is the one that the notebook came with."""


def played(frame: StreamFrame, mode: str = "append") -> Query:
    """Return a query of a frame that has run over all there is, and is stopped."""
    with frame.query(output_mode=mode, name="the check's") as query:
        return query.run()


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Try an answer on every world of its exercise."""
    if _untried(answer):
        return NOT_TRIED
    worlds = exercise.worlds()
    try:
        given = [_given(exercise, answer, world) for world in worlds]
    except _UntriedError:
        return NOT_TRIED
    except Exception as error:  # noqa: BLE001  whatever the learner's code raises is told, not raised
        return Verdict("not yet", _raised(error))
    wanted = [exercise.oracle(*world.arguments) for world in worlds]
    faults = [_difference(*pair) for pair in zip(given, wanted, strict=True)]
    if not any(faults):
        fault = exercise.but(answer) if exercise.but else None
        return Verdict("right, but", fault) if fault else RIGHT
    said = [exercise.tell(each) for each in given] if exercise.tell else faults
    return Verdict("not yet", _known(exercise, worlds, given) or _first(said, worlds))


def _untried(answer: Any) -> bool:
    """Tell whether an answer is an empty one, such as a notebook comes with."""
    if isinstance(answer, Mapping):
        return all(_untried(value) for value in answer.values())
    return answer is None or answer is ...


def _given(exercise: Exercise, answer: Any, world: World) -> Any:
    """Return what an answer gives in a world."""
    if not callable(answer):
        return answer
    trial = exercise.trial
    found = trial(answer, *world.arguments) if trial else answer(*world.arguments)
    if found is None or found is ... or any(found is argument for argument in world.arguments):
        raise _UntriedError
    return _plain(exercise.then(found) if exercise.then else found, exercise.mode)


def _plain(found: Any, mode: str) -> Any:
    """Return a frame's or a query's result as a table; anything else as it is."""
    if isinstance(found, StreamFrame):
        return played(found, mode).result
    return found.result if isinstance(found, Query) else found


def _known(exercise: Exercise, worlds: Sequence[World], given: Sequence[Any]) -> str | None:
    """Return the message of the wrong model that gives just what the answer gives."""
    for wrong in exercise.wrong:
        theirs = [_given(exercise, wrong.answer, world) for world in worlds]
        if not any(_difference(*pair) for pair in zip(given, theirs, strict=True)):
            return wrong.message
    return None


def _first(faults: Sequence[str | None], worlds: Sequence[World]) -> str:
    fault, world = next((f, w) for f, w in zip(faults, worlds, strict=True) if f)
    return f"{fault} (on {world.name}, which you have not seen)" if world.name else fault


# -- comparing


def _difference(given: Any, wanted: Any) -> str | None:
    """Say what differs first, None if nothing does."""
    if isinstance(wanted, pd.DataFrame):
        return _table_difference(given, wanted)
    if isinstance(wanted, Mapping):
        return _mapping_difference(given, wanted)
    return None if _same(given, wanted) else f"it is not {_said(given)}"


def _same(given: Any, wanted: Any) -> bool:
    try:
        if isinstance(wanted, float):
            return abs(float(given) - wanted) <= 1e-9 * max(1.0, abs(wanted))
        return bool(given == wanted)
    except (TypeError, ValueError):
        return False


def _mapping_difference(given: Any, wanted: Mapping[Any, Any]) -> str | None:
    if not isinstance(given, Mapping):
        return f"give a dict with {', '.join(map(repr, wanted))}, not {_said(given)}"
    wrong = [key for key in wanted if not _same(given.get(key), wanted[key])]
    return f"{wrong[0]} is not {_said(given.get(wrong[0]))}" if wrong else None


def _table_difference(given: Any, wanted: pd.DataFrame) -> str | None:
    if not isinstance(given, pd.DataFrame):
        return f"give a table or a frame, not {_briefly(given)}"
    lacking = [name for name in wanted.columns if name not in given.columns]
    if lacking:
        return f"there is no column {lacking[0]!r}, only {list(given.columns)}"
    mine, theirs = _rows(given[list(wanted.columns)]), _rows(wanted)
    extra, missing = _without(mine, theirs), _without(theirs, mine)
    if not extra and not missing:
        return None
    return _pair(list(wanted.columns), extra, missing)


def _rows(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return the rows as texts, so that types that differ only in width compare as equal."""
    return [tuple(_said(value) for value in row) for row in table.itertuples(index=False, name=None)]


def _without(rows: list[tuple[str, ...]], others: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    left = list(rows)
    for row in others:
        if row in left:
            left.remove(row)
    return sorted(left)


def _pair(names: list[str], extra: list[tuple[str, ...]], missing: list[tuple[str, ...]]) -> str:
    def told(row: tuple[str, ...]) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))

    if not missing:
        return f"a row is too many: {told(extra[0])}"
    if not extra:
        return f"a row is missing, that of {names[0]} {missing[0][0]}"
    near = next((row for row in extra if row[:-1] == missing[0][:-1]), extra[0])
    return f"you say {told(near)}; that is not so"


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return str(value)


def _briefly(value: Any) -> str:
    words = _said(value)
    return words if len(words) <= 60 and "\n" not in words else f"a {type(value).__name__}"


def _raised(error: BaseException) -> str:
    told = str(error) or type(error).__name__
    return told if isinstance(error, StreamnbError) else f"your code raises {type(error).__name__}: {told}"
