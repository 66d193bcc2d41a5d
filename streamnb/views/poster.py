"""Poster: a sheet that follows no query, such as the plan of a frame or the shapes of windows."""

from __future__ import annotations

from typing import Any, Protocol

from streamnb.views.shapes import Sheet, Words
from streamnb.views.sheet import Paper
from streamnb.views.sheet_svg import sheet_html, sheet_svg
from streamnb.views.still import Still, put
from streamnb.views.widget import stack


class Subject(Protocol):
    """What a poster shows."""

    def sheet(self) -> Sheet:
        """Lay it out as it stands."""

    def hear(self, name: str, value: Any) -> None:
        """Take what the reader did."""


class Poster:
    """A sheet in a cell, laid out anew after every gesture; a still picture beside it for a reader without a kernel."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.closed = False
        self.paper = Paper(self._hear)
        self.box = stack(self.paper, name="sn-dashboard")
        self._still = Still({"image/svg+xml": self._svg, "text/html": self._html})
        self.paper.show(subject.sheet())

    def _svg(self) -> str:
        return sheet_svg(self.subject.sheet())

    def _html(self) -> str:
        return sheet_html(self.subject.sheet())

    def _hear(self, name: str, value: Any) -> None:
        try:
            self.subject.hear(name, value)
            self.paper.show(self.subject.sheet())
        except Exception as error:  # noqa: BLE001  shown where the figure would be
            title = f"{type(error).__name__}: {error}"
            self.paper.show(Sheet(title, (Words("This figure failed; run its cell again.", "dropped_text"),), title))

    def show(self) -> None:
        """Display it in the cell that runs now."""
        widget = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        put({"application/vnd.jupyter.widget-view+json": widget, "text/plain": self.subject.sheet().title})
        self._still.show()

    def close(self) -> None:
        """Remove the views; the still picture stays."""
        if not self.closed:
            self.closed = True
            self._still.refresh()
            self.box.layout.close()
            self.box.close()
            self.paper.close()
