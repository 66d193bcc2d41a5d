"""Scope: which column of a frame a name in SQL means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import polars as pl
from sqlglot import exp

from streamnb.errors import PlanError, column_not_found
from streamnb.expressions import window_time
from streamnb.sqlplan.expressions import Translator
from streamnb.windows import END, START

EDGES = {"start": START, "end": END}
_WINDOWS = {"window", "session_window"}

Names = Mapping[str, Mapping[str, str]]
"""For every table, by the name of each of its columns, the column of the frame."""


@dataclass(frozen=True)
class Scope:
    """The columns of a frame by their table. ``windowed``: rows are going to have a window too."""

    schema: pl.Schema
    names: Names
    windowed: bool = False

    def translate(self, node: exp.Expr) -> nw.Expr:
        """Return an expression over the columns."""
        return Translator(self.schema, self._expression)(node)

    def _expression(self, node: exp.Column) -> nw.Expr:
        if self.is_window_time(node) or self.is_window(node):
            return window_time()
        return nw.col(self.column(node))

    def is_window_time(self, node: exp.Column) -> bool:
        """Tell whether a name means the time of a windowed row."""
        return END in self.schema and node.name.lower() == "window_time" and not self.has(node)

    def is_window(self, node: exp.Column) -> bool:
        """Tell whether a name means the window of a row, which is two columns; as a time, it is that of the row."""
        return END in self.schema and not node.table and node.name.lower() in _WINDOWS and not self.has(node)

    def column(self, node: exp.Column) -> str:
        """Return the column that a name means, such as ``origin``, ``flights.origin`` or ``window.start``."""
        name, table = node.name, node.table
        if table.lower() in _WINDOWS and name.lower() in EDGES and lookup(self.names, table) is None:
            return EDGES[name.lower()]
        if self.windowed and name.lower() in {START, END}:
            return name.lower()
        return self._of(table, name) if table else self._anywhere(name)

    def has(self, node: exp.Column) -> bool:
        """Tell whether a name means a column of a table."""
        return any(lookup(columns, node.name) for columns in self.names.values())

    def _of(self, table: str, name: str) -> str:
        found: Mapping[str, str] | None = lookup(self.names, table)
        if found is None:
            raise PlanError(f"sql: no table {table!r} in FROM; there is {list(self.names)}.", code="SQL_TABLE_UNKNOWN")
        column: str | None = lookup(found, name)
        if column is None:
            raise column_not_found("sql", name, found)
        return column

    def _anywhere(self, name: str) -> str:
        found: dict[str, str] = {
            table: column for table, columns in self.names.items() if (column := lookup(columns, name))
        }
        if not found:
            raise column_not_found("sql", name, [column for columns in self.names.values() for column in columns])
        if len(set(found.values())) > 1:
            raise PlanError(
                f"sql: {name!r} is a column of {list(found)}; write {next(iter(found))}.{name}.", code="SQL_AMBIGUOUS"
            )
        return next(iter(found.values()))


def lookup(names: Mapping[str, Any], name: str) -> Any:
    """Return what stands under a name, else under the one that differs in case only, else None."""
    if name in names:
        return names[name]
    alike = [value for other, value in names.items() if other.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None
