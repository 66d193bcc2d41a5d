"""How a query shows itself: a hook that ``streamnb`` fills, so that nothing here needs a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

show: Callable[[Any], dict[str, Any] | None] = lambda _: None  # noqa: E731
"""Display a query; return a bundle of mime types, or None if it has been displayed."""


def bundle(query: Any) -> dict[str, Any]:
    """Return what a front end may show of a query."""
    return show(query) or {"text/plain": repr(query)}


def say(line: str) -> None:
    """Tell the user something in the cell that runs now."""
    sys.stdout.write(f"{line}\n")
