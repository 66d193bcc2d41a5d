"""Silence: since when a source has brought no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from streamnb.answers.cards import clock, plural
from streamnb.progress import Progress


@dataclass(frozen=True)
class Silence:
    """How many batches with input went by without rows of a source, and since when; ``None``: it never had any."""

    batches: int
    since: pd.Timestamp | None


def silent(progress: Sequence[Progress], source: int) -> Silence:
    """Return the silence of a source, by its number, after the last of some batches."""
    batches = 0
    for told in reversed(progress):
        if told.sources[source].num_input_rows:
            return Silence(batches, told.timestamp)
        batches += any(other.num_input_rows for other in told.sources)
    return Silence(batches, None)


def silence(progress: Sequence[Progress], source: int) -> str:
    """Return it as words behind the name of the source; none where the newest input came from it too."""
    found = silent(progress, source)
    if not found.batches:
        return ""
    before = f"since before batch {progress[0].batch_id}" if progress[0].batch_id else "from the beginning"
    since = before if found.since is None else f"since {clock(found.since)}"
    return f": silent {since}, {plural(found.batches, 'batch')}"
