"""Mutants: the protocol with one rule broken. A test of the tests: whoever lets one of them live sees too little."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from streamnb import durable
from streamnb.batch_log import Recovered
from streamnb.checkpoint import Checkpoint
from streamnb.durable import Disk
from streamnb.query import Query
from streamnb.sinks import sqlite
from streamnb.sinks.ledger import Ledger, Verdict

Hook = Callable[[str, Query], None]
"""What a mutant does when a point is reached, before anything else happens there."""


def _nothing(*_: object) -> None:
    """Do nothing at any point."""


def no_ledger() -> Hook:
    """Write every batch that comes, whatever the sink holds."""
    setattr(Ledger, "judge", lambda *_: Verdict.WRITE)  # noqa: B010  a patch
    return _nothing


class _Shared(sqlite3.Connection):
    """A connection that the mutant can reach."""

    newest: _Shared

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        type(self).newest = self


def ledger_apart() -> Hook:
    """Commit the rows, then the ledger in a transaction of its own."""
    connect = sqlite3.connect
    sqlite.sqlite3.connect = lambda *args, **kwargs: connect(*args, factory=_Shared, **kwargs)  # type: ignore[attr-defined]

    def hook(point: str, _: Query) -> None:
        if point == "sink.rows":
            _Shared.newest.execute("COMMIT")
            _Shared.newest.execute("BEGIN IMMEDIATE")

    return hook


def intent_ignored() -> Hook:
    """Forget which batch was begun, and plan anew."""
    opened = Checkpoint.open

    def forgetful(self: Checkpoint, *args: Any, **options: Any) -> Recovered | None:
        found = opened(self, *args, **options)
        return None if found is None or found.done < 0 else replace(found, again=None)

    setattr(Checkpoint, "open", forgetful)  # noqa: B010  a patch
    return _nothing


def commit_first() -> Hook:
    """Log that a batch has happened before the sink has heard of it."""

    def hook(point: str, query: Query) -> None:
        if point == "sink.begin":
            query._journal.commit(query._history.last.batch_id + 1, query._watermark.next())

    return hook


class _InPlace(Disk):
    """Writes where the file shall be, at once."""

    def write(self, path: Path, content: bytes, point: str) -> None:
        super().write(path.with_name(path.name.removeprefix(".").removesuffix(".tmp")), content, point)

    def rename(self, old: Path, new: Path) -> None:
        """Nothing to do: it is there."""


def in_place() -> Hook:
    """Write no temporary file."""
    durable.Disk = _InPlace  # type: ignore[misc]
    return _nothing


MUTANTS: dict[str, Callable[[], Hook]] = {
    "no ledger": no_ledger,
    "ledger in its own transaction": ledger_apart,
    "intent ignored": intent_ignored,
    "commit log before sink": commit_first,
    "in-place writes": in_place,
}
