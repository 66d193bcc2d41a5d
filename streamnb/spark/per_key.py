"""Functions of the user's own: map_batches, apply_in_pandas_with_state and transform_with_state, by thin adapters."""

from __future__ import annotations

from typing import Any

from streamnb.expressions import native
from streamnb.ops.apply_in_pandas_with_state import ApplyInPandasWithState
from streamnb.ops.map_batches import MapBatches
from streamnb.ops.transform_with_state import TransformWithState
from streamnb.per_key import PerKey
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
    given = ddl(node.returns), ddl(node.fields.schema), node.output_mode, TIMEOUTS[node.timeout]
    return Flow(_grouped(node, move, below).applyInPandasWithState(move.per_key(node), *given))


@to_spark.register
def _transform_with_state(node: TransformWithState, move: Move, below: Flow) -> Flow:
    more: dict[str, Any] = {}
    if node.initial is not None:
        more["initialState"] = move.table(node.initial).groupBy(*node.key_schema)
    if node.event_time_column:
        more["eventTimeColumnName"] = node.event_time_column
    out = _grouped(node, move, below).transformWithStateInPandas(
        statefulProcessor=move.processor(node),
        outputStructType=ddl(node.returns),
        outputMode=(node.output_mode or move.output_mode or "append").capitalize(),
        timeMode=TIME_MODES[node.time_mode],
        **more,
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
