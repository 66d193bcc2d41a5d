"""listing: what a query gives out as a table, live, with what its last batch changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import polars as pl

from streamnb.views.live_sink import FINAL, LiveSink
from streamnb.views.series import counted
from streamnb.views.shapes import Column, Grid, Row, Sheet


class Listing(LiveSink):
    """The rows as they stand."""

    verb: ClassVar[str] = "table"

    def __init__(self, names: Sequence[str] | None, limit: int, title: str | None) -> None:
        super().__init__(title)
        self.names, self.limit = names, limit

    def columns(self) -> tuple[str, ...]:
        return () if self.names is None else tuple(self.names)

    def draw(self, rows: pl.DataFrame) -> Sheet:
        title = f"{self.title or 'Given out so far'}: {counted(rows, 'row')}"
        return Sheet(title, (self._grid(rows),))

    def _grid(self, rows: pl.DataFrame) -> Grid:
        from streamnb.views.table import content

        assert self.query is not None  # noqa: S101  rows come of a query
        shown = rows.drop(FINAL).select(self.columns() or pl.all())
        at = self.query.trace[self.at].batch_id
        earlier = self.rows(at - 1)
        before = shown.clear() if earlier is None else earlier.select(shown.columns)
        key = [name for name in self.key or () if name in shown.columns]
        told = content(before.to_pandas(), shown.to_pandas(), key, self.limit)
        columns = tuple(Column(c.name, c.note, c.numeric) for c in told.columns)
        lines = tuple(
            Row(
                tuple(cell.text for cell in row.cells),
                row.mark,
                was=tuple((n, cell.was) for n, cell in enumerate(row.cells) if cell.was is not None),
            )
            for row in told.rows
        )
        return Grid("", columns, lines, f"{told.more:,} more rows." if told.more else "")
