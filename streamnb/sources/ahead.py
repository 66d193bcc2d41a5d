"""Ahead: the Parquet files of the next batch, decoded by a thread while the batch before it is computed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from typing import NamedTuple

import polars as pl

from streamnb.errors import DataError
from streamnb.meanwhile import meanwhile
from streamnb.sources.pieces import Piece


class Read(NamedTuple):
    """Some pieces, and the rows that a thread makes of them."""

    pieces: Sequence[Piece]
    rows: Future[list[pl.DataFrame]]


class Ahead:
    """What is read before it is asked for. What fails is read again by whoever asks, and fails there."""

    def __init__(self) -> None:
        self._read: Read | None = None

    def begin(self, pieces: Sequence[Piece]) -> None:
        """Let a thread read some pieces; what was read of others is forgotten."""
        if self._read is not None and self._read.pieces == pieces:
            return
        read = Read(pieces, Future())
        meanwhile(read.rows, lambda: [_decoded(piece) for piece in pieces], "reading ahead")
        self._read = read

    def take(self, pieces: Sequence[Piece]) -> Sequence[pl.DataFrame | None]:
        """Return the rows of each, when they are there, and let go of them; None where they were not read."""
        read = self._read
        if read is None or read.pieces != pieces:
            return [None] * len(pieces)
        wait([read.rows])
        self._read = None
        if read.rows.exception() is not None or not all(map(_still_there, pieces)):
            return [None] * len(pieces)
        return read.rows.result()


def _still_there(piece: Piece) -> bool:
    """Tell whether a piece is what it was when it was taken, also after it was read."""
    try:
        piece.open().close()
    except (DataError, OSError):
        return False
    return True


def _decoded(piece: Piece) -> pl.DataFrame:
    """Read a file by one of Polars' threads: the others compute.

    By its bytes: a file that is cut while it is mapped into memory would end the process.
    """
    return pl.read_parquet(piece.content(), parallel="none")
