"""A case's query as a PySpark DataFrame. Only transform_with_state is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import add, and_, eq, ge, gt, le, lt, mod, mul, ne, or_, sub, truediv
from typing import Any

import pandas as pd

from tests.cases.state_programs import FUNCTIONS

_BINARY = {
    "+": add, "-": sub, "*": mul, "/": truediv, "%": mod,
    "==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip
_SAME_NAME = {"window", "window_time", "timestamp_seconds", "unix_micros", "unix_millis", "concat", "upper", "explode"}
_SAME_NAME |= {"split", "size", "coalesce", "current_timestamp"}
LEFT_OUT = {"transform_with_state", "except", "intersect", "sample"}


class Raw:
    """The queries of one case, said to Spark without a word of ours; ``inputs`` are streams and tables by name."""

    def __init__(self, spark: Any, case: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        self.inputs = inputs

    def frame(self, tree: Mapping[str, Any]) -> Any:
        return frame(tree, self.inputs)

    def cells(self, row: list[Any]) -> list[Any]:
        return row


def can_run(node: Any) -> bool:
    """Tell whether this oracle knows every verb of a query."""
    if isinstance(node, Mapping):
        return node.get("op") not in LEFT_OUT and all(map(can_run, node.values()))
    return not isinstance(node, list) or all(map(can_run, node))


def column(x: Any) -> Any:
    """Return the Spark column of an expression."""
    from pyspark.sql import functions as sql

    if x is None or isinstance(x, bool | int | float):
        return sql.lit(x)
    if isinstance(x, str):
        return sql.col(x)
    op, *rest = x
    if op in _BINARY:
        return _BINARY[op](column(rest[0]), column(rest[1]))
    if op in _SAME_NAME:
        plain = 1 if op in {"window", "split"} else len(rest)
        return getattr(sql, op)(*map(column, rest[:plain]), *rest[plain:])
    return _FORMS[op](sql, *rest)


def _if(sql: Any, condition: Any, then: Any, otherwise: Any) -> Any:
    return sql.when(column(condition), column(then)).otherwise(column(otherwise))


def _interval(sql: Any, text: str) -> Any:
    simple = re.fullmatch(r"\s*(\d+)\s+(\w+)\s*", text)
    return sql.expr(f"INTERVAL {simple[1]} {simple[2]}" if simple else f"INTERVAL '{text}'")


def _session_window(sql: Any, time: Any, gap: Any) -> Any:
    return sql.session_window(column(time), gap if isinstance(gap, str) else column(gap))


_FORMS: dict[str, Any] = {
    "lit": lambda sql, value: sql.lit(value),
    "lit_ts": lambda sql, text: sql.lit(text).cast("timestamp"),
    "interval": _interval,
    "div": lambda sql, a, b: sql.floor(column(a) / column(b)).cast("long"),
    "and": lambda _, *xs: reduce(and_, map(column, xs)),
    "or": lambda _, *xs: reduce(or_, map(column, xs)),
    "not": lambda _, x: ~column(x),
    "is_null": lambda _, x: column(x).isNull(),
    "is_not_null": lambda _, x: column(x).isNotNull(),
    "null_safe_eq": lambda _, a, b: column(a).eqNullSafe(column(b)),
    "between": lambda _, x, low, high: column(x).between(column(low), column(high)),
    "if": _if,
    "cast": lambda _, x, to: column(x).cast(to),
    "field": lambda _, x, name: column(x).getField(name),
    "session_window": _session_window,
}


def _named(item: Any) -> Any:
    return column(item) if isinstance(item, str) else column(item[1]).alias(item[0])


def _aggregate(alias: str, fn: str, *x: Any) -> Any:
    from pyspark.sql import functions as sql

    value = column(x[0]) if x else sql.lit(1)
    special = {
        "collect_set_size": lambda: sql.size(sql.collect_set(value)),
        "collect_list_sorted": lambda: sql.sort_array(sql.collect_list(value)),
    }
    return (special[fn]() if fn in special else getattr(sql, fn)(value)).alias(alias)


def frame(node: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Return the DataFrame of a query tree."""
    op = node["op"]
    if op in {"source", "static"}:
        return inputs[node["name"]]
    if op == "join":
        return _join(node, frame(node["left"], inputs), frame(node["right"], inputs))
    if op == "union":
        return reduce(lambda a, b: a.union(b), (frame(i, inputs) for i in node["inputs"]))
    return _VERBS[op](frame(node["input"], inputs), node)


def _join(node: Mapping[str, Any], left: Any, right: Any) -> Any:
    if "aliases" in node:
        left, right = left.alias(node["aliases"][0]), right.alias(node["aliases"][1])
    if "using" in node:
        return left.join(right, node["using"], node["how"])
    if node.get("on") is None:
        return left.crossJoin(right) if node["how"] == "cross" else left.join(right, how=node["how"])
    return left.join(right, column(node["on"]), node["how"])


def _sort(d: Any, node: Mapping[str, Any]) -> Any:
    return d.orderBy(*(column(name).desc() if way == "desc" else column(name).asc() for name, way in node["by"]))


def _group_agg(d: Any, node: Mapping[str, Any]) -> Any:
    return d.groupBy(*map(_named, node.get("keys", []))).agg(*(_aggregate(*a) for a in node["aggs"]))


def _map_groups(d: Any, node: Mapping[str, Any]) -> Any:
    """Run the very functions that run here, on Spark's state."""
    make, returns, remembers = FUNCTIONS[node["program"]]
    call: Any = make(node.get("params", {}))
    keys = node["keys"]
    names = [*keys, *(name.split()[0] for name in returns.split(", "))]
    types = dict(d.dtypes)

    def function(key: tuple[Any, ...], parts: Iterator[pd.DataFrame], state: Any) -> Iterator[pd.DataFrame]:
        rows = pd.concat(list(parts) or [pd.DataFrame()])
        yield pd.DataFrame([(*key, *out) for out in call(rows, _Snake(state))], columns=names)

    schema = ", ".join([*(f"{key} {types[key]}" for key in keys), returns])
    timeout = {"none": "NoTimeout", "processing_time": "ProcessingTimeTimeout", "event_time": "EventTimeTimeout"}
    mode, when = node.get("mode", "update"), timeout[node.get("timeout", "none")]
    return d.groupBy(*keys).applyInPandasWithState(function, schema, remembers, mode, when)


class _Snake:
    """Spark's GroupState by its names in snake_case."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __getattr__(self, name: str) -> Any:
        first, *rest = name.split("_")
        return getattr(self.state, first + "".join(map(str.capitalize, rest)))


_VERBS: dict[str, Any] = {
    "select": lambda d, n: d.select(*map(_named, n["cols"])),
    "with_column": lambda d, n: d.withColumn(n["name"], column(n["expr"])),
    "rename": lambda d, n: reduce(lambda f, pair: f.withColumnRenamed(*pair), n["map"], d),
    "drop": lambda d, n: d.drop(*n["cols"]),
    "filter": lambda d, n: d.filter(column(n["cond"])),
    "with_watermark": lambda d, n: d.withWatermark(n["col"], n["delay"]),
    "group_agg": _group_agg,
    "distinct": lambda d, _: d.distinct(),
    "drop_duplicates": lambda d, n: d.dropDuplicates(n.get("cols") or None),
    "drop_duplicates_within_watermark": lambda d, n: d.dropDuplicatesWithinWatermark(n.get("cols") or None),
    "map_groups": _map_groups,
    "sort": _sort,
    "limit": lambda d, n: d.limit(n["n"]),
}
