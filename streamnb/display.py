"""How a query shows itself: a hook that ``streamnb`` fills, so that nothing below the views needs a notebook."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def say(line: str) -> None:
    """Tell the user something in the cell that runs now."""
    sys.stdout.write(f"{line}\n")


def _as_text(query: Any) -> None:
    say(repr(query))


show: Callable[[Any], None] = _as_text
"""Display a query, as the value of a cell."""
