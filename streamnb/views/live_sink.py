"""LiveSink: a sink that is a picture. It shows what a query gives out in the cell that opens the query."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.errors import column_not_found
from streamnb.sinks.memory import latest
from streamnb.time import instant
from streamnb.views.cursor import cursor_of
from streamnb.views.shapes import Part, Sheet, Words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnb.query import Query
    from streamnb.views.follower import Follower

MOST_ROWS = 5_000
"""Rows of append mode that a picture looks at: the newest."""
FINAL = "\0final"


class LiveSink(ABC):
    """The rows that a query has given out, as its output mode means them, at the batch that the query's views look at.

    In update mode a key has its newest row, in complete mode the last table counts, in append mode rows are added. A
    rewound query's rows go with their batches. It keeps the frames that ``q.result`` keeps, no copies.
    """

    verb: ClassVar[str]

    def __init__(self, title: str | None = None) -> None:
        self.title = title
        self.query: Query | None = None
        self.follower: Follower | None = None  # the widget that shows it
        self._batches: dict[int, pl.DataFrame] = {}
        self._mode = "append"
        self._merged: tuple[int, pl.DataFrame, pl.DataFrame] | None = None  # up to a batch, its rows, the table then

    # -- as a sink

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns that are shown."""

    def fits(self, schema: pl.Schema) -> None:
        """Refuse columns that the rows will not have."""
        for name in self.columns():
            if name not in schema:
                raise column_not_found(self.verb, name, schema)

    def attach(self, query: Query) -> None:
        """Show what a query gives out from now on, in the cell that runs."""
        self.query = query
        self._batches, self._merged = {}, None
        self._show(again=False)

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self._batches[batch_id], self._mode = rows, mode
        trace = self.query.trace if self.query is not None else []
        if trace and next(iter(self._batches)) < trace[0].batch_id - 1:
            self._fold(trace[0].batch_id - 1)

    def _fold(self, upto: int) -> None:
        """Keep of the batches that the query no longer tells of only the table that they have left behind."""
        old = [rows for n, rows in self._batches.items() if n <= upto]
        if self._mode == "complete":
            left = old[-1]
        elif self._mode == "update" and self.key is not None:
            left = latest(old, self.key)
        else:
            left = _recent(old)
        self._batches = {upto: left.rechunk(), **{n: rows for n, rows in self._batches.items() if n > upto}}

    # -- as a picture

    def sheet(self) -> Sheet:
        """Lay out what is given out so far."""
        at = self.at
        trace = self.query.trace[at] if self.query is not None and at >= 0 else None
        rows = None if trace is None else self.rows(trace.batch_id)
        if rows is None:
            return self._with_trouble(Sheet(self.title or f"{self.verb}: no batch has given anything out yet.", ()))
        return self._with_trouble(self.draw(rows))

    @abstractmethod
    def draw(self, rows: pl.DataFrame) -> Sheet:
        """Lay out rows; the column ``FINAL`` tells which will not change any more (null: the query does not say)."""

    @property
    def at(self) -> int:
        """The position in the trace that the query's views look at."""
        return -1 if self.query is None else cursor_of(self.query).at(len(self.query.trace) - 1)

    def _with_trouble(self, sheet: Sheet) -> Sheet:
        error = None if self.query is None else self.query.exception
        trouble: tuple[Part, ...] = () if error is None else (Words(f"The query has failed: {error}", "dropped_text"),)
        return Sheet(sheet.title, (*trouble, *sheet.parts), sheet.spoken or sheet.title, sheet.lead, sheet.key)

    # -- its rows

    def rows(self, batch_id: int) -> pl.DataFrame | None:
        """Return the rows after a batch; None before the first."""
        batches = {n: rows for n, rows in sorted(self._batches.items()) if n <= batch_id}
        if not batches:
            return None
        if self._mode == "complete":
            table = batches[max(batches)]
        elif self._mode == "update" and self.key is not None:
            table = self._newest(batches, self.key)
        else:
            table = _recent(list(batches.values()))
        return table.with_columns(self._is_final(table, batch_id).alias(FINAL))

    @property
    def key(self) -> tuple[str, ...] | None:
        """The columns that name one row of an updated result."""
        return None if self.query is None else self.query.plan.key

    def _newest(self, batches: Mapping[int, pl.DataFrame], key: tuple[str, ...]) -> pl.DataFrame:
        """Return the newest row of every key, from where the last call ended if that still stands."""
        upto, rows, table = self._merged or (-1, None, None)
        stands = table is not None and batches.get(upto) is rows
        new = [frame for n, frame in batches.items() if not stands or n > upto]
        table = latest([table, *new] if stands and table is not None else new, key) if new or table is None else table
        last = max(batches)
        self._merged = last, batches[last], table
        return table

    def _is_final(self, table: pl.DataFrame, batch_id: int) -> pl.Expr:
        """Tell which rows a batch has closed: those that the watermark it ran with has passed."""
        assert self.query is not None  # noqa: S101  rows come of a query
        if self._mode == "append":
            return pl.lit(value=True)
        marks = {name: mark for name, mark in self.query.plan.event_times.items() if name in (self.key or ())}
        trace = next((trace for trace in reversed(self.query.trace) if trace.batch_id == batch_id), None)
        if self._mode == "complete" or not marks or trace is None or trace.watermark is None:
            return pl.lit(None, pl.Boolean)
        name, mark = next(iter(marks.items()))
        return pl.col(name).dt.epoch("us") + mark.shift <= instant(trace.watermark)

    # -- in a cell

    def _ipython_display_(self) -> None:
        self._show(again=True)

    def _show(self, *, again: bool) -> None:
        from streamnb.views.display import show_live

        show_live(self, again=again)

    def __repr__(self) -> str:
        return f"{self.verb} of {', '.join(self.columns())}" if self.columns() else self.verb


def _recent(batches: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the newest rows."""
    kept: list[pl.DataFrame] = []
    for rows in reversed(batches):
        kept.insert(0, rows)
        if sum(map(len, kept)) >= MOST_ROWS:
            break
    return pl.concat(kept).tail(MOST_ROWS)
