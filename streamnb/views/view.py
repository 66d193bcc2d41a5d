"""View: one way to look at a query, laid out as a sheet for any place in its trace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from streamnb.views.cursor import cursor_of
from streamnb.views.sheet import Paper
from streamnb.views.sheet_svg import sheet_html, sheet_svg

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamnb.progress import Playable
    from streamnb.views.shapes import Sheet
    from streamnb.views.widget import Widget

Choices = Mapping[str, Mapping[str, "Sequence[Sheet]"]]
"""By the name of a control and the value chosen: sheets, one a batch, or one for all batches."""


class View(ABC):
    """What a reader has chosen in a view of ``query``, and the sheet that follows from it."""

    name: ClassVar[str]
    live = True
    """Whether somebody is there to answer a gesture; not so in a saved page."""

    def __init__(self, query: Playable) -> None:
        self.query = query
        self.cursor = cursor_of(query)

    @classmethod
    def fits(cls, query: Playable) -> bool:  # noqa: ARG003  a join's view asks
        """Return whether the dashboard of a query has this view as a tab."""
        return True

    @abstractmethod
    def sheet(self, at: int) -> Sheet:
        """Lay out the state after the batch at position ``at`` of the trace; -1 is before the first."""

    def choices(self, places: Sequence[int]) -> Choices:
        """Return what a reader may choose where nobody answers: by control and value, the sheets after batches."""
        return {}

    def hear(self, name: str, value: Any) -> None:  # noqa: B027  most views have nothing to choose
        """Take what the reader did: a ``pick``, a ``sort``, the name of a control."""


class Panel(ABC):
    """A view at work: a widget that is told what to show, and pictures for a reader without a kernel."""

    widget: Widget

    @abstractmethod
    def ready(self) -> bool:
        """Return False while the reader is behind."""

    @abstractmethod
    def draw(self, at: int, since: float, *, playing: bool) -> None:
        """Show the batch at ``at``; ``since`` is the ``time.monotonic()`` of the change."""

    @abstractmethod
    def svg(self, at: int) -> str:
        """Return the picture as SVG."""

    @abstractmethod
    def html(self, at: int) -> str:
        """Return the tables as HTML."""

    def close(self) -> None:
        """Remove the widget."""
        self.widget.close()


class SheetPanel(Panel):
    """A view on paper. ``obey(action)`` runs what a gesture asks for, and shows its error if it fails."""

    def __init__(self, view: View, obey: Callable[[Callable[[], None]], None]) -> None:
        self.view = view
        self.paper = Paper(lambda name, value: obey(lambda: view.hear(name, value)))
        self.widget = self.paper

    def ready(self) -> bool:
        return self.paper.ready()

    def draw(self, at: int, since: float, *, playing: bool) -> None:
        self.paper.show(self.view.sheet(at))

    def svg(self, at: int) -> str:
        return sheet_svg(self.view.sheet(at))

    def html(self, at: int) -> str:
        return sheet_html(self.view.sheet(at))
