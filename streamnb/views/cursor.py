"""Cursor: where the pictures of one query look, all of them at the same batch and the same row."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from streamnb.progress import Playable


Picked = tuple[int, int]
"""A row: the id of its batch, and its place in the order of arrival there."""


class Cursor:
    """A position in the trace of a query, or whatever is newest; -1 is before the first batch.

    A batch stays looked at when older ones are let go of, and when it goes itself the oldest one is. ``picked`` is the
    row that the reader asks about, if any.
    """

    def __init__(self, query: Playable) -> None:
        self._query = weakref.ref(query)
        self.picked: Picked | None = None
        self._at: int | None = None  # counted from the first batch of all
        self._watchers: list[Callable[[], None]] = []

    def at(self, newest: int) -> int:
        """Return the position, given that of the newest batch."""
        return newest if self._at is None else min(max(self._at - self._let_go, 0), newest)

    @property
    def _let_go(self) -> int:
        query = self._query()
        return 0 if query is None else query.let_go

    def move(self, to: int, newest: int) -> None:
        """Look at position ``to``; at the newest batch or beyond, follow the newest."""
        self._at = None if to >= newest else max(to, 0) + self._let_go
        self._tell()

    def pick(self, row: Picked | None) -> None:
        """Ask about a row, in all pictures; the one asked about already is let go."""
        self.picked = None if row == self.picked else row
        self._tell()

    def again(self) -> None:
        """Have the picture drawn again: there is more to tell of the same batch."""
        self._tell()

    def _tell(self) -> None:
        for callback in tuple(self._watchers):
            callback()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after every move; return the way to end that."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback)


_cursors: weakref.WeakKeyDictionary[Playable, Cursor] = weakref.WeakKeyDictionary()


def cursor_of(query: Playable) -> Cursor:
    """Return the one cursor of a query, which lives as long as the query does."""
    return _cursors.setdefault(query, Cursor(query))
