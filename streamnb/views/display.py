"""Display: one dashboard a query, and none left behind by a cell that ran again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython import get_ipython

from streamnb.views.dashboard import Dashboard
from streamnb.views.still import put

if TYPE_CHECKING:
    from streamnb.progress import Playable

_open: dict[str, Dashboard] = {}
_cells: dict[str, tuple[str, list[Dashboard]]] = {}


def show(query: Playable) -> None:
    """Display the dashboard of ``query``; where there can be no widgets, its one line of text."""
    cell = _running_cell()
    if cell is None:
        put({"text/plain": repr(query)})
        return
    dashboard = dashboard_of(query)
    _settle(dashboard, *cell)
    dashboard.show()


def dashboard_of(query: Playable) -> Dashboard:
    """Return the open dashboard of ``query``; one of another query with that name is closed."""
    found = _open.get(query.name)
    if found is not None and (found.query is not query or found.closed):
        found.close()
        found = None
    if found is None:
        found = _open[query.name] = Dashboard(query)
    return found


def _running_cell() -> tuple[str, str] | None:
    """Return the id of the cell that runs and of its run, or None outside a kernel."""
    kernel: Any = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    request = kernel.get_parent("shell")
    run = request.get("header", {}).get("msg_id", "")
    return request.get("metadata", {}).get("cellId") or run, run


def _settle(dashboard: Dashboard, cell: str, run: str) -> None:
    """Note that ``dashboard`` stands in ``cell``; close those of an earlier run that stand nowhere else."""
    last_run, before = _cells.get(cell, (run, []))
    here = [*(before if last_run == run else []), dashboard]
    _cells[cell] = run, here
    standing = [there for _, all_there in _cells.values() for there in all_there]
    for old in before:
        if old not in standing:
            old.close()
