"""Dashboard: controls, plane and result of one query, drawn at the reader's pace."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython import get_ipython

from streamnb.views.controls import Controls
from streamnb.views.cursor import cursor_of
from streamnb.views.doctor import Watch
from streamnb.views.pacer import Pacer
from streamnb.views.still import Still, put
from streamnb.views.table import Table, html
from streamnb.views.tabs import Tabs
from streamnb.views.view import SheetPanel
from streamnb.views.widget import hide, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from streamnb.progress import Outline, Playable, Trace
    from streamnb.views.view import Panel, View

Place = tuple[int, "Trace | None", bool, int]
"""A position, its batch, whether the query plays or runs (then less is drawn), and how often the reader acted."""

SPEED = 2.0
"""Batches a second, until the reader chooses."""
LEAP = 2
"""More new batches than so many since the last picture: the query runs, and less is drawn until it has come to rest."""
TABLE_PAUSE, TABLE_SHARE = 0.4, 0.03
"""Seconds between two tables while the query plays, at least, and the share of the time that they may take."""
PLANE = "plane"


class Dashboard:
    """A live view of ``query``; any number of cells may display it.

    It looks at the newest batch until it is moved back, and all dashboards of a query look at the same one. It reads
    the query's records and posts commands to it: closing it does not touch the query. ``views`` are its tabs besides
    the ``plane``; a tab that was never open costs nothing, one that is not open now is not drawn.
    """

    def __init__(self, query: Playable, views: Sequence[type[View]] = (), *, plane: bool = True) -> None:
        self.query = query
        self.speed = SPEED
        self.closed = False
        self.cursor = cursor_of(query)
        self.controls = Controls(self.obey)
        self.table = Table()
        self._views = {view.name: view for view in views}
        names = [*([PLANE] if plane else []), *self._views]
        self.open = names[0]
        self.tabs = Tabs(names, self.open, self.choose)
        self.panels: dict[str, Panel] = {}
        self._watch = Watch(query)
        self.box = stack(self.controls, name="sn-dashboard")
        self._gestures = 0
        self._lock = threading.RLock()  # a tab may be chosen while the last one is drawn
        self._still = Still({"image/svg+xml": self._still_picture, "text/html": self._still_table})
        self._drawn: Place | None = None
        self._seen = self.newest
        self._kept: tuple[Place, str] | None = None
        self._tabled: Trace | None = None
        self._table_from = 0.0
        self._arrange()
        self._draw(0.0)
        self._pacer = Pacer(query.name, self._draw, self._rest, self._ready)
        self._unwatch = [query.subscribe(self._pacer.mark), self.cursor.watch(self._touched), self._watch_cells()]

    def _ready(self) -> bool:
        return self.panel.ready()

    @property
    def panel(self) -> Panel:
        """The view that is open; made when it is first looked at."""
        if self.open not in self.panels:
            self.panels[self.open] = self._made(self.open)
        return self.panels[self.open]

    def _made(self, name: str) -> Panel:
        if name == PLANE:
            from streamnb.views.plane_panel import PlanePanel  # Bokeh takes half a second, and other views need none

            return PlanePanel(self.query, self._gesture)
        return SheetPanel(self._views[name](self.query), self._gesture)

    def choose(self, name: str) -> None:
        """Open a tab."""
        with self._guarded(), self._lock:
            self.tabs.chosen = self.open = name
            self._arrange()
        self._touched()

    def _arrange(self) -> None:
        """Show the panel that is open. Those that were stay, hidden: Bokeh leaves nodes behind when it is rebuilt."""
        tabs = [self.tabs] if len(self.tabs.names) > 1 else []
        shown = self.panel.widget
        panels = [panel.widget for panel in self.panels.values()]
        for widget in panels:
            hide(widget, hidden=widget is not shown)
        hide(self.table, hidden=not self._has_table)
        self.box.children = (self.controls, *tabs, *panels, self.table)

    @property
    def _has_table(self) -> bool:
        return self.open == PLANE

    def _gesture(self, action: Callable[[], None]) -> None:
        with self._guarded():
            action()
        self._touched()

    def _touched(self) -> None:
        self._gestures += 1
        self._pacer.mark()

    def _watch_cells(self) -> Callable[[], None]:
        """Refresh the stills when a cell is done, so that a notebook run from end to end is saved as it stands."""
        shell = get_ipython()
        if shell is None:
            return lambda: None
        events = shell.events
        events.register("post_run_cell", self._after_cell)
        return lambda: events.unregister("post_run_cell", self._after_cell)

    @property
    def newest(self) -> int:
        """Position of the newest batch in the trace; -1 when there is none."""
        return len(self.query.trace) - 1

    @property
    def at(self) -> int:
        """Position of the batch that is shown."""
        return self.cursor.at(self.newest)

    def obey(self, command: str, value: Any = None) -> None:
        """Do what a button of :class:`~streamnb.views.controls.Controls` asks."""
        with self._guarded():
            self._obey(command, value)

    def _obey(self, command: str, value: Any) -> None:
        actions: dict[str, Callable[[], None]] = {
            "step": self._step,
            "back": lambda: self._look(self.at - 1),
            "first": lambda: self._look(0),
            "last": lambda: self._look(self.newest),
            "jump": lambda: self._look(int(value)),
            "speed": lambda: self._set_speed(float(value)),
            "play": self._play,
            "pause": lambda: self.query.post("pause"),
            "rewind": self._rewind,
        }
        actions[command]()

    def _step(self) -> None:
        if self.at < self.newest:
            self._look(self.at + 1)
        else:
            self.query.post("step")

    def _look(self, to: int) -> None:
        if to < self.newest and self.query.playing:
            self.query.post("pause")
        self.cursor.move(to, self.newest)

    def _play(self) -> None:
        self._look(self.newest)
        self.query.post("play", every=f"{1000 / self.speed:.0f}ms")

    def _set_speed(self, speed: float) -> None:
        self.speed = speed
        if self.query.playing:
            self._play()
        self._pacer.mark()

    def _rewind(self) -> None:
        if self.at >= 0:
            self.query.post("rewind", to=self.query.trace[self.at].batch_id)
        self.cursor.move(self.newest, self.newest)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Show what fails in here where the query's own errors are shown; the query goes on.

        Not what failed because batches were let go of meanwhile: the change that took them has it drawn anew.
        """
        before = self.query.let_go
        try:
            yield
        except Exception as error:  # noqa: BLE001
            if self.query.let_go == before:
                self.controls.complain(error)

    def _place(self) -> Place:
        at = self.at
        moving = self.query.playing or self.newest - self._seen > LEAP
        return at, self.query.trace[at] if at >= 0 else None, moving, self._gestures

    def _draw(self, since: float) -> bool:
        """Draw the batch the cursor is at; return whether anything is new since the last time."""
        with self._guarded(), self._lock:
            place, self._seen = self._place(), self.newest
            is_new = place != self._drawn
            if is_new:
                self.panel.draw(place[0], since, playing=place[2])
                self._drawn = place
            self._draw_table(place)
            self.controls.show(self.query, place[0], self.speed)
            self.tabs.note("doctor", self._watch.number(place[0], playing=place[2]), "findings")
            return is_new
        return True

    def _draw_table(self, place: Place) -> None:
        """Show the table of a batch; while the query plays only now and then, so that the picture comes first."""
        at, trace, playing, _ = place
        if not self._has_table or self._tabled is trace:
            return
        if not playing or time.monotonic() >= self._table_from:
            used = time.thread_time()
            self._show_table(at)
            pause = max(TABLE_PAUSE, (time.thread_time() - used) / TABLE_SHARE)
            self._tabled, self._table_from = trace, time.monotonic() + pause

    def _show_table(self, at: int) -> None:
        if at < 0:
            self.table.clear()
            return
        now = self._result(at)
        before = self._result(at - 1) if at else self._left(at) if self.query.let_go else now.iloc[:0]
        self.table.show(before, now, _key(self.query.outline), self._table_title(now, at))

    def _result(self, at: int) -> pd.DataFrame:
        return self.query.result_at(self.query.trace[at].batch_id)

    def _left(self, at: int) -> pd.DataFrame:
        """Return the result that the batches before one have left, of which nothing else is told any more."""
        return self.query.result_at(self.query.trace[at].batch_id - 1)

    def _table_title(self, now: pd.DataFrame, at: int) -> str:
        count = f"{len(now):,} row{'' if len(now) == 1 else 's'}" if len(now) else "no rows yet"
        return f"Result after batch {self.query.trace[at].batch_id}: {count}, {self.query.outline.output_mode} mode"

    def _still_picture(self) -> str:
        return self.panel.svg(self.at)

    def _still_table(self) -> str:
        if not self._has_table:
            return self.panel.html(self.at)
        if self.at < 0:
            return ""
        now = self._result(self.at)
        return html(now, self._table_title(now, self.at)) + self.panel.html(self.at)

    def _after_cell(self, _: Any) -> None:
        if not self.query.playing:
            self._refresh_still()

    def _rest(self) -> None:
        """Draw all that was left out while the query played."""
        with self._guarded(), self._lock:
            place = self._place()
            self.panel.draw(place[0], time.monotonic(), playing=False)
            self._table_from = 0.0
            self._draw_table(place)
        self._refresh_still()

    def _refresh_still(self) -> None:
        with self._guarded(), self._lock:
            place = self._place(), self.open
            if place != self._kept:
                self._still.refresh()
                self._kept = place

    def show(self) -> None:
        """Display the live view, and the still picture and table, in the cell that runs now."""
        widget = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        bundle = {"application/vnd.jupyter.widget-view+json": widget, "text/plain": repr(self.query)}
        put(bundle)
        with self._lock:  # the drawing thread lays out the same view
            self._still.show()

    _ipython_display_ = show

    def close(self) -> None:
        """Remove the views and end their thread; the still picture stays, and the query goes on."""
        if self.closed:
            return
        self.closed = True
        self._pacer.stop()
        for unwatch in self._unwatch:
            unwatch()
        self._refresh_still()
        self.box.layout.close()
        for widget in (self.box, self.controls, self.tabs, self.table):
            widget.close()
        for panel in self.panels.values():
            panel.close()


def _key(outline: Outline) -> tuple[str, ...]:
    """Return the columns by which a row of the result is known; none in append mode, where rows only come after."""
    if outline.output_mode == "append":
        return ()
    return (*(("window_start", "window_end") if outline.window else ()), *outline.keys)
