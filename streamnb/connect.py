"""Source and Sink: what a connector must be. A user writes one in 20 lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from streamnb.schema import Schema

Offset = Any
"""A place in a source: any JSON value. None is the beginning; so is what is false, such as 0."""


@runtime_checkable
class Source(Protocol):
    """Rows that can be read again, from one offset to another.

    ``schema`` names the columns with their types (``"datetime"``, ``"string"``, ``"int64"`` …). ``read`` gives the rows
    after ``start`` up to ``end``, always the same ones: dicts, a dict of columns, pandas, Polars or Arrow.

    A source may also have ``unit(start) -> Unit | None``, the next piece that a single step should take (else a step
    takes all there is), ``arrival``, the name of the column that says when a row arrived, ``status``, a line on its
    connection that ``q.sources`` shows, ``trouble``, a ``streamnb.contact.Trouble`` while its server is away, and
    ``waiting(end) -> int | None``, how many rows or records it knows of after an offset, without asking anyone,
    ``fields``, those columns of ``schema`` that a user may name, and ``prepare(start)``, which ``q.run()`` calls before
    it computes a batch: a thread of the source's may read what follows meanwhile. One that waits for a network asks
    ``streamnb.patience`` whether to go on.

    >>> class Countdown:
    ...     schema = {"n": "int64"}
    ...     def latest(self):
    ...         return 3
    ...     def read(self, start, end):
    ...         return {"n": list(range(start or 0, end))}
    ...     def commit(self, end):
    ...         pass
    ...
    >>> sn.stream(Countdown()).collect()["n"].tolist()
    [0, 1, 2]
    """

    @property
    def schema(self) -> Schema: ...

    def latest(self) -> Offset:
        """Return the end of what is there now."""

    def read(self, start: Offset, end: Offset) -> Any:
        """Return the rows after ``start`` up to ``end``."""

    def commit(self, end: Offset) -> None:
        """Hear that all up to ``end`` is done with."""


@runtime_checkable
class Reader(Source, Protocol):
    """The source of one query, made by ``source.reader()``, that remembers what its offsets mean.

    What it remembers is written to the checkpoint before the batch that needs it.
    """

    def note(self, start: Offset, end: Offset) -> Any:
        """Return what must be known to read these rows again, a JSON value."""

    def summary(self, end: Offset) -> Any:
        """Return what must be known to go on after ``end``: it stands for all notes up to there."""

    def recall(self, notes: Sequence[Any]) -> None:
        """Hear the notes of earlier batches again, oldest first, instead of what is known."""

    def forget(self, end: Offset) -> None:
        """Drop what was found after ``end``: it could not be read, and may be mended."""


@dataclass(frozen=True)
class BadRecord:
    """A record that no row could be made of: where it stands in its source, why, and the record as text."""

    offset: str
    reason: str
    raw: str


@dataclass(frozen=True)
class Sifted:
    """What ``read`` found: rows, and the records that are none."""

    rows: Any
    bad: Sequence[BadRecord] = ()


@dataclass(frozen=True)
class Unit:
    """The next piece of a source: its end, and when it arrived (microseconds; None: now).

    Sources that tell times are read in step: a batch takes the earliest unit and all others that arrived by then.
    ``together`` names units of other sources that belong into the same batch, as source to end. A unit that is not
    ``paced`` may be taken with those behind it (``trigger="available_now"``).
    """

    end: Offset
    time: int | None = None
    together: tuple[tuple[Source, Offset], ...] = ()
    paced: bool = True


class Sink(Protocol):
    """Takes the rows of a batch. A batch may come again after a crash, with the same id and the same rows.

    ``rows`` is pandas. ``mode`` is the output mode: ``"append"`` new rows, ``"update"`` new versions of rows,
    ``"complete"`` the whole table. A sink that also has ``write_polars`` gets that called instead, without a copy.

    It may have ``check(mode)`` and ``fits(schema)``, to refuse a mode or columns with a PlanError before anything runs,
    ``open(query, epoch)``, to hear for which query and which of its runs the batches are: what a ledger needs,
    ``attach(query)``, to get the query itself, and ``close()``, to let go of what it holds when that query is stopped.
    With ``overlaps = True`` it is called in a thread, and ``run()`` computes the next batch meanwhile. A StreamnbError
    that it raises ends the query; after any other error the batch is given again. Long waits go through
    ``streamnb.patience``.

    >>> class Printed:
    ...     def write(self, batch_id, rows, mode):
    ...         print(batch_id, len(rows))
    ...
    >>> hourly.query(sink=Printed()).step().batch_id
    0 0
    0
    """

    def write(self, batch_id: int, rows: pd.DataFrame, mode: str) -> None: ...


class PolarsSink(Protocol):
    """A sink that takes Polars."""

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None: ...
