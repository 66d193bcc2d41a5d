"""Follower: the sheet of a live sink in a cell, drawn at the reader's pace while the query goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython import get_ipython

from streamnb.views.cursor import cursor_of
from streamnb.views.pacer import Pacer
from streamnb.views.poster import Poster
from streamnb.views.shapes import Sheet

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamnb.views.live_sink import LiveSink


class Follower(Poster):
    """A poster that is laid out anew after every change of its query."""

    def __init__(self, sink: LiveSink) -> None:
        self.sink = sink
        super().__init__(self)
        query = sink.query
        assert query is not None  # noqa: S101  shown only once it has one
        self._pacer = Pacer(query.name, self._draw, self._rest, self.paper.ready)
        self._unwatch = [query.subscribe(self._pacer.mark), cursor_of(query).watch(self._pacer.mark), self._watch()]

    def sheet(self) -> Sheet:
        """Lay out what stands; what fails in there is shown instead."""
        try:
            return self.sink.sheet()
        except Exception as error:  # noqa: BLE001  it must not end the thread that draws
            return Sheet(f"{self.sink.verb}: {type(error).__name__} {error}", ())

    def hear(self, name: str, value: Any) -> None:
        """There is nothing to choose."""

    def _draw(self, since: float) -> bool:
        return self.paper.show(self.sheet())

    def _rest(self) -> None:
        self.paper.show(self.sheet())
        self._still.refresh()

    def _watch(self) -> Callable[[], None]:
        """Refresh the still when a cell is done, so that a notebook run from end to end is saved as it stands."""
        shell = get_ipython()
        if shell is None:
            return lambda: None
        shell.events.register("post_run_cell", self._after_cell)
        return lambda: shell.events.unregister("post_run_cell", self._after_cell)

    def _after_cell(self, _: Any) -> None:
        if self.sink.query is not None and not self.sink.query.playing:
            self._rest()

    def close(self) -> None:
        """Remove the views and end their thread; the still picture stays, and the query goes on."""
        if not self.closed:
            self._pacer.stop()
            for unwatch in self._unwatch:
                unwatch()
            super().close()
