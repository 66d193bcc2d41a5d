"""The ledger of a transactional sink: which batch of which query it has, so that none is there twice or missing."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import polars as pl

from streamnb.errors import QueryError


class Verdict(enum.Enum):
    """What to do with a batch."""

    WRITE = enum.auto()
    SKIP = enum.auto()


@dataclass(frozen=True)
class Ledger:
    """Who writes: a query, and which of its runs (a later run fences an earlier one that still lives)."""

    query: str = ""
    epoch: int = 0

    @property
    def first(self) -> int:
        """The first batch that the sink is given: a query that had another one before says so behind a colon."""
        return int(self.query.rpartition(":")[2]) if ":" in self.query else 0

    def judge(self, found: tuple[int, int, str] | None, batch_id: int, rows: str) -> Verdict:
        """Say whether a batch is new; ``found`` is what the sink holds of this query: batch, epoch, digest.

        Only the very batch that is there already is skipped. A batch that is older, or that leaves a gap, means that
        checkpoint and sink do not belong together: a QueryError.
        """
        if found is None:
            if batch_id > self.first and self.query:
                raise QueryError(
                    f"sink: it holds nothing of this query, whose next batch is {batch_id}; "
                    "restore the sink, or start on a new checkpoint."
                )
            return Verdict.WRITE
        last, epoch, digest_there = found
        if epoch > self.epoch:
            raise QueryError(f"sink: run {epoch} of this query writes here now, and this is run {self.epoch}; stop it.")
        if batch_id == last and rows == digest_there:
            return Verdict.SKIP
        if batch_id == last:
            raise QueryError(
                f"sink: it holds batch {last} with other rows than it is given; the query or its source changed in the "
                "middle of a batch: go back to what they were, or start on a new checkpoint."
            )
        if batch_id != last + 1:
            raise QueryError(
                f"sink: it holds batches up to {last} and is given batch {batch_id}; "
                "they do not belong together: restore the one that fits the other, or start on a new checkpoint."
            )
        return Verdict.WRITE


def digest(rows: pl.DataFrame) -> str:
    """Return a fingerprint of rows: their number and their bytes."""
    hashed = int(rows.hash_rows(11).to_numpy().sum()) if rows.width and len(rows) else 0  # it wraps at 64 bits
    return f"{len(rows)}:{hashed:016x}"
