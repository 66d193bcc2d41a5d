"""Dead letters: the records that no row could be made of, or whose time cannot be true, with where and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import polars as pl

from streamnb.connect import BadRecord
from streamnb.graph import Graph
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.time import spell

SCHEMA = pl.Schema(
    {"batch_id": pl.Int64(), "source": pl.String(), "offset": pl.String(), "reason": pl.String(), "raw": pl.String()}
)
_NONE = pl.DataFrame(schema=SCHEMA)
Aside = tuple[str, BadRecord]
"""A record and the source it is from."""


def letters(batch_id: int, aside: Sequence[Aside]) -> pl.DataFrame:
    """Return the records that a batch sets aside, as a table."""
    if not aside:
        return _NONE
    rows = [(batch_id, source, bad.offset, bad.reason, bad.raw) for source, bad in aside]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def together(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Return the dead letters of several batches as one table."""
    return pl.concat([_NONE, *frames])


def too_far_ahead(graph: Graph, batch_id: int) -> list[Aside]:
    """Return the rows of the last batch whose time lay further beyond the clock than the query believes."""
    steps = {step.node.origin: step for step in graph.watermark_steps}  # a stream that is read twice is told once
    return [
        aside for step in steps.values() for aside in _beyond(step.node, step.ahead, graph.watermark.guard, batch_id)
    ]


def _beyond(node: WithWatermark, rows: pl.DataFrame | None, guard: int | None, batch_id: int) -> Iterable[Aside]:
    source = ", ".join(repr(below.source) for below in node.walk() if isinstance(below, Read))
    for number, row in enumerate(() if rows is None else rows.iter_rows(named=True)):
        reason = f"{node.event_time} is {row[node.event_time]}, more than {spell(guard or 0)} beyond the clock"
        yield (
            source,
            BadRecord(f"batch {batch_id} row {number}", reason, json.dumps(row, default=str, ensure_ascii=False)),
        )
