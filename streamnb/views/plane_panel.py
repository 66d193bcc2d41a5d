"""The plane as a panel of a dashboard: a live figure, marks that can be clicked, and the table behind them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from streamnb.views.cursor import cursor_of
from streamnb.views.live import Live
from streamnb.views.plane import MOST_AT_ONCE, plane_of
from streamnb.views.plane_figure import Plane
from streamnb.views.plane_rows import story_of
from streamnb.views.plane_shapes import plane_table
from streamnb.views.plane_svg import svg
from streamnb.views.sheet_svg import table_html
from streamnb.views.view import Panel

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamnb.progress import Playable

PAUSE = 1.0
"""Seconds between two tables while the query plays."""


class PlanePanel(Panel):
    """Event time against processing time; a click on a mark, or on its line, is a click on its row in every view."""

    def __init__(self, query: Playable, obey: Callable[[Callable[[], None]], None]) -> None:
        self.query = query
        self.plane = Plane(query)
        self.live = Live(self.plane.figure)
        self.widget = self.live
        self.cursor = cursor_of(query)
        self.plane.on_click(self.cursor.pick)
        self._listing, self._listed_at = False, 0.0
        self.live.hear_table = lambda name, value: obey(lambda: self._hear(name, value))

    def _hear(self, name: str, value: Any) -> None:
        """Open or close the table, or ask about the row of one of its lines."""
        if name == "table":
            self._listing = bool(value)
        else:
            batch, _, place = str(value).partition(".")
            self.cursor.pick((int(batch), int(place)))

    def ready(self) -> bool:
        return self.live.ready()

    def draw(self, at: int, since: float, *, playing: bool) -> None:
        with self.live.lock:
            spoken = self.plane.refresh(at, playing=playing)
            self._ring(at, MOST_AT_ONCE if playing else None)
            self.live.flush(since)
            if not playing:
                self.live.caption = spoken
        if self._listing and not (playing and time.monotonic() < self._listed_at + PAUSE):
            self._list(at)

    def _list(self, at: int) -> None:
        grid, self._listed_at = plane_table(plane_of(self.query, at)), time.monotonic()
        rows = [{"cells": row.cells, "pick": row.pick} for row in grid.rows]
        names = [column.name for column in grid.columns]
        self.live.behind = {"title": grid.title, "note": grid.note, "columns": names, "rows": rows}

    def _ring(self, at: int, at_once: int | None) -> None:
        picked = self.cursor.picked
        shown = story_of(self.query).follow(list(self.query.trace), at_once)[: at + 1] if picked else []
        self.plane.pick(picked, shown)

    def svg(self, at: int) -> str:
        with self.live.lock:
            return svg(self.query, at)

    def html(self, at: int) -> str:
        marks = table_html(plane_table(plane_of(self.query, at)))
        return f"<details><summary>table of the marks</summary>{marks}</details>"
