"""Joins of the cases: the condition taken apart into keys, a range of time, and what is left."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_
from typing import Any

import narwhals as nw

import streamnb as sn
from tests.cases.expressions import expression, interval, type_of
from tests.cases.table import Column, Table, UnsayableError

_HOW = {
    "left_outer": "left", "right_outer": "right", "full_outer": "full",
    "left_semi": "semi", "left_anti": "anti",
}  # fmt: skip
_MIRRORED = {"left": "right", "right": "left"}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass
class Condition:
    """What a join's condition says: equal columns, a range of time, the rest."""

    left_on: list[str] = field(default_factory=list)
    right_on: list[str] = field(default_factory=list)
    times: tuple[str, str] | None = None
    after: tuple[dt.timedelta, bool] | None = None
    before: tuple[dt.timedelta, bool] | None = None
    where: list[Any] = field(default_factory=list)

    def within(self) -> Any:
        assert self.times is not None
        left, right = self.times
        closed = {(True, True): "both", (True, False): "left", (False, True): "right", (False, False): "none"}
        low, high = self.after or (None, True), self.before or (None, True)
        return sn.between(right, after=low[0], before=high[0], of=left, closed=closed[low[1], high[1]])


def join(node: Mapping[str, Any], left: Table, right: Table) -> Table:
    """Return the table of a join; a static table goes to the right, as the API has it."""
    how = _HOW.get(node["how"], node["how"])
    for alias, side in zip(node.get("aliases", ()), ("left", "right"), strict=False):
        left, right = (left.aliased(alias), right) if side == "left" else (left, right.aliased(alias))
    if not left.is_static:
        joined = _join(node, left, right, how)
        return joined if how not in {"semi", "anti"} else replace(joined, columns=joined.columns[: len(left.columns)])
    if how in {"semi", "anti"} or right.is_static:
        raise UnsayableError(f"a {how} join that gives out rows of a static table")
    mirrored = _join(node, right, left, _MIRRORED.get(how, how))
    return replace(mirrored, columns=_left_first(mirrored, right, left))


def _left_first(joined: Table, first: Table, second: Table) -> tuple[Column, ...]:
    shared = len(first.columns) + len(second.columns) - len(joined.columns)
    keys, rest = joined.columns[:shared], joined.columns[shared:]
    cut = len(first.columns) - shared
    return (*keys, *rest[cut:], *rest[:cut])


def _join(node: Mapping[str, Any], left: Table, right: Table, how: str) -> Table:
    if "using" in node:
        return _using(node["using"], left, right, how)
    right = right.without_names(left.names)
    condition = Condition()
    for part in _conjuncts(node.get("on")):
        left, right = _sort_out(part, left, right, condition)
    both = replace(left, columns=(*left.columns, *right.columns))
    options: dict[str, Any] = {}
    if condition.left_on:
        options |= {"left_on": condition.left_on, "right_on": condition.right_on}
    if condition.times is not None:
        options["within"] = condition.within()
    if condition.where:
        options["where"] = reduce(and_, (_over_both(x, both, left, right) for x in condition.where))
    return replace(both, frame=left.frame.join(right.frame, how=how, **options))


def _using(names: list[str], left: Table, right: Table, how: str) -> Table:
    keys = {c.name: c for c in left.columns if c.name in names}
    theirs = {c.name: c for c in right.columns if c.name in names}
    right = right.without_names(set(left.names) - {h for c in theirs.values() for h in c.here})
    theirs = {c.name: c for c in right.columns if c.name in names}
    right = right.renamed({t: h for n in names for t, h in zip(theirs[n].here, keys[n].here, strict=True)})
    on = [h for n in names for h in keys[n].here]
    rest = (c for side in (left, right) for c in side.columns if c.name not in names)
    joined = left.frame.join(right.frame, on=on, how=how)
    return replace(left, frame=joined, columns=(*(keys[n] for n in names), *rest))


