"""GROUP BY: keys and aggregates of a SELECT, and the SELECT rewritten over the columns they give."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from sqlglot import exp

from streamnb.errors import PlanError
from streamnb.expressions import Expression
from streamnb.folds import Fold
from streamnb.frame import StreamFrame
from streamnb.sqlplan.aggregates import fold, is_aggregate
from streamnb.sqlplan.literals import count_literal
from streamnb.sqlplan.parse import allow, text, unsupported
from streamnb.sqlplan.relation import Relation
from streamnb.sqlplan.scope import EDGES, Scope
from streamnb.sqlplan.windows import is_window, window_key
from streamnb.windows import END, START, TimeKey

_TIME = "window_time"
_OF_A_WINDOW = {START, END, _TIME}


class Groups:
    """The groups of a SELECT: ``frame`` has a column for every key and aggregate, ``rewritten`` calls them by name."""

    def __init__(self, relation: Relation, select: exp.Select) -> None:
        self._select, self._below = select, relation.scope
        nodes = [self._meant(node) for node in _group_by(select)]
        self._relation = relation if any(self._is_edge(relation, node) for node in nodes) else relation.opened()
        self._names: dict[exp.Expr, str] = {}  # keys that are expressions
        self._columns: set[str] = set()
        self._window = ""
        self._keys = self._taken(nodes)
        self._aggregates = self._named()
        self.frame = self._having(self._grouped())

    @cached_property
    def scope(self) -> Scope:
        """The columns after grouping; anything else is no longer one value a group."""
        return _GroupScope(self.frame.node.schema, {"": {name: name for name in self.frame.node.schema}})

    # -- keys

    def _meant(self, node: exp.Expr) -> exp.Expr:
        """Return the key that a number or an alias of SELECT stands for."""
        if isinstance(node, exp.Literal):
            place = count_literal(node, "GROUP BY")
            if not 1 <= place <= len(self._select.expressions):
                raise unsupported(f"GROUP BY {place} of {len(self._select.expressions)} columns", "count from 1")
            chosen: exp.Expr = self._select.expressions[place - 1].unalias()
            return chosen
        return self._aliased(node) or node

    def _aliased(self, node: exp.Expr) -> exp.Expr | None:
        """Return the item of SELECT that a name stands for, where it is no column."""
        if not isinstance(node, exp.Column) or node.table or self._below.has(node):
            return None
        items = self._select.expressions
        return next((item.unalias() for item in items if item.alias and item.alias.lower() == node.name.lower()), None)

    def _is_edge(self, relation: Relation, node: exp.Expr) -> bool:
        return relation.window is not None and isinstance(node, exp.Column) and node.name.lower() in _OF_A_WINDOW

    def _taken(self, nodes: list[exp.Expr]) -> list[Expression | TimeKey]:
        keys: list[Expression | TimeKey] = []
        for node in nodes:
            if self._is_edge(self._relation, node):
                keys += [] if START in self._columns else [self._relation.window or START]
                self._columns |= {START, END}
            elif is_window(node):
                keys.append(window_key(_anonymous(node), self._relation.scope.translate))
                self._columns |= {START, END}
                self._window = text(node).lower()
            else:
                keys.append(self._key(node))
        return keys

    def _key(self, node: exp.Expr) -> Expression:
        scope = self._relation.scope
        if isinstance(node, exp.Column):
            name = scope.column(node)
            self._columns.add(name)
            return name
        alias = next((item.alias for item in self._select.expressions if item.alias and item.unalias() == node), "")
        self._names[node] = alias or text(node).lower()
        return scope.translate(node).alias(self._names[node])

    # -- aggregates

    def _named(self) -> dict[exp.Expr, str]:
        """Return every aggregate of the SELECT with its name: that of its column, else how it is written."""
        named = {
            item.unalias(): item.alias
            for item in self._select.expressions
            if item.alias and is_aggregate(item.unalias())
        }
        having, order = self._select.args.get("having"), self._select.args.get("order")
        for part in (*self._select.expressions, having, order):
            for node in () if part is None else _aggregates(part):
                named.setdefault(node, text(node).lower())
        return named

    def _grouped(self) -> StreamFrame:
        if not self._aggregates:
            raise unsupported("GROUP BY without an aggregate", "write SELECT DISTINCT")
        folds: dict[str, Fold] = {}
        for node, name in self._aggregates.items():
            folds[name] = fold(node, self._relation.scope.translate)
        return self._relation.frame.group_by(*self._keys).agg(**folds)

    def _having(self, frame: StreamFrame) -> StreamFrame:
        having = self._select.args.get("having")
        self.frame = frame
        return frame if having is None else frame.filter(self.scope.translate(self.rewritten(having.this)))

    # -- the SELECT

    def outputs(self, item: exp.Expr) -> list[exp.Expr]:
        """Return the columns that an item of SELECT stands for: two for the window, else one."""
        node = item.unalias()
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            raise unsupported(f"{text(node)} beside GROUP BY", "name the keys and aggregates")
        bare = isinstance(node, exp.Column) and not node.table and node.name.lower() in {"window", "session_window"}
        if not is_window(node) and not (bare and START in self._columns):
            return [self.rewritten(item)]
        edges = {side: self._edge(node, side) for side in EDGES}
        return [exp.alias_(e, f"{item.alias}_{side}", quoted=True) if item.alias else e for side, e in edges.items()]

    def _edge(self, node: exp.Expr, edge: str) -> exp.Expr:
        """Return the column of one end of the window that a node is."""
        if is_window(node) and text(node).lower() != self._window:
            raise unsupported(f"{text(node)}, which is not in GROUP BY", "group by it")
        if edge not in EDGES:
            raise unsupported(f"{edge} of a window", "a window has start and end")
        return _column(EDGES[edge])

    def rewritten(self, part: Any) -> Any:
        """Return a part of the SELECT in which keys and aggregates are columns of ``frame``."""
        return part.transform(self._over_groups)

    def _over_groups(self, node: exp.Expr) -> Any:
        if node in self._aggregates:
            return _column(self._aggregates[node])
        if node in self._names:
            return _column(self._names[node])
        if isinstance(node, exp.Anonymous) and node.name.lower() == _TIME:
            return _column(_TIME)
        if isinstance(node, exp.Dot) and is_window(node.this):
            return self._edge(node.this, node.expression.name.lower())
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star) and not self._is_output(node):
            return self._key_column(node)
        return node

    def _is_output(self, node: exp.Column) -> bool:
        return not node.table and node.name in self._aggregates.values()

    def _key_column(self, node: exp.Column) -> Any:
        if START in self._columns and node.name.lower() in _OF_A_WINDOW:
            return _column(node.name.lower())
        meant = self._aliased(node)
        if meant is not None:
            return self.rewritten(meant)
        name = self._relation.scope.column(node)
        return _column(name) if name in self._columns else node


class _GroupScope(Scope):
    def column(self, node: exp.Column) -> str:
        """Return a column of the groups."""
        if node.name not in self.schema or node.table:
            raise PlanError(
                f"sql: {text(node)} is neither grouped nor aggregated; add it to GROUP BY, or take FIRST(…) of it.",
                code="AGGREGATE_INVALID",
            )
        return node.name


def _group_by(select: exp.Select) -> list[exp.Expr]:
    group = select.args.get("group")
    if group is None:
        return []
    allow(group, "expressions")
    return list(group.expressions)


def _aggregates(part: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the outermost aggregates of a part."""
    return (node for node in part.walk(prune=is_aggregate) if is_aggregate(node))


def _anonymous(node: exp.Expr) -> exp.Anonymous:
    assert isinstance(node, exp.Anonymous)  # noqa: S101  is_window
    return node


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)
