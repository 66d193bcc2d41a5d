"""SELECT: the verbs of a frame in the order in which SQL means them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import narwhals as nw
from sqlglot import exp

from streamnb.frame import StreamFrame
from streamnb.sqlplan.aggregates import is_aggregate
from streamnb.sqlplan.groups import Groups
from streamnb.sqlplan.literals import count_literal
from streamnb.sqlplan.parse import allow, text, unsupported
from streamnb.sqlplan.relation import Relation, Sources
from streamnb.sqlplan.scope import Scope
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
        sources = {**sources, one.alias: frame_of(one.this, sources)}
    return sources


def _union(query: exp.Union, sources: Sources) -> StreamFrame:
    allow(query, *_UNION)
    left, right = frame_of(query.this, sources), frame_of(query.expression, sources)
    names, theirs = list(left.node.schema), list(right.node.schema)
    if names != theirs and len(names) == len(theirs):
        right = right.select(*(nw.col(b).alias(a) for a, b in zip(names, theirs, strict=True)))
    frame = left.union(right)
    return _ordered(frame.distinct() if query.args.get("distinct") else frame, query)


def _select(select: exp.Select, sources: Sources) -> StreamFrame:
    relation = from_clause(select, sources, frame_of)
    where = select.args.get("where")
    if where is not None:
        if any(_is_edge(column, relation) for column in where.find_all(exp.Column)):
            relation = relation.opened()
        relation = replace(relation, frame=relation.frame.filter(relation.scope.translate(where.this)))
    if _is_grouped(select):
        groups = Groups(relation, select)
        output = Output(
            groups.frame, groups.scope, [out for item in select.expressions for out in groups.outputs(item)]
        )
        order = [groups.rewritten(key) for key in _order(select)]
    else:
        output, order = _plain(select, relation), _order(select)
    frame = output.finished(order, distinct=_is_distinct(select))
    return _limited(frame, select)


def _is_edge(column: exp.Column, relation: Relation) -> bool:
    return relation.window is not None and column.name.lower() in {START, END}


def _is_grouped(select: exp.Select) -> bool:
    parts = [*select.expressions, *(having.this for having in [select.args.get("having")] if having is not None)]
    return bool(select.args.get("group")) or any(_has_aggregate(part) for part in parts)


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


@dataclass(frozen=True)
class Output:
    """The columns of SELECT over the rows of a frame."""

    frame: StreamFrame
    scope: Scope
    items: Sequence[exp.Expr]

    def finished(self, order: Sequence[exp.Ordered], *, distinct: bool) -> StreamFrame:
        """Return the rows as they come out, in order where that is asked for."""
        columns = [column for item in self.items for column in self._columns(item)]
        own = {name for name, _ in columns}
        above = all(column.name in own and not column.table for key in order for column in key.find_all(exp.Column))
        frame = self.frame if above else _sorted(self.frame, order, self.scope)
        frame = _selected(frame, columns)
        frame = frame.distinct() if distinct else frame
        return _sorted(frame, order, _scope_of(frame)) if above else frame

    def _columns(self, item: exp.Expr) -> list[tuple[str, nw.Expr | str]]:
        """Return the names and what they stand for, a column that is handed on as it is by its name."""
        node = item.unalias()
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            return [(name, name) for name in self._all(node)]
        if isinstance(node, exp.Column) and not self._is_window_time(node):
            column = self.scope.column(node)
            return [(item.alias or column, column)]
        return [(item.alias or _default_name(node), self.scope.translate(node))]

    def _is_window_time(self, node: exp.Column) -> bool:
        return node.name.lower() == "window_time" and "window_time" not in self.scope.schema

    def _all(self, star: exp.Expr) -> list[str]:
        table = star.table if isinstance(star, exp.Column) else ""
        inner = star.this if isinstance(star, exp.Column) else star
        allow(inner, "except_")
        left_out = {node.name.lower() for node in inner.args.get("except_") or ()}
        every = [exp.column(name, table=table) for name in self._names_of(table)] if table else []
        names = [self.scope.column(column) for column in every] if table else list(self.scope.schema)
        return [name for name in names if name.lower() not in left_out]

    def _names_of(self, table: str) -> list[str]:
        known = next((names for name, names in self.scope.names.items() if name.lower() == table.lower()), None)
        return ["*"] if known is None else list(known)


def _default_name(node: exp.Expr) -> str:
    return "window_time" if isinstance(node, exp.Anonymous) else text(node).lower()


def _selected(frame: StreamFrame, columns: Sequence[tuple[str, Any]]) -> StreamFrame:
    """Select, unless all columns are there in this order."""
    if [(name, name) for name in frame.node.schema] == list(columns):
        return frame
    return frame.select(*(value if value is name else _alias(name, value) for name, value in columns))


def _alias(name: str, value: nw.Expr | str) -> nw.Expr | str:
    if isinstance(value, str):
        return value if value == name else nw.col(value).alias(name)
    return value.alias(name)


# -- order and limit


def _order(query: exp.Query) -> list[exp.Ordered]:
    order = query.args.get("order")
    return [] if order is None else list(order.expressions)


def _sorted(frame: StreamFrame, order: Sequence[exp.Ordered], scope: Scope) -> StreamFrame:
    if not order:
        return frame
    for key in order:
        if bool(key.args.get("nulls_first")) == bool(key.args.get("desc")):
            raise unsupported(text(key), "nulls are the smallest: first, and last where it is DESC")
    return frame.sort(
        *(scope.translate(key.this) for key in order), descending=[bool(k.args.get("desc")) for k in order]
    )


def _ordered(frame: StreamFrame, query: exp.Query) -> StreamFrame:
    return _limited(_sorted(frame, _order(query), _scope_of(frame)), query)


def _limited(frame: StreamFrame, query: exp.Query) -> StreamFrame:
    limit = query.args.get("limit")
    return frame if limit is None else frame.limit(count_literal(limit.expression, "LIMIT"))


def _scope_of(frame: StreamFrame) -> Scope:
    schema = frame.node.schema
    return Scope(schema, {"": {name: name for name in schema}})
