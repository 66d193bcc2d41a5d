"""The plane as a panel of a dashboard: a live figure, and marks that can be clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamnb.views.cursor import cursor_of
from streamnb.views.live import Live
from streamnb.views.plane import MOST_AT_ONCE
from streamnb.views.plane_figure import Plane
from streamnb.views.plane_rows import story_of
from streamnb.views.plane_svg import svg
from streamnb.views.view import Panel

if TYPE_CHECKING:
    from streamnb.progress import Playable


class PlanePanel(Panel):
    """Event time against processing time; a click on a mark is a click on its row in every view."""

    def __init__(self, query: Playable) -> None:
        self.query = query
        self.plane = Plane(query)
        self.live = Live(self.plane.figure)
        self.widget = self.live
        self.cursor = cursor_of(query)
        self.plane.on_click(self.cursor.pick)

    def ready(self) -> bool:
        return self.live.ready()

    def draw(self, at: int, since: float, *, playing: bool) -> None:
        with self.live.lock:
            spoken = self.plane.refresh(at, playing=playing)
            self._ring(at, MOST_AT_ONCE if playing else None)
            self.live.flush(since)
            if not playing:
                self.live.caption = spoken

    def _ring(self, at: int, at_once: int | None) -> None:
        picked = self.cursor.picked
        shown = story_of(self.query).follow(list(self.query.trace), at_once)[: at + 1] if picked else []
        self.plane.pick(picked, shown)

    def svg(self, at: int) -> str:
        with self.live.lock:
            return svg(self.query, at)

    def html(self, at: int) -> str:
        return ""
