"""Exercises: what is asked, how an answer is tried on data it has not seen, and which wrong models are known."""

from __future__ import annotations

import ast
import inspect
import linecache
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any

import pandas as pd

from streamnb.errors import StreamnbError
from streamnb.frame import StreamFrame
from streamnb.learn.comparing import briefly, difference, only_columns, unlike
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
    seen: bool = False  # whether the lesson has shown it


@dataclass(frozen=True, eq=False)
class Exercise:
    """An answer is a value, or a function that gives a value, a table or a frame.

    A function is called with the arguments of every world, and must give there what ``oracle`` gives, which knows
    pandas and nothing of this engine. A frame is run as a query in ``mode`` and its result compared, rows in any
    order. The answer is ``right`` then, unless ``must`` finds that it gets there in another way than is asked, or
    ``but`` finds fault with the way.

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
    must: Callable[[Any], str | None] | None = None  # what the answer's way lacks of what is asked
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


class Told(Exception):  # noqa: N818  a reason, not a failure
    """Why an answer is not right yet, where trying it stops."""


class _UntriedError(Exception):
    """The answer is the one that the notebook came with."""


@dataclass(frozen=True)
class _Found:
    """What an answer gave in a world: a plain value, how many rows were late, and whether it was a stream."""

    value: Any
    late: int = 0
    streamed: bool = True


def played(frame: StreamFrame, mode: str = "append") -> Query:
    """Return a query of a frame that has run over all there is, and is stopped."""
    with frame.query(output_mode=mode, name="the check's") as query:
        return query.run()


def ran(found: StreamFrame | Query) -> Query:
    """Return a frame as a query in append mode, or a query as it is, run to the end."""
    query = played(found) if isinstance(found, StreamFrame) else found
    if query.status not in ("stopped", "failed"):
        query.run().stop()
    return query


def collected(found: Any) -> Any:
    """Return a frame run over all there is at once; a query's result; anything else as it is."""
    return found.collect() if isinstance(found, StreamFrame) else _plain(found, "append").value


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Try an answer on every world of its exercise."""
    if _untried(answer):
        return NOT_TRIED
    worlds = exercise.worlds()
    try:
        _callable(exercise, answer, worlds)
        given = [_given(exercise, answer, world) for world in worlds]
    except _UntriedError:
        return NOT_TRIED
    except Exception as error:  # noqa: BLE001  whatever the learner's code raises is told, not raised
        return Verdict("not yet", _raised(error, answer))
    return _judged(exercise, answer, worlds, given)


def _judged(exercise: Exercise, answer: Any, worlds: Sequence[World], given: Sequence[_Found]) -> Verdict:
    values, wanted = [found.value for found in given], _wanted(exercise)
    if strange := next(filter(None, map(unlike, values, wanted)), None):
        return Verdict("not yet", (_known(exercise, values) if _empty(values) else None) or strange)
    faults = list(map(difference, values, wanted))
    if not any(faults):
        return _how(exercise, answer, given)
    said = [exercise.tell(each) for each in values] if exercise.tell else faults
    at, fault = next((n, fault) for n, fault in enumerate(said) if fault)
    told = _known(exercise, values) or _deaf(exercise, answer, values) or _first(fault, worlds[at], given[at].late)
    return Verdict("not yet", told)


def _empty(values: Sequence[Any]) -> bool:
    return all(isinstance(value, pd.DataFrame) and value.empty for value in values)


def _how(exercise: Exercise, answer: Any, given: Sequence[_Found]) -> Verdict:
    """Return the verdict on an answer that gives the right thing, by the way it gets there."""
    if not all(found.streamed for found in given) and _streams(exercise):
        told = "that is a table, made when all was there; a stream has no last row, so give a frame"
        return Verdict("right, but", told)
    if fault := _fault(exercise.must, answer):
        return Verdict("not yet", fault)
    fault = _fault(exercise.but, answer)
    return Verdict("right, but", fault) if fault else RIGHT


def _fault(find: Callable[[Any], str | None] | None, answer: Any) -> str | None:
    if find is None:
        return None
    try:
        return find(answer)
    except Exception as error:  # noqa: BLE001  as in judge
        return _raised(error, answer)


def _untried(answer: Any) -> bool:
    """Tell whether an answer is an empty one, such as a notebook comes with."""
    if isinstance(answer, Mapping):
        return all(_untried(value) for value in answer.values())
    return answer is None or answer is ...


def _callable(exercise: Exercise, answer: Any, worlds: Sequence[World]) -> None:
    """Raise what to tell if an answer cannot be called as it must be."""
    asked = _asked(exercise)
    if asked is None or not any(world.arguments for world in worlds):
        return
    if not callable(answer):
        raise Told(f"give the function itself, as in sn.check({exercise.name!r}, {asked.name}), not {briefly(answer)}")
    names = [argument.arg for argument in asked.args.args]
    try:
        inspect.signature(answer).bind(*names)
    except TypeError:
        raise Told(f"your function is called as {asked.name}({', '.join(names)}), and does not take that") from None
    except ValueError:  # of some built-in functions nobody knows what they take
        return


@lru_cache
def _asked(exercise: Exercise) -> ast.FunctionDef | None:
    """Return the function that an exercise asks for, as the solution has it."""
    functions = [part for part in ast.parse(exercise.source().strip()).body if isinstance(part, ast.FunctionDef)]
    return functions[-1] if functions and exercise.shown else None


def _given(exercise: Exercise, answer: Any, world: World) -> _Found:
    """Return what an answer gives in a world."""
    if not callable(answer):
        return _Found(answer, streamed=False)
    trial = exercise.trial
    found = trial(answer, *world.arguments) if trial else answer(*world.arguments)
    if found is None and not trial and _does_something(answer):
        raise Told("your function gives nothing back: is return missing?")
    if found is None or found is ... or any(found is argument for argument in world.arguments):
        raise _UntriedError
    streamed = isinstance(found, StreamFrame | Query) or trial is not None
    plain = _plain(exercise.then(found) if exercise.then else found, exercise.mode)
    return _Found(plain.value, plain.late, streamed)


def _does_something(answer: Any) -> bool:
    code = getattr(answer, "__code__", None)
    return code is not None and len(code.co_names) > 0


def _plain(found: Any, mode: str) -> _Found:
    """Return a frame's or a query's result as a table, run to the end; anything else as it is."""
    if not isinstance(found, StreamFrame | Query):
        return _Found(found)
    query = ran(played(found, mode) if isinstance(found, StreamFrame) else found)
    return _Found(query.result, len(query.late))


@lru_cache
def _streams(exercise: Exercise) -> bool:
    """Tell whether a frame is asked for: whether the solution gives one."""
    return _given(exercise, exercise.solution, exercise.worlds()[0]).streamed


@lru_cache
def _wanted(exercise: Exercise) -> list[Any]:
    return [exercise.oracle(*world.arguments) for world in exercise.worlds()]


@lru_cache(maxsize=512)
def _theirs(exercise: Exercise, number: int) -> list[Any]:
    """Return what a wrong model gives; worlds of its own, for an answer may have changed those it was handed."""
    wrong = exercise.wrong[number].answer
    found = [_given(exercise, wrong, world).value for world in exercise.worlds()]
    return [only_columns(*pair) for pair in zip(found, _wanted(exercise), strict=True)]


def _known(exercise: Exercise, given: Sequence[Any]) -> str | None:
    """Return the message of the wrong model that gives just what the answer gives."""
    for number, wrong in enumerate(exercise.wrong):
        if not any(map(difference, given, _theirs(exercise, number))):
            return wrong.message
    return None


def _deaf(exercise: Exercise, answer: Any, given: Sequence[Any]) -> str | None:
    """Say so if an answer is the same table whatever it is handed."""
    first, *others = _wanted(exercise)
    if not (isinstance(first, pd.DataFrame) and callable(answer) and others) or len(given[0]) == 0:
        return None
    if any(difference(each, given[0]) for each in given[1:]) or not any(difference(one, first) for one in others):
        return None
    asked = _asked(exercise)
    names = ", ".join(argument.arg for argument in asked.args.args) if asked else "its arguments"
    return f"it gives the same on every data set: your function must make its result of {names}, and of nothing else"


def _first(fault: str, world: World, late: int) -> str:
    dropped = f"; {late} row{'' if late == 1 else 's'} came too late for your watermark" if late else ""
    unseen = "" if world.seen else ", which you have not seen"
    return f"{fault}{dropped} (on {world.name}{unseen})" if world.name else f"{fault}{dropped}"


def _raised(error: BaseException, answer: Any) -> str:
    told = str(error) or type(error).__name__
    if isinstance(error, StreamnbError | Told):
        return told
    frame = "; sn.from_pandas(…) makes a frame of a table" if told.startswith("'DataFrame'") and _verb(error) else ""
    return f"your code raises {type(error).__name__}: {told}{frame}{_place(error.__traceback__, answer)}"


def _verb(error: BaseException) -> bool:
    return isinstance(error, AttributeError) and hasattr(StreamFrame, str(error.name))


def _place(trace: TracebackType | None, answer: Any) -> str:
    """Return the line of the learner's own that an error came from."""
    own = getattr(getattr(answer, "__code__", None), "co_filename", None)
    line = ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == own:
            line = linecache.getline(str(own), trace.tb_lineno).strip()
        trace = trace.tb_next
    return f", in: {line}" if line and len(line) <= 100 else ""
