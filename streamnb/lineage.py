"""Lineage: what the columns by which an operator remembers are computed of, as text that two queries can compare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streamnb.expressions import native, plain_column, spelled
from streamnb.ops.columns import Rename
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.drop_duplicates_within_watermark import DropDuplicatesWithinWatermark
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.select import Select, WithColumns
from streamnb.plan import Node
from streamnb.time import spell


def lineage(node: Node) -> Mapping[str, str]:
    """Return the columns that decide what an operator with state holds, each with what it is computed of."""
    found = {
        name: made_of(below, name)
        for number, below in enumerate(node.inputs)
        for name in dict.fromkeys(_deciding(node, number))
        if name in below.schema
    }
    if isinstance(node, DropDuplicatesWithinWatermark) and node.mark is not None:
        found["the time that it remembers"] = spell(node.mark[1].delay)
    return found


def _deciding(node: Node, number: int) -> Iterator[str]:
    """Yield the columns of an input by which a node tells rows apart, or which it adds up."""
    if isinstance(node, GroupBy):
        times = [node.time] if node.time_key is not None else []
        values = [v for fold in node.aggregates.values() for v in fold.columns(node.verb, node.inputs[0].schema)]
        yield from (name for e in (*times, *node.keys.values(), *values) for name in e.meta.root_names())
    elif isinstance(node, Deduplication):
        yield from node.columns
    elif isinstance(node, Join):
        yield from (pair[number] for pair in node.keys)
        yield from () if node.within is None else ((node.within.of, node.within.time)[number],)
    else:
        keys = getattr(node, "keys", ())
        yield from keys if isinstance(keys, tuple | list) else ()


def made_of(node: Node, column: str) -> str:
    """Return what a column that comes out of a node is computed of: a column of a source, an expression, a verb."""
    if isinstance(node, Select | WithColumns):
        made = _computed(node, column)
        if made is not None:
            return made
    if isinstance(node, Rename):
        column = next((old for old, new in node.names.items() if new == column), column)
    sides = {made_of(below, column) for below in node.inputs if column in below.schema}
    if not node.inputs:
        return column
    if node.opaque or not sides:
        return f"{column} of {node.verb}"
    return " or ".join(sorted(sides))


def _computed(node: Select | WithColumns, column: str) -> str | None:
    """Return what a verb computes a column of; None if it hands it on."""
    below = node.inputs[0]
    for expression in node.expressions:
        compiled = native(expression)
        if compiled.meta.has_multiple_outputs() or compiled.meta.output_name() != column:
            continue
        plain = plain_column(compiled)
        if plain is not None:
            return made_of(below, plain)
        deeper = {name: made_of(below, name) for name in dict.fromkeys(compiled.meta.root_names())}
        told = [f"{name} = {made}" for name, made in deeper.items() if made != name]
        return f"{spelled(expression)}{' with ' if told else ''}{', '.join(told)}"
    return None
