"""How queries and answers show themselves: hooks that ``streamnb`` fills, so that nothing below the views draws."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


say: Callable[[str], None] = _print
"""Tell the user something in the cell that runs now."""


def _as_text(query: Any) -> None:
    say(repr(query))


show: Callable[[Any], None] = _as_text
"""Display a query, as the value of a cell."""

answer: Callable[[Any], None] = _as_text
"""Display an answer that has a figure, as the value of a cell."""


def _in_silence(_: Any) -> None:
    """Tell nobody: outside a notebook ``q.findings`` waits to be asked."""


opened: Callable[[Any], None] = _in_silence
"""Tell what will surprise in a query that was just made."""


@contextmanager
def quietly() -> Iterator[None]:
    """Tell of no query that is made or replaced within: a check makes many, and says one thing."""
    global opened, say  # noqa: PLW0603  the hooks themselves are silenced
    before = opened, say
    opened = say = _in_silence
    try:
        yield
    finally:
        opened, say = before
