"""Display: one dashboard a query, and none left behind by a cell that ran again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamnb.views.cell import running_cell as _running_cell
from streamnb.views.dashboard import Dashboard
from streamnb.views.delay import Delay
from streamnb.views.doctor import Doctor
from streamnb.views.follower import Follower
from streamnb.views.joins import Joins
from streamnb.views.late import Late
from streamnb.views.metrics import Metrics
from streamnb.views.modes import Modes
from streamnb.views.plan import Plan
from streamnb.views.poster import Poster, Subject
from streamnb.views.sources import Sources
from streamnb.views.state import State
from streamnb.views.still import put
from streamnb.views.work import Work

if TYPE_CHECKING:
    from streamnb.progress import Playable
    from streamnb.views.live_sink import LiveSink
    from streamnb.views.view import View

VIEWS: tuple[type[View], ...] = (State, Late, Delay, Joins, Plan, Metrics, Sources, Doctor)
"""The tabs of a dashboard beside the plane."""
PLANE = "plane"

_open: dict[tuple[str, ...], Dashboard] = {}
_cells: dict[str, tuple[str, list[Dashboard | Poster]]] = {}


def every_view() -> tuple[type[View], ...]:
    """Return all views of queries, tabs of their dashboards or not."""
    return (*VIEWS, Modes, Work)


def show(query: Playable, names: tuple[str, ...] = ()) -> None:
    """Display the dashboard of ``query``, or some of its views; where there can be no widgets, its one line of text."""
    cell = _running_cell()
    if cell is None:
        put({"text/plain": repr(query)})
        return
    dashboard = dashboard_of(query, names)
    _settle(dashboard, *cell)
    dashboard.show()


def show_poster(subject: Subject) -> None:
    """Display a sheet that follows no query; where there can be no widgets, its title."""
    cell = _running_cell()
    if cell is None:
        put({"text/plain": subject.sheet().title})
        return
    poster = Poster(subject)
    _settle(poster, *cell)
    poster.show()


def show_live(sink: LiveSink, *, again: bool) -> None:
    """Display a live sink in the cell that runs, once a run; ``again`` is for one that has its query already."""
    cell = _running_cell()
    if cell is None or sink.query is None:
        if again:
            put({"text/plain": repr(sink)})
        return
    if sink.follower is not None and not again:
        sink.follower.close()
    if sink.follower is None or sink.follower.closed:
        sink.follower = Follower(sink)
    run, shown = _cells.get(cell[0], ("", []))
    stands_here = run == cell[1] and sink.follower in shown
    _settle(sink.follower, *cell)
    if not stands_here:
        sink.follower.show()


def dashboard_of(query: Playable, names: tuple[str, ...] = ()) -> Dashboard:
    """Return the open dashboard of ``query`` with all views, or only some; one of a namesake of the query is closed."""
    key = (query.name, *names)
    found = _open.get(key)
    if found is not None and (found.query is not query or found.closed):
        found.close()
        found = None
    if found is None:
        wanted = [view for view in every_view() if (view.name in names if names else view.fits(query))]
        found = _open[key] = Dashboard(query, wanted, plane=not names or PLANE in names)
    return found


def can_show() -> bool:
    """Return whether a cell runs that widgets can stand in."""
    return _running_cell() is not None


def _settle(dashboard: Dashboard | Poster, cell: str, run: str) -> None:
    """Note that ``dashboard`` stands in ``cell``; close those of an earlier run that stand nowhere else."""
    last_run, before = _cells.get(cell, (run, []))
    here = [*(before if last_run == run else []), dashboard]
    _cells[cell] = run, here
    standing = [there for _, all_there in _cells.values() for there in all_there]
    for old in before:
        if old not in standing:
            old.close()
