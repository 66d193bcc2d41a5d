"""JOIN: equalities become keys, bounds on the distance of two times become ``within``, the rest ``where``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from sqlglot import exp

from streamnb.expressions import all_of
from streamnb.ops.join import Between, between
from streamnb.sqlplan.literals import is_span, span
from streamnb.sqlplan.parse import allow, unsupported
from streamnb.sqlplan.relation import Relation, Table
from streamnb.sqlplan.scope import Names, Scope

_BELOW = {exp.LT, exp.LTE}
_TURNED: Mapping[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
_ZERO = dt.timedelta(0)


def joined(left: Relation, right: Relation | Table, join: exp.Join) -> Relation:
    """Return two relations as one."""
    allow(join, "this", "side", "kind", "on", "using")
    left = left.opened()
    other = right if isinstance(right, Table) else right.opened()
    sides = _Sides(left, other, _how(join))
    if join.args.get("using"):
        return sides.on_names([name.name for name in join.args["using"]])
    return sides.on_condition(join.args.get("on") or exp.true())


def _how(join: exp.Join) -> str:
    if join.kind in {"SEMI", "ANTI"} and join.side in {"", "LEFT"}:
        return join.kind.lower()
    if join.kind not in {"", "INNER", "OUTER"} or join.side not in {"", "LEFT", "RIGHT", "FULL"}:
        raise unsupported(
            f"{join.side} {join.kind} JOIN".strip(), "use INNER, LEFT, RIGHT, FULL, LEFT SEMI or LEFT ANTI"
        )
    return join.side.lower() or "inner"


@dataclass
class _Condition:
    """An ON clause, sorted."""

    keys: list[tuple[str, str]] = field(default_factory=list)
    times: tuple[str, str] | None = None
    bounds: dict[str, tuple[dt.timedelta, bool]] = field(default_factory=dict)
    rest: list[exp.Expr] = field(default_factory=list)

    def within(self) -> Between | None:
        if self.times is None:
            return None
        (after, first), (before, last) = (self.bounds.get(end, (None, True)) for end in ("after", "before"))
        closed = {(True, True): "both", (True, False): "left", (False, True): "right"}.get((first, last), "none")
        return between(self.times[1], of=self.times[0], after=after, before=before, closed=closed)


class _Sides:
    """The two sides of a join, and how their columns are called in a pair."""

    def __init__(self, left: Relation, right: Relation | Table, how: str) -> None:
        self.left, self.right, self.how = left, right, how
        self.ours, self.theirs = left.frame.node.schema, _schema(right)
        names = {right.name: {c: c for c in self.theirs}} if isinstance(right, Table) else right.names
        both = left.names.keys() & names.keys()
        if both:
            raise unsupported(f"the name {min(both)!r} for both sides of a join", "give one another name with AS")
        self.called = {c: f"{c}_right" if c in self.ours else c for c in self.theirs}
        called = {table: {name: self.called[c] for name, c in columns.items()} for table, columns in names.items()}
        schema = pl.Schema({**self.ours, **{self.called[c]: dtype for c, dtype in self.theirs.items()}})
        self.pair = Scope(schema, {**left.names, **called})

    def on_names(self, on: list[str]) -> Relation:
        """Join by columns of the same name, which stand once."""
        names = {t: {n: n if n in on else c for n, c in columns.items()} for t, columns in self.pair.names.items()}
        return self._result(names, on=on)

    def on_condition(self, condition: exp.Expr) -> Relation:
        """Join by a condition."""
        found = _Condition()
        for part in _conjuncts(condition):
            self._sort(part, found)
        where = all_of([self.pair.translate(part) for part in found.rest]) if found.rest else None
        left_on, right_on = [a for a, _ in found.keys], [b for _, b in found.keys]
        return self._result(self.pair.names, left_on=left_on, right_on=right_on, within=found.within(), where=where)

    def _result(self, names: Names, **by: Any) -> Relation:
        right = self.right.data if isinstance(self.right, Table) else self.right.frame
        frame = self.left.frame.join(right, how=self.how, **by)
        if self.how in {"semi", "anti"}:
            return Relation(frame, self.left.names)
        schema = frame.node.schema
        return Relation(frame, {t: {n: c for n, c in columns.items() if c in schema} for t, columns in names.items()})

    def _sort(self, part: exp.Expr, found: _Condition) -> None:
        across = self._across(part)
        if across is None:
            found.rest.append(part)
            return
        kind, left, right, distance = across
        if kind is exp.EQ and distance == _ZERO:
            found.keys.append((left, right))
        elif not self._is_bound(kind, (left, right), found):
            found.rest.append(part)
        else:
            found.times = left, right
            found.bounds["before" if kind in _BELOW else "after"] = distance, kind in {exp.LTE, exp.GTE}

    def _is_bound(self, kind: type[exp.Expr], times: tuple[str, str], found: _Condition) -> bool:
        """Tell whether ``right <kind> left + distance`` can be one end of the range; each end and pair stands once."""
        if isinstance(self.right, Table) or kind is exp.EQ or found.times not in {None, times}:
            return False
        known = ("before" if kind in _BELOW else "after") in found.bounds
        types = self.ours[times[0]], self.theirs[times[1]]
        return not known and all(isinstance(dtype, pl.Datetime) for dtype in types)

    def _across(self, part: exp.Expr) -> tuple[type[exp.Expr], str, str, dt.timedelta] | None:
        """Return what makes a part ``right column <kind> left column + distance``, if it is of that form."""
        kind = type(part)
        if kind is not exp.EQ and kind not in _TURNED:
            return None
        one, two = (_shifted(side) for side in (part.this, part.expression))
        if one is None or two is None:
            return None
        a, b = self.pair.column(one[0]), self.pair.column(two[0])
        if (a in self.ours) == (b in self.ours):
            return None
        if a in self.ours:
            return _TURNED.get(kind, kind), a, self._theirs(b), one[1] - two[1]
        return kind, b, self._theirs(a), two[1] - one[1]

    def _theirs(self, called: str) -> str:
        return next(column for column, name in self.called.items() if name == called)


def _schema(right: Relation | Table) -> pl.Schema:
    return right.schema if isinstance(right, Table) else right.frame.node.schema


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the parts that AND joins; BETWEEN as its two comparisons."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.this)
        yield from _conjuncts(condition.expression)
    elif isinstance(condition, exp.Between):
        yield exp.GTE(this=condition.this.copy(), expression=condition.args["low"].copy())
        yield exp.LTE(this=condition.this.copy(), expression=condition.args["high"].copy())
    else:
        yield condition


def _shifted(node: exp.Expr) -> tuple[exp.Column, dt.timedelta] | None:
    """Return a column and what an interval adds to it."""
    node = node.unnest()
    if isinstance(node, exp.Column):
        return node, _ZERO
    if isinstance(node, exp.Add | exp.Sub) and is_span(node.expression):
        below = _shifted(node.this)
        shift = span(node.expression, "join")
        return None if below is None else (below[0], below[1] + (shift if isinstance(node, exp.Add) else -shift))
    return None
