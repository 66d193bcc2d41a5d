"""A case's table on our side: a frame, and which of its columns stand for which columns of the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
import pandas as pd

import streamnb as sn


class UnsayableError(Exception):
    """The case says something for which the public API has no words."""


@dataclass(frozen=True)
class Column:
    """A column of the case: its name there, its one column here (two for a window), and its join alias."""

    name: str
    here: tuple[str, ...]
    alias: str | None = None

    @property
    def is_window(self) -> bool:
        return len(self.here) == 2


@dataclass(frozen=True)
class Table:
    frame: Any
    columns: tuple[Column, ...]
    zone: str | None = None  # of its times; None: they are naive

    @property
    def is_static(self) -> bool:
        return isinstance(self.frame, pd.DataFrame)

    @property
    def names(self) -> list[str]:
        """All columns that the frame has, also those the case does not see."""
        return list(self.frame.columns) if self.is_static else list(self.frame.schema)

    def find(self, name: str) -> Column | None:
        alias, dot, bare = name.rpartition(".")
        found = [c for c in self.columns if c.name == (bare if dot else name) and (not dot or c.alias == alias)]
        return found[0] if found else None

    def one(self, name: str) -> str:
        """Return our name of a column; an unknown one as it is, so that the API can refuse it."""
        found = self.find(name)
        return name if found is None or found.is_window else found.here[0]

    def fresh(self, name: str) -> str:
        while name in self.names:
            name += "_"
        return name

    def with_columns(self, **columns: nw.Expr) -> Table:
        return replace(self, frame=self.frame.with_columns(**columns))

    def renamed(self, names: Mapping[str, str]) -> Table:
        """Rename our own columns; the case's names stay."""
        names = {old: new for old, new in names.items() if old != new}
        if not names:
            return self
        frame = self.frame.rename(columns=names) if self.is_static else self.frame.rename(names)
        columns = (replace(c, here=tuple(names.get(h, h) for h in c.here)) for c in self.columns)
        return replace(self, frame=frame, columns=tuple(columns))

    def without_names(self, taken: Iterable[str]) -> Table:
        """Rename our columns out of the way of others."""
        taken, names = set(taken), {}
        for name in self.names:
            new = name
            while new in taken or (new != name and new in self.names):
                new += "_"
            taken.add(new)
            names[name] = new
        return self.renamed(names)

    def aliased(self, alias: str) -> Table:
        return replace(self, columns=tuple(replace(c, alias=alias) for c in self.columns))

    def windowed(self, time: Any, *how: str) -> Table:
        """Add window_start and window_end, each row once for every window it is in."""
        table = self.without_names({"window_start", "window_end"})
        return replace(table, frame=table.frame.with_columns(sn.window(time, *how)))
