"""In the kernel of a lesson that is rendered: a figure leaves its place in the cell, and in the end a page of its own.

A figure is recorded when the lesson is over, so that it can step through all that its query did.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from streamnb.learn.predict import ABSENT, Prediction
from streamnb.learn.workbench import Workbench
from streamnb.views import display
from streamnb.views.cursor import cursor_of
from streamnb.views.inspectors import Exhibit, Inspector
from streamnb.views.live_sink import LiveSink
from streamnb.views.recorded import Stepped
from streamnb.views.save import save
from streamnb.views.shapes import Sheet
from streamnb.views.still import put

DASHBOARD = ("plane", "late", "state")
_places: list[Inspector | Exhibit] = []


def begin() -> None:
    """Let figures and guesses leave what a page without a kernel can show."""
    display.show = lambda query, names=(): _place(Inspector(query, *(names or DASHBOARD)))
    display.show_live = _live
    display.show_poster = lambda subject: _place(Exhibit(subject))
    Workbench._repr_mimebundle_ = _bench  # type: ignore[assignment, method-assign]
    Prediction._repr_mimebundle_ = _told  # type: ignore[assignment, method-assign]


class _Replayed:
    """A sink that is a picture, batch by batch."""

    def __init__(self, sink: LiveSink) -> None:
        self._sink = sink

    def sheet(self) -> Sheet:
        return self._sink.sheet()

    def hear(self, name: str, value: Any) -> None:
        """Nobody is there to answer a gesture."""

    def frames(self) -> Iterator[tuple[str, Sheet]]:
        query = self._sink.query
        newest = -1 if query is None else len(query.trace) - 1
        if query is None or newest < 0:
            yield "no batch", self.sheet()
            return
        for at in range(newest + 1):
            cursor_of(query).move(at, newest)
            yield f"batch {at} of {newest}", self.sheet()


def _live(sink: LiveSink, *, again: bool) -> None:  # noqa: ARG001  shown once, whoever asks
    if sink.query is not None:
        _place(Exhibit(_Replayed(sink)))


def _place(shown: Inspector | Exhibit) -> None:
    put({"text/html": _left(shown), "text/plain": repr(shown)})


def _left(shown: Inspector | Exhibit) -> str:
    """Leave a place that knows where the figure stood."""
    _places.append(shown)
    return f'<div data-figure="{len(_places) - 1}" data-at="{_stood(shown)}"></div>'


def _stood(shown: Inspector | Exhibit) -> str:
    """Return the place at which the page begins; empty: as the figure stands."""
    if isinstance(shown, Inspector):
        return str(max(len(shown.query.trace) - 1, 0))
    return "0" if isinstance(shown.subject, Stepped) else ""


def _bench(bench: Workbench, **_: Any) -> dict[str, str]:
    """Return what a workbench begins with: its code, and the figures of its query."""
    bench.run()
    assert bench.query is not None
    code = f'<pre class="script">{escape(bench.script.text())}</pre>'
    return {"text/html": code + _left(Inspector(bench.query, *DASHBOARD)), "text/plain": repr(bench)}


def _told(prediction: Prediction, **_: Any) -> dict[str, str]:
    """Return a question, or what happened, folded away so that the reader may guess first."""
    question = escape(prediction.question)
    if prediction.actual is ABSENT:
        choices = "" if prediction.choices is None else f" ({escape(', '.join(map(str, prediction.choices)))})"
        told = f'<p class="guess"><b>Predict.</b> {question}{choices}</p>'
    else:
        actual = escape(str(prediction.actual))
        told = f'<details class="guess"><summary>What happened</summary>{question} <b>{actual}</b></details>'
    return {"text/html": told, "text/plain": repr(prediction)}


def finish(folder: str) -> None:
    """Save a page for every place, run to the end of what its query can read."""
    for number, shown in enumerate(_places):
        query: Any = getattr(shown, "query", None)
        while query is not None and query.status != "stopped" and query.step():
            pass
        save(shown, Path(folder, f"{number}.html"), ())
