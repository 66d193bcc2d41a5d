"""Relation: what FROM gives, the rows of a frame and the names by which its columns are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl
from sqlglot import exp

from streamnb.frame import StreamFrame
from streamnb.schema import as_rows
from streamnb.sqlplan.parse import unsupported
from streamnb.sqlplan.scope import Names, Scope
from streamnb.windows import END, START, TimeKey, WindowKey

Sources = Mapping[str, Any]
"""The frames and tables that a query may read, by name."""
Build = Callable[[exp.Query, Sources], StreamFrame]
"""Returns the frame of a query within a query."""


@dataclass(frozen=True)
class Relation:
    """``window`` waits for GROUP BY, which takes it for a key; where none does, ``opened`` gives rows their window."""

    frame: StreamFrame
    names: Names
    window: TimeKey | None = None

    @cached_property
    def scope(self) -> Scope:
        return Scope(self.frame.node.schema, self.names, windowed=self.window is not None)

    def opened(self) -> Relation:
        """Return the relation with the columns of its window."""
        if self.window is None:
            return self
        if not isinstance(self.window, WindowKey):
            raise unsupported("SESSION without GROUP BY window_start", "group by it and by the key of the sessions")
        names = {table: {**columns, START: START, END: END} for table, columns in self.names.items()}
        return Relation(self.frame.with_window(self.window), names)


@dataclass(frozen=True)
class Table:
    """A table that is no stream: the right side of a join."""

    data: Any
    name: str

    @cached_property
    def schema(self) -> pl.Schema:
        return as_rows("sql", self.data() if callable(self.data) else self.data).schema
