"""The queries alive in this process, by name."""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamnb.query import Query

_alive: weakref.WeakValueDictionary[str, Query] = weakref.WeakValueDictionary()
_watchers: list[Callable[[], None]] = []
_numbers = itertools.count(1)
_in_cell: dict[tuple[str, Any], int] = {}


def queries() -> list[Query]:
    """Return the queries of this process that have not been stopped, oldest first."""
    return [query for query in _alive.values() if not query.stopped]


def register(query: Query) -> Query | None:
    """Note a query under its name; return the older one of that name, if it still runs."""
    older = _alive.pop(query.name, None)
    _alive[query.name] = query
    for watcher in tuple(_watchers):
        watcher()
    return older if older is not None and older is not query and not older.stopped else None


def watch(watcher: Callable[[], None]) -> Callable[[], None]:
    """Call ``watcher`` whenever a query is made; return the way to end that."""
    _watchers.append(watcher)
    return lambda: _watchers.remove(watcher) if watcher in _watchers else None


def default_name() -> str:
    """Return a name: in a notebook the same one whenever the same cell is run again, else a new one."""
    cell = _cell()
    if cell is None:
        return f"query-{next(_numbers)}"
    count = _in_cell[cell] = _in_cell.get(cell, 0) + 1
    return f"cell-{cell[0][:8]}" + (f"-{count}" if count > 1 else "")


def _cell() -> tuple[str, Any] | None:
    """Return the JupyterLab cell at work and its run, where there is one."""
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython is not None else None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = parent.get("metadata", {}).get("cellId") if isinstance(parent, dict) else None
    return None if cell is None else (cell, parent["header"]["msg_id"])
