"""check: tries a learner's answer on data it has not seen, and says why it is not right yet."""

from __future__ import annotations

import html
from importlib import import_module, resources
from typing import Any

from streamnb.display import quietly
from streamnb.errors import one_of
from streamnb.learn.exercise import Exercise, Verdict, judge

_MARKS = {"right": "✓", "right, but": "✓", "not yet": "✕", "not tried": "…"}
_CODE = "white-space: pre; word-break: normal; overflow-x: auto"
_hinted: dict[str, int] = {}


class Card:
    """A few words in a notebook, in its own colours."""

    def __init__(self, mark: str, title: str, text: str = "", source: str = "") -> None:
        self.mark, self.title, self.text, self.source = mark, title, text, source

    def __repr__(self) -> str:
        return "\n".join(part for part in (": ".join(filter(None, (self.title, self.text))), self.source) if part)

    def _repr_html_(self) -> str:
        text = f" {html.escape(self.text)}" if self.text else ""
        code = f'<pre style="{_CODE}">{html.escape(self.source)}</pre>' if self.source else ""
        said = f"<b>{self.mark} {html.escape(self.title)}</b>{text}"
        return f'<div role="status"><div style="max-width: 44em">{said}</div>{code}</div>'


def check(name: str, answer: Any = None) -> Card:
    """Try an answer to the exercise ``name``, such as ``"03.A"``, on data that it has not seen.

    It says ``not tried``, ``not yet`` with the reason, ``right``, or ``right, but`` with what is slow or grows. Where
    the answer is what a known wrong model gives, it names that model.

    >>> print(sn.check("03.A"))
    not tried
    """
    with quietly():
        verdict: Verdict = judge(exercise(name), answer)
    return Card(_MARKS[verdict.outcome], verdict.outcome, verdict.reason)


def hint(name: str) -> Card:
    """Show the next hint of an exercise; after the last one, the first again.

    >>> print(sn.hint("03.A"))
    hint 1 of 3: The worst-hit group counts, not all flights: those of five hours or more.
    """
    hints = exercise(name).hints
    turn = _hinted[name] = _hinted.get(name, 0) + 1
    at = (turn - 1) % len(hints)
    return Card("?", f"hint {at + 1} of {len(hints)}", hints[at])


def solution(name: str) -> Card:
    """Show our answer to an exercise, as code to paste.

    >>> print(sn.solution("03.A"))
    one way
    outcomes = {hours: outcome(hours) for hours in range(3, 8)}
    delay = min(hours for hours, found in outcomes.items() if found["lost"] <= 2)
    answer = {"delay": delay, "median_wait": outcomes[delay]["wait"]}
    """
    return Card("=", "one way", source=exercise(name).source().strip())


def exercise(name: str) -> Exercise:
    """Return an exercise by its name, lesson and letter."""
    exercises = {one.name: one for one in lesson(name.partition(".")[0])}
    if name not in exercises:
        raise one_of("check", "exercise", name, tuple(exercises) or tuple(lessons()))
    return exercises[name]


def lesson(number: str) -> tuple[Exercise, ...]:
    """Return the exercises of a lesson, such as ``"03"``."""
    if number not in lessons():
        return ()
    found: tuple[Exercise, ...] = import_module(f"streamnb.learn.exercises.lesson_{number}").EXERCISES
    return found


def lessons() -> list[str]:
    """Return the numbers of the lessons that have exercises."""
    files = resources.files("streamnb.learn.exercises").iterdir()
    return sorted(file.name[7:-3] for file in files if file.name.startswith("lesson_") and file.name.endswith(".py"))
