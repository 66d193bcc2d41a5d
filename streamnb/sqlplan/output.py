"""Output: the columns of SELECT over the rows of a frame, without duplicates and in order where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
from sqlglot import exp

from streamnb.errors import PlanError
from streamnb.expressions import native
from streamnb.frame import StreamFrame
from streamnb.sqlplan.literals import count_literal
from streamnb.sqlplan.parse import allow, text, unsupported
from streamnb.sqlplan.scope import EDGES, Scope


@dataclass(frozen=True)
class Output:
    """The columns of SELECT over the rows of a frame."""

    frame: StreamFrame
    scope: Scope
    items: Sequence[exp.Expr]

    @classmethod
    def of(cls, frame: StreamFrame) -> Output:
        """Return all columns of a frame."""
        return cls(frame, _scope_of(frame), [exp.Star()])

    def finished(self, order: Sequence[exp.Ordered], *, distinct: bool) -> StreamFrame:
        """Return the rows as they come out, in order where that is asked for."""
        columns = [column for item in self.items for column in self._columns(item)]
        order = [_placed(key, [name for name, _ in columns]) for key in order]
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
        if isinstance(node, exp.Column) and self.scope.is_window(node):
            return [(f"{item.alias or 'window'}_{edge}", column) for edge, column in EDGES.items()]
        if isinstance(node, exp.Column) and not self.scope.is_window_time(node):
            column = self.scope.column(node)
            return [(item.alias or column, column)]
        return [(item.alias or _default_name(node), self.scope.translate(node))]

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


def _placed(key: exp.Ordered, names: Sequence[str]) -> exp.Ordered:
    """Return a key of ORDER BY in which a number is the column at that place."""
    if not isinstance(key.this, exp.Literal):
        return key
    place = count_literal(key.this, "ORDER BY")
    if not 1 <= place <= len(names):
        raise unsupported(f"ORDER BY {place} of {len(names)} columns", "count from 1")
    placed = key.copy()
    placed.set("this", exp.column(names[place - 1], quoted=True))
    return placed


def _default_name(node: exp.Expr) -> str:
    return "window_time" if isinstance(node, exp.Anonymous | exp.Column) else text(node).lower()


def _selected(frame: StreamFrame, columns: Sequence[tuple[str, Any]]) -> StreamFrame:
    """Select, unless all columns are there in this order."""
    kept = [value if isinstance(value, str) and value == name else None for name, value in columns]
    if kept == list(frame.node.schema):
        return frame
    names = [name for name, _ in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanError(
            f"sql: the columns {twice} stand twice; give one another name with AS.", code="COLUMN_DUPLICATE"
        )
    made = [_alias(name, value) for name, value in columns]
    if not any(native(one).meta.root_names() for one in made):
        return frame.with_columns(*made).select(*names)  # a constant stands in every row
    return frame.select(*made)


def _alias(name: str, value: nw.Expr | str) -> nw.Expr | str:
    if isinstance(value, str):
        return value if value == name else nw.col(value).alias(name)
    return value.alias(name)


def _sorted(frame: StreamFrame, order: Sequence[exp.Ordered], scope: Scope) -> StreamFrame:
    if not order:
        return frame
    for key in order:
        if bool(key.args.get("nulls_first")) == bool(key.args.get("desc")):
            raise unsupported(text(key), "nulls are the smallest: first, and last where it is DESC")
    return frame.sort(
        *(scope.translate(key.this) for key in order), descending=[bool(k.args.get("desc")) for k in order]
    )


def _scope_of(frame: StreamFrame) -> Scope:
    schema = frame.node.schema
    return Scope(schema, {"": {name: name for name in schema}})
