"""Points: the named places of a batch where a process may die. Tests and the crash lab stop a query there."""

from __future__ import annotations

from collections.abc import Callable

FILES = ("metadata", "epoch")
MORE_FILES = ("log", "dead_letters", "snapshot", "logic", "switch", "rules")  # snapshots in a thread
STEPS = ("opened", "written", "synced", "renamed", "done")
POINTS = (
    "batch.begin",  # nothing of the batch is written
    "batch.read",  # the rows are read; the intent is written, unless the batch before is still on its way
    "batch.computed",  # the state has changed in memory only
    "sink.begin",  # intent and state are on disk, the sink has not heard
    "sink.rows",  # the rows are in the sink's transaction, its ledger is not
    "sink.ledger",  # both are, and the transaction is open
    "sink.end",  # the sink has the batch, the commit log does not
    "batch.end",  # the commit log has it, the process does not know
    *(f"{record}.{step}" for record in ("offsets", "state", "commits") for step in ("begun", "done")),
    *(f"{file}.{step}" for file in FILES for step in STEPS),
)
MORE_POINTS = ("rewind.begun", "rewind.done", *(f"{file}.{step}" for file in MORE_FILES for step in STEPS))
"""In the order of a batch; of a record: before and after it is written; of a file: temporary file open, written,
synced, renamed, folder synced."""

_listener: Callable[[str], object] | None = None


def reached(point: str) -> None:
    """Tell whoever listens that a point is reached; without a listener it costs a comparison."""
    if _listener is not None:
        _listener(point)


def listen(listener: Callable[[str], object] | None) -> None:
    """Call ``listener`` with the name of every point from now on; None ends it. There is one listener a process."""
    global _listener  # noqa: PLW0603  a crash is a matter of the whole process
    _listener = listener


def listener() -> Callable[[str], object] | None:
    """Return whoever listens now."""
    return _listener