def _conjuncts(x: Any) -> Iterator[Any]:
    if x is None:
        return
    if x[0] == "and":
        for part in x[1:]:
            yield from _conjuncts(part)
    elif x[0] == "between":
        yield from ([">=", x[1], x[2]], ["<=", x[1], x[3]])
    else:
        yield x


def _sort_out(x: Any, left: Table, right: Table, condition: Condition) -> tuple[Table, Table]:
    """Put one conjunct where it belongs."""
    op, *sides = x
    if op == "==" and len(sides) == 2:
        if _reads(sides[0], right) and _reads(sides[1], left):
            sides.reverse()
        if _reads(sides[0], left) and _reads(sides[1], right):
            left, ours = _key(sides[0], left)
            right, theirs = _key(sides[1], right)
            condition.left_on += ours
            condition.right_on += theirs
            return left, right
    if op not in _TURNED or right.is_static or not _bound(op, sides, left, right, condition):
        condition.where.append(x)
    return left, right


def _key(x: Any, table: Table) -> tuple[Table, list[str]]:
    column = table.find(x) if isinstance(x, str) else None
    if column is not None:
        return table, list(column.here)
    name = table.fresh("key")
    if table.is_static:
        raise UnsayableError("a computed key of a static table")
    return table.with_columns(**{name: expression(x, table)}), [name]


def _bound(op: str, sides: list[Any], left: Table, right: Table, condition: Condition) -> bool:
    """Read ``right + b op left + a`` as a bound on right − left; False if the conjunct is no such thing."""
    x, y = sides
    if _reads(x, left) and _reads(y, right):
        op, x, y = _TURNED[op], y, x
    theirs, ours = _shifted(x, right), _shifted(y, left)
    if theirs is None or ours is None:
        return False
    times = ours[0], theirs[0]
    if condition.times not in {None, times}:
        return False
    condition.times = times
    bound = ours[1] - theirs[1], op in {"<=", ">="}
    if op in {">", ">="}:
        condition.after = bound
    else:
        condition.before = bound
    return True


def _shifted(x: Any, table: Table) -> tuple[str, dt.timedelta] | None:
    """Read ``time``, ``time + interval``, ``time - interval`` on one side."""
    shift = dt.timedelta(0)
    if isinstance(x, list) and x[0] in {"+", "-"} and isinstance(x[2], list) and x[2][0] == "interval":
        shift = interval(x[2][1]) if x[0] == "+" else -interval(x[2][1])
        x = x[1]
    if isinstance(x, list) and x[0] == "field":
        column = table.find(x[1])
        return None if column is None else (column.here[x[2] == "end"], shift)
    if not isinstance(x, str) or table.find(x) is None or not isinstance(type_of(x, table), nw.Datetime):
        return None
    return table.one(x), shift


def _reads(x: Any, table: Table) -> bool:
    """Tell whether an expression reads columns of this table, and no others."""
    names = list(_names(x))
    return bool(names) and all(table.find(name) is not None for name in names)


def _names(x: Any) -> Iterator[str]:
    if isinstance(x, str):
        yield x
    elif isinstance(x, list) and x[0] == "field":
        yield x[1]
    elif isinstance(x, list) and x[0] == "cast":
        yield from _names(x[1])
    elif isinstance(x, list) and x[0] not in {"lit", "lit_ts", "interval"}:
        for part in x[1:]:
            yield from _names(part)


def _over_both(x: Any, both: Table, left: Table, right: Table) -> nw.Expr:
    """Return a condition on the joined rows; its types are those of the two sides put side by side."""
    schema = {**_schema(left), **_schema(right)}
    return expression(x, replace(both, frame=sn.stream(sn.MemorySource(schema))))


def _schema(table: Table) -> dict[str, Any]:
    if not table.is_static:
        return dict(table.frame.schema)
    source = nw.from_native(table.frame, eager_only=True)
    return dict(source.schema)
