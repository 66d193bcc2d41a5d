"""unmark: a column of event time that is a plain column from here on; no verb of the API, the optimizer puts it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import polars as pl

from streamnb.plan import EventTime, RowWise


@dataclass(frozen=True, eq=False)
class Unmark(RowWise):
    columns: tuple[str, ...]
    verb: ClassVar[str] = "unmark"

    @cached_property
    def schema(self) -> pl.Schema:
        return self.inputs[0].schema

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        return {n: mark for n, mark in self.inputs[0].event_times.items() if n not in self.columns}

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows

    def describe(self) -> str:
        return f"take {', '.join(self.columns)} as no event time, since nothing above reads it"
