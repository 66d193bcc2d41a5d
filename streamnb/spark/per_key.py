"""Functions of the user's own: map_batches, apply_in_pandas_with_state and transform_with_state, by thin adapters."""

from __future__ import annotations

from typing import Any

import polars as pl

from streamnb.expressions import native
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.per_key import PerKey
from streamnb.spark import worker
from streamnb.spark.flow import Flow, Move, to_spark
from streamnb.spark.kinds import ddl, name_in
from streamnb.spark.rows import visible

TIMEOUTS = {"none": "NoTimeout", "event": "EventTimeTimeout", "processing": "ProcessingTimeTimeout"}
TIME_MODES = {"none": "None", "event": "EventTime", "processing": "ProcessingTime"}


@to_spark.register
def _map_batches(node: MapBatches, move: Move, below: Flow) -> Flow:
    rows = visible(below, node.inputs[0].schema.names())
    return Flow(rows.mapInPandas(move.batches(node), ddl(node.returns)))


@to_spark.register
def _apply_in_pandas_with_state(node: ApplyInPandasWithState, move: Move, below: Flow) -> Flow:
    move.hand_over(node)
    rows = worker.Rows(node.verb, node.inputs[0].schema, node.returns)
    call = worker.ApplyInPandasWithState(node.function, rows, node.fields)
    grouped = _grouped(node, move, below)
    given = ddl(node.returns), ddl(node.fields.schema), node.output_mode, TIMEOUTS[node.timeout]
    return Flow(grouped.applyInPandasWithState(lambda key, parts, state: call(key, parts, state), *given))  # noqa: PLW0108


@to_spark.register
def _transform_with_state(node: TransformWithState, move: Move, below: Flow) -> Flow:
    move.hand_over(node)
    initial = None if node.initial is None else worker.Rows(node.verb, node.initial.schema, pl.Schema())
    rows = worker.Rows(node.verb, node.inputs[0].schema, node.returns)
    out = _grouped(node, move, below).transformWithStateInPandas(
        statefulProcessor=worker.Processor(node.processor, rows, initial),
        outputStructType=ddl(node.returns),
        outputMode=(node.output_mode or move.output_mode or "append").capitalize(),
        timeMode=TIME_MODES[node.time_mode],
        initialState=None if node.initial is None else move.table(node.initial).groupBy(*node.key_schema),
        eventTimeColumnName=node.event_time_column or "",
    )
    return Flow(out)


def _grouped(node: PerKey, move: Move, below: Flow) -> Any:
    """Return the rows by key; a key that is computed is a column beside the others."""
    computed = {native(key).meta.output_name(): key for key in node.by}
    new = {
        name: move.column(key, node.inputs[0].schema, node.verb)
        for name, key in computed.items()
        if not _plain(node, name)
    }
    rows = below.rows.withColumns(new) if new else below.rows
    return rows.groupBy(*map(name_in, computed))


def _plain(node: PerKey, name: str) -> bool:
    expression = node.keys[name]
    return bool(expression.meta.is_column())
