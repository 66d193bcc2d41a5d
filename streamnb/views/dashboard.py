"""Dashboard: controls, plane and result of one query, drawn at the reader's pace."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython import get_ipython

from streamnb.views.controls import Controls
from streamnb.views.cursor import cursor_of
from streamnb.views.live import Live
from streamnb.views.pacer import Pacer
from streamnb.views.plane_figure import Plane
from streamnb.views.plane_svg import svg
from streamnb.views.still import Still, put
from streamnb.views.table import Table, html
from streamnb.views.widget import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from streamnb.progress import Outline, Playable, Trace

Place = tuple[int, "Trace | None", bool]
"""A position, its batch, and whether the query plays: then less is drawn."""

SPEED = 2.0
"""Batches a second, until the reader chooses."""
TABLE_PAUSE = 0.4
"""Seconds between two tables while the query plays."""


class Dashboard:
    """A live view of ``query``; any number of cells may display it.

    It looks at the newest batch until it is moved back, and all dashboards of a query look at the same one. It reads
    the query's records and posts commands to it: closing it does not touch the query.
    """

    def __init__(self, query: Playable) -> None:
        self.query = query
        self.speed = SPEED
        self.closed = False
        self.cursor = cursor_of(query)
        self.controls = Controls(self.obey)
        self.plane = Plane(query)
        self.live = Live(self.plane.figure)
        self.table = Table()
        self.box = stack(self.controls, self.live, self.table, name="sn-dashboard")
        self._still = Still({"image/svg+xml": self._still_plane, "text/html": self._still_table})
        self._drawn: Place | None = None
        self._kept: Place | None = None
        self._tabled: Place | None = None
        self._tabled_at = 0.0
        self._draw(0.0)
        self._pacer = Pacer(query.name, self._draw, self._rest, self.live.ready)
        self._unwatch = [query.subscribe(self._pacer.mark), self.cursor.watch(self._pacer.mark), self._watch_cells()]

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
        """Show what fails in here where the query's own errors are shown; the query goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.controls.complain(error)

    def _place(self) -> Place:
        at = self.at
        return at, self.query.trace[at] if at >= 0 else None, self.query.playing

    def _draw(self, since: float) -> bool:
        """Draw the batch the cursor is at; return whether it is another one than before."""
        with self._guarded():
            place = self._place()
            is_new = place != self._drawn
            if is_new:
                self._draw_batch(place[0], since, playing=place[2])
                self._drawn = place
            self._draw_table(place)
            self.controls.show(self.query, place[0], self.speed)
            return is_new
        return True

    def _draw_table(self, place: Place) -> None:
        """Show the table of a batch; while the query plays only now and then, so that the picture comes first."""
        if place == self._tabled or (self.query.playing and time.monotonic() - self._tabled_at < TABLE_PAUSE):
            return
        self._show_table(place[0])
        self._tabled, self._tabled_at = place, time.monotonic()

    def _draw_batch(self, at: int, since: float, *, playing: bool) -> None:
        with self.live.lock:
            self.plane.refresh(at, playing=playing)
            self.live.flush(since)
            if not playing:
                self.live.caption = self.plane.describe(at)

    def _show_table(self, at: int) -> None:
        if at < 0:
            self.table.clear()
            return
        now = self._result(at)
        before = self._result(at - 1) if at else now.iloc[:0]
        self.table.show(before, now, _key(self.query.outline), self._table_title(now, at))

    def _result(self, at: int) -> pd.DataFrame:
        return self.query.result_at(self.query.trace[at].batch_id)

    def _table_title(self, now: pd.DataFrame, at: int) -> str:
        count = f"{len(now):,} row{'' if len(now) == 1 else 's'}" if len(now) else "no rows yet"
        return f"Result after batch {self.query.trace[at].batch_id}: {count}, {self.query.outline.output_mode} mode"

    def _still_plane(self) -> str:
        with self.live.lock:
            return svg(self.query, self.at)

    def _still_table(self) -> str:
        if self.at < 0:
            return ""
        now = self._result(self.at)
        return html(now, self._table_title(now, self.at))

    def _after_cell(self, _: Any) -> None:
        if not self.query.playing:
            self._refresh_still()

    def _rest(self) -> None:
        """Draw all that was left out while the query played."""
        with self._guarded():
            place = self._place()
            self._draw_batch(place[0], time.monotonic(), playing=False)
            self._tabled_at = 0.0
            self._draw_table(place)
        self._refresh_still()

    def _refresh_still(self) -> None:
        with self._guarded():
            place = self._place()
            if place != self._kept:
                self._still.refresh()
                self._kept = place

    def show(self) -> None:
        """Display the live view, and the still picture and table, in the cell that runs now."""
        widget = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        bundle = {"application/vnd.jupyter.widget-view+json": widget, "text/plain": repr(self.query)}
        put(bundle)
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
        for widget in (self.box, self.controls, self.live, self.table):
            widget.close()


def _key(outline: Outline) -> tuple[str, ...]:
    """Return the columns by which a row of the result is known; none in append mode, where rows only come after."""
    if outline.output_mode == "append":
        return ()
    return (*(("window_start", "window_end") if outline.window else ()), *outline.keys)
