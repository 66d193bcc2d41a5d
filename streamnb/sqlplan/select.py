"""SELECT: the verbs of a frame in the order in which SQL means them."""

from __future__ import annotations

from dataclasses import replace

import narwhals as nw
from sqlglot import exp

from streamnb.frame import StreamFrame
from streamnb.sqlplan.aggregates import is_aggregate
from streamnb.sqlplan.groups import Groups
from streamnb.sqlplan.literals import count_literal
from streamnb.sqlplan.output import Output
from streamnb.sqlplan.parse import allow, text, unsupported
from streamnb.sqlplan.relation import Relation, Sources
from streamnb.sqlplan.sources import from_clause
from streamnb.sqlplan.windows import is_window, window_key
from streamnb.windows import END, START, WindowKey

_SELECT = ("expressions", "from_", "joins", "where", "group", "having", "distinct", "order", "limit", "with_", "hint")
_UNION = ("this", "expression", "distinct", "order", "limit", "with_")


def frame_of(query: exp.Query, sources: Sources) -> StreamFrame:
    """Return the frame that a query describes."""
    sources = _with_queries(query, sources)
    if isinstance(query, exp.Subquery):
        allow(query, "this")
        return frame_of(query.this, sources)
    if type(query) is exp.Union:
        return _union(query, sources)
    if not isinstance(query, exp.Select):
        raise unsupported(type(query).__name__.upper(), "write SELECT or UNION ALL")
    allow(query, *_SELECT)
    return _select(query, sources)


def _with_queries(query: exp.Query, sources: Sources) -> Sources:
    given = query.args.get("with_")
    if given is None:
        return sources
    allow(given, "expressions")
    for one in given.expressions:
        if one.args["alias"].columns:
            raise unsupported(f"column names in {one.alias}(…)", "name columns with AS in its SELECT")
        sources = {**sources, one.alias: frame_of(one.this, sources)}
    return sources


def _union(query: exp.Union, sources: Sources) -> StreamFrame:
    allow(query, *_UNION)
    left, right = frame_of(query.this, sources), frame_of(query.expression, sources)
    names, theirs = list(left.node.schema), list(right.node.schema)
    if names != theirs and len(names) == len(theirs):
        right = right.select(*(nw.col(b).alias(a) for a, b in zip(names, theirs, strict=True)))
    output = Output.of(left.union(right))
    return _limited(output.finished(_order(query), distinct=bool(query.args.get("distinct"))), query)


def _select(select: exp.Select, sources: Sources) -> StreamFrame:
    relation = from_clause(select, sources, frame_of)
    where = select.args.get("where")
    if where is not None:
        if any(_is_edge(column, relation) for column in where.find_all(exp.Column)):
            relation = relation.opened()
        relation = replace(relation, frame=relation.frame.filter(relation.scope.translate(where.this)))
    if _is_grouped(select):
        groups = Groups(relation, select)
        items = [out for item in select.expressions for out in groups.outputs(item)]
        output = Output(groups.frame, groups.scope, items)
        order = [groups.rewritten(key) for key in _order(select)]
    else:
        output, order = _plain(select, relation), _order(select)
    frame = output.finished(order, distinct=_is_distinct(select))
    return _limited(frame, select)


def _is_edge(column: exp.Column, relation: Relation) -> bool:
    return relation.window is not None and column.name.lower() in {START, END}


def _is_grouped(select: exp.Select) -> bool:
    grouped = select.args.get("group") or select.args.get("having")
    return bool(grouped) or any(_has_aggregate(part) for part in select.expressions)


def _has_aggregate(part: exp.Expr) -> bool:
    return not part.find(exp.Window) and any(is_aggregate(node) for node in part.walk())


def _is_distinct(select: exp.Select) -> bool:
    distinct = select.args.get("distinct")
    if distinct is not None and distinct.args.get("on"):
        raise unsupported("DISTINCT ON", "call frame.drop_duplicates([…])")
    return distinct is not None


# -- what is selected


def _plain(select: exp.Select, relation: Relation) -> Output:
    """Return the output of a query that groups nothing; ``window(…)`` gives rows their window."""
    relation = relation.opened()
    items: list[exp.Expr] = []
    for item in select.expressions:
        if not is_window(item.unalias()):
            items.append(item)
            continue
        key, name = window_key(item.unalias(), relation.scope.translate), item.alias or "window"
        if not isinstance(key, WindowKey):
            raise unsupported(f"{text(item)} without GROUP BY", "group by it and by the key of the sessions")
        edges = f"{name}_start", f"{name}_end"
        own = {edge: edge for edge in edges}
        relation = Relation(relation.frame.with_window(key, name), {**relation.names, name: own})
        items += [exp.column(edge, table=name, quoted=True) for edge in edges]
    return Output(relation.frame, relation.scope, items)


# -- order and limit


def _order(query: exp.Query) -> list[exp.Ordered]:
    order = query.args.get("order")
    return [] if order is None else list(order.expressions)


def _limited(frame: StreamFrame, query: exp.Query) -> StreamFrame:
    limit = query.args.get("limit")
    return frame if limit is None else frame.limit(count_literal(limit.expression, "LIMIT"))
