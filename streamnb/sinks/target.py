"""Target: the table that a sink writes, by key if it has one; what all table sinks check, and their SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import polars as pl

from streamnb.errors import PlanError, QueryError, column_not_found
from streamnb.sinks.ledger import Ledger

STAGE = "_streamnb_stage"


@dataclass(frozen=True)
class Target:
    """A table, the columns of its key, and the column that says which row of a key is newer."""

    sink: str
    table: str
    key: tuple[str, ...]
    version: str | None = None

    @classmethod
    def of(cls, sink: str, table: str, key: str | Sequence[str] | None, version: str | None = None) -> Self:
        """Check what a user wrote."""
        if not table:
            raise PlanError(f"{sink}: table={table!r} is no name; give one.", code="OPTION_INVALID")
        if version is not None and not key:
            raise PlanError(f"{sink}: version={version!r} needs a key; give key= too.", code="OPTION_INVALID")
        return cls(sink, table, (key,) if isinstance(key, str) else tuple(key or ()), version)

    def check(self, mode: str) -> None:
        """Refuse update mode without a key."""
        if mode == "update" and not self.key:
            raise PlanError(
                f"{self.sink}: update mode replaces rows by key; give key=, the columns of the grouping.",
                code="OPTION_INVALID",
            )

    def newest(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return one row a key: the one of the highest version, the last one among equals."""
        self.find(rows.columns)
        if not self.key:
            return rows
        ordered = rows if self.version is None else rows.sort(self.version, maintain_order=True)
        return ordered.unique(self.key, keep="last", maintain_order=True)

    def find(self, columns: Sequence[str]) -> None:
        """Refuse rows without the columns of the key or the version."""
        for name in (*self.key, *filter(None, [self.version])):
            if name not in columns:
                raise column_not_found(self.sink, name, columns)

    def compare(self, there: Iterable[str], columns: Iterable[str]) -> None:
        """Refuse a table that lacks columns of the rows."""
        known = set(there)
        missing = [name for name in columns if name not in known]
        if missing:
            raise QueryError(
                f"{self.sink}: table {self.table!r} has no columns {missing}; add them, or write to another table."
            )

    # -- SQL; ``same`` compares two values so that null equals null

    def update(self, columns: Sequence[str], same: str) -> str | None:
        """Return the statement that gives keys that are there the values of the stage; None if there are only keys."""
        others = [quoted(name) for name in columns if name not in self.key]
        if not others:
            return None
        values = ", ".join(f"{name} = s.{name}" for name in others)
        return f"UPDATE {quoted(self.table)} SET {values} FROM {STAGE} AS s WHERE {self._match(same)}{self._newer()}"  # noqa: S608  names are quoted

    def insert(self, columns: Sequence[str], same: str) -> str:
        """Return the statement that adds the rows of the stage; with a key, of keys that are not there."""
        names = ", ".join(map(quoted, columns))
        into = f"INSERT INTO {quoted(self.table)} ({names}) SELECT {names} FROM {STAGE} AS s"  # noqa: S608  names are quoted
        if not self.key:
            return into
        return f"{into} WHERE NOT EXISTS (SELECT 1 FROM {quoted(self.table)} WHERE {self._match(same)})"  # noqa: S608  names are quoted

    def upsert(self, columns: Sequence[str], rows: int = 1) -> str:
        """Return the statement that takes some rows: each is added, or replaces that of its key. No key may be null."""
        names, marks = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
        values = ", ".join([f"({marks})"] * rows)
        into = f"INSERT INTO {quoted(self.table)} ({names}) VALUES {values}"  # noqa: S608  names are quoted
        if not self.key:
            return into
        new = ", ".join(f"{quoted(n)} = excluded.{quoted(n)}" for n in columns if n not in self.key)
        newer = self._newer("excluded").replace(" AND", " WHERE", 1)
        return f"{into} ON CONFLICT ({', '.join(map(quoted, self.key))}) DO " + (
            f"UPDATE SET {new}{newer}" if new else "NOTHING"
        )

    def _match(self, same: str) -> str:
        table = quoted(self.table)
        return " AND ".join(f"{table}.{quoted(name)} {same} s.{quoted(name)}" for name in self.key)

    def _newer(self, new: str = "s") -> str:
        if self.version is None:
            return ""
        there = f"{quoted(self.table)}.{quoted(self.version)}"
        return f" AND ({there} IS NULL OR {new}.{quoted(self.version)} >= {there})"


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


class Transactional:
    """A sink that keeps its ledger beside the rows of its target."""

    _target: Target
    _ledger = Ledger()

    def check(self, mode: str) -> None:
        """Refuse an output mode that the target cannot take."""
        self._target.check(mode)

    def open(self, query: str, epoch: int) -> None:
        """Hear for which query, and which of its runs, the batches are."""
        self._ledger = Ledger(query, epoch)
