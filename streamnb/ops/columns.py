"""drop, rename: leave columns out, or give them other names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import listed
from streamnb.plan import EventTime, RowWise

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def drop(self: StreamFrame, *columns: str | Sequence[str]) -> StreamFrame:
    """Leave columns out, named one by one or in a list. Spark: ``drop``, but one that is not there is an error.

    >>> flights.drop("tailnum", "flight", "carrier").schema.names()
    ['flight_id', 'origin', 'dest', 'distance', 'sched_dep', 'dep', 'arr', 'dep_delay', 'arr_delay']
    """
    return self.then(Drop((self.node,), listed(columns)))


def rename(self: StreamFrame, names: Mapping[str, str]) -> StreamFrame:
    """Rename columns, old name to new. Spark: ``withColumnsRenamed``, but a column that is not there is an error.

    >>> flights.select("dest").rename({"dest": "airport"}).schema.names()
    ['airport']
    """
    return self.then(Rename((self.node,), dict(names)))


@dataclass(frozen=True, eq=False)
class Drop(RowWise):
    columns: tuple[str, ...]
    verb: ClassVar[str] = "drop"

    def __post_init__(self) -> None:
        self.need(*self.columns)

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({n: t for n, t in self.inputs[0].schema.items() if n not in self.columns})

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        return {n: mark for n, mark in self.inputs[0].event_times.items() if n not in self.columns}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        key = self.inputs[0].key
        return None if key is None or set(key) & set(self.columns) else key

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.drop(*self.columns)

    def describe(self) -> str:
        return f"drop {', '.join(self.columns)}"


@dataclass(frozen=True, eq=False)
class Rename(RowWise):
    names: Mapping[str, str]
    verb: ClassVar[str] = "rename"

    def __post_init__(self) -> None:
        self.need(*self.names)
        new = [self.names.get(n, n) for n in self.inputs[0].schema]
        twice = {n for n in new if new.count(n) > 1}
        if twice:
            raise PlanError(
                f"rename: {self.names} gives two columns the name {sorted(twice)}; choose another name.",
                code="COLUMN_DUPLICATE",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({self.names.get(n, n): t for n, t in self.inputs[0].schema.items()})

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        return {self.names.get(n, n): mark for n, mark in self.inputs[0].event_times.items()}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        key = self.inputs[0].key
        return None if key is None else tuple(self.names.get(n, n) for n in key)

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.rename(self.names)

    def describe(self) -> str:
        return f"rename {dict(self.names)}"
