"""predict: asks before it shows. The guess stands in the notebook beside what happened."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable
from typing import Any

from streamnb.errors import one_of

ABSENT = object()
NEAR = 0.1


class Prediction:
    """A question, the learner's guess, and what happened. ``value`` is None until somebody guesses.

    A number is right, or close: within ``near`` of what happened, as a share of it.

    ``guess(value)`` answers from code; ``compare(actual)`` says how it went. In a notebook that runs without a browser
    it stands there unanswered and keeps nobody waiting.
    """

    def __init__(
        self, question: str, choices: list[Any] | None, then: Callable[[], Any] | None, near: float = NEAR
    ) -> None:
        self.question, self.choices, self._then, self.near = question, choices, then, near
        self.value: Any = None
        self.actual: Any = ABSENT
        self._box: Any = None

    def guess(self, value: Any) -> Prediction:
        """Answer the question, once."""
        if self.choices is not None and value not in self.choices:
            raise one_of("predict", "guess", value, self.choices)
        self.value = value if self.value is None else self.value
        self._redraw()
        return self

    def compare(self, actual: Any) -> Prediction:
        """Say what happened, beside the guess."""
        self.actual = actual.item() if hasattr(actual, "item") else actual
        self._redraw()
        return self

    @property
    def right(self) -> bool | None:
        """Whether the guess is what happened; None while one of the two is missing."""
        return None if self.value is None or self.actual is ABSENT else bool(self.value == self.actual)

    @property
    def close(self) -> bool | None:
        """Whether a number is right or nearly so; None while it or what happened is missing."""
        return self.right or (None if self.right is None else self.choices is None and self._off <= self.near)

    @property
    def _off(self) -> float:
        """How far the guess is from what happened, as a share of that."""
        return abs(self.value - self.actual) / abs(self.actual) if self.actual else math.inf

    def __repr__(self) -> str:
        guessed = "no guess yet" if self.value is None else f"you said {self.value}"
        if self.actual is ABSENT:
            return guessed
        if self.right:
            return f"{guessed}: right"
        if self.close:
            return f"{guessed}: close, within {math.ceil(100 * self._off)} %; it is {self.actual}"
        return f"{guessed}; it is {self.actual}{self._how_far()}"

    def _how_far(self) -> str:
        """Return how much a number is too low or too high: as a factor from two on, else as a difference."""
        if self.value is None or self.choices is not None:
            return ""
        side = "low" if self.value < self.actual else "high"
        less, more = sorted((self.value, self.actual))
        if less > 0 and more >= 2 * less:
            return f", {_times(more / less)} times too {side}"
        return f", {more - less:.6g} too {side}"

    def _repr_html_(self) -> str:
        mark = "≈" if self.close and not self.right else {None: "…", True: "✓", False: "✕"}[self.right]
        told = f"<b>{mark}</b> {html.escape(repr(self))}"
        return f'<div role="status" style="max-width: 44em">{html.escape(self.question)}<br>{told}</div>'

    def _repr_mimebundle_(self, **_: Any) -> Any:
        fallback = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if self.value is not None or self.actual is not ABSENT:
            return fallback
        self._box = self._box or self._asked()
        return self._box._repr_mimebundle_() | fallback

    # -- the widget

    def _asked(self) -> Any:
        from ipywidgets import HTML, Button, HBox, IntText, ToggleButtons, VBox

        number = self.choices is None
        field = IntText(layout={"width": "8em"}) if number else ToggleButtons(options=self.choices, value=None)
        field.description_allow_html = False
        send = Button(
            description="That is my guess",
            tooltip="Your guess is kept; it cannot be changed.",
            layout={"width": "auto", "flex": "0 0 auto"},
        )
        send.on_click(lambda _: self.guess(field.value))
        question = HTML(f"<b>Predict.</b> {html.escape(self.question)}")
        return VBox([question, HBox([field, send], layout={"flex_flow": "row wrap", "align_items": "flex-end"})])

    def _redraw(self) -> None:
        if self._box is None:
            return
        from ipywidgets import HTML, Output

        told = [HTML(self._repr_html_())]
        if self._then is not None and self.value is not None and len(self._box.children) != 1:
            shown = Output()
            self._box.children = [*told, shown]
            shown.append_display_data(self._then())
            self._then = None
            return
        self._box.children = [*told, *[child for child in self._box.children if isinstance(child, Output)]]


def _times(factor: float) -> str:
    return f"{factor:.2g}" if factor < 10 else f"{factor:.0f}"


def predict(
    question: str, choices: Iterable[Any] | None = None, *, then: Callable[[], Any] | None = None, near: float = NEAR
) -> Prediction:
    """Ask for a guess before the figure shows what happens.

    Parameters
    ----------
    question
        One sentence.
    choices
        The answers to choose from; without them the guess is a whole number.
    then
        A function that gives the figure; it is shown once the guess is made, and not before.
    near
        How far from what happens a number may be to pass as close, as a share of it.

    The guess and the answer stay in the notebook's output. ``compare(actual)`` on what this returns tells how it went.

    >>> guess = sn.predict("How many rows come too late?")
    """
    return Prediction(question, None if choices is None else list(choices), then, near)
