"""FROM: tables, queries in their place, windows over them, and joins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from streamnb.errors import PlanError
from streamnb.frame import StreamFrame
from streamnb.sqlplan.joins import joined
from streamnb.sqlplan.literals import span
from streamnb.sqlplan.parse import allow, text, unsupported
from streamnb.sqlplan.relation import Build, Relation, Sources, Table
from streamnb.sqlplan.scope import lookup
from streamnb.sqlplan.windows import is_window_table, table_key

Delays = Mapping[str, tuple[str, dt.timedelta]]
"""By table (or "" where there is only one) the column and delay of its watermark."""


def from_clause(select: exp.Select, sources: Sources, build: Build) -> Relation:
    """Return what a SELECT reads."""
    origin = select.args.get("from_")
    if origin is None:
        raise unsupported("SELECT without FROM", "read a frame")
    joins = select.args.get("joins") or []
    delays = _watermarks(select)
    if joins and "" in delays:
        raise unsupported("WATERMARK of a column without its table", "write WATERMARK(table.column, '10 minutes')")
    relation = _table(origin.this, sources, build, delays)
    if isinstance(relation, Table):
        raise unsupported(f"a table that is no stream, {relation.name!r}, first in FROM", "name the stream first")
    for join in joins:
        relation = joined(relation, _table(join.this, sources, build, delays), join)
    unknown = delays.keys() - {"", *(name.lower() for name in relation.names)}
    if unknown:
        raise PlanError(
            f"sql: no table {min(unknown)!r} in FROM for its WATERMARK; name one of {[*relation.names]}.",
            code="SQL_TABLE_UNKNOWN",
        )
    return relation


def _watermarks(select: exp.Select) -> Delays:
    hint = select.args.get("hint")
    found: dict[str, tuple[str, dt.timedelta]] = {}
    for call in hint.expressions if hint is not None else ():
        if call.name.upper() != "WATERMARK" or len(call.expressions) != 2:
            raise unsupported(f"the hint {text(call)}", "the one hint is WATERMARK(column, '10 minutes')")
        column, delay = call.expressions
        found[column.table.lower()] = column.name, span(delay, "with_watermark")
    return found


def _table(node: exp.Expr, sources: Sources, build: Build, delays: Delays) -> Relation | Table:
    allow(node, "this", "alias")
    alias = node.alias
    if node.args.get("alias") and node.args["alias"].columns:
        raise unsupported(f"column names in {text(node)}", "name columns with AS in SELECT")
    if isinstance(node, exp.Subquery):
        return _named(build(node.this, sources), alias or "query", delays)
    inner = node.this
    if isinstance(inner, exp.Anonymous) and inner.name.upper() == "TABLE" and len(inner.expressions) == 1:
        (inner,) = inner.expressions
    if is_window_table(inner):
        return _windowed(inner, alias, sources, delays)
    if not isinstance(node, exp.Table) or not isinstance(inner, exp.Identifier):
        raise unsupported(f"{text(node)} in FROM", "read a frame, or TUMBLE, HOP or SESSION over one")
    return _source(node.name, alias, sources, delays)


def _windowed(call: exp.Anonymous, alias: str, sources: Sources, delays: Delays) -> Relation:
    below = _source(call.expressions[0].name, alias, sources, delays)
    if isinstance(below, Table):
        raise unsupported(f"{call.name.upper()} over {below.name!r}, which is no stream", "join it instead")
    return Relation(below.frame, below.names, table_key(call, below.scope.translate))


def _source(name: str, alias: str, sources: Sources, delays: Delays) -> Relation | Table:
    found = lookup(sources, name)
    if found is None:
        raise PlanError(
            f"sql: no table {name!r}; the tables are {list(sources)}, give more as sql(…, {name}=frame).",
            code="SQL_TABLE_UNKNOWN",
        )
    if not isinstance(found, StreamFrame):
        return Table(found, alias or name)
    return _named(found, alias or name, delays)


def _named(frame: StreamFrame, name: str, delays: Delays) -> Relation:
    declared: Any = delays.get(name.lower(), delays.get(""))
    if declared is not None:
        frame = frame.with_watermark(*declared)
    return Relation(frame, {name: {column: column for column in frame.node.schema}})
