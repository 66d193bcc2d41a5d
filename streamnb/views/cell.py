"""Cell: which one of a notebook runs now."""

from __future__ import annotations

from typing import Any

from IPython import get_ipython


def running_cell() -> tuple[str, str] | None:
    """Return the id of the cell that runs and of its run, or None outside a kernel."""
    kernel: Any = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    request = kernel.get_parent("shell")
    run = request.get("header", {}).get("msg_id", "")
    return request.get("metadata", {}).get("cellId") or run, run
