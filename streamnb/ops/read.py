"""read: the rows of a source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import polars as pl

from streamnb.connect import Source
from streamnb.errors import PlanError
from streamnb.plan import Batch, Node, Opening, Step
from streamnb.schema import polars_schema


@dataclass(frozen=True, eq=False)
class Read(Node):
    source: Source
    verb: ClassVar[str] = "read"
    opaque: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.source, Source):
            raise PlanError(
                f"stream: {self.source!r} is no source; it needs schema, latest(), read(start, end) and commit(end).",
                code="SOURCE_MISSING",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return polars_schema("stream", self.source.schema)

    def open(self, opening: Opening) -> Step:
        return _Step()

    def describe(self) -> str:
        return f"read {self.source!r}"


class _Step(Step):
    def on_batch(self, *batches: Batch) -> Batch:
        return batches[0]
