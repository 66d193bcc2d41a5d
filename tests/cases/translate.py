"""A case's query, in the words of the public API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import narwhals as nw
import pandas as pd

import streamnb as sn
from tests.cases import state_programs
from tests.cases.expressions import expression, gap
from tests.cases.joins import join
from tests.cases.table import Column, Table, UnsayableError

WINDOW = ("window_start", "window_end")
_AGGREGATES = {"sum", "min", "max", "first", "last", "count_distinct"}
_OTHER_WORDS = {"avg": sn.mean, "stddev_samp": sn.std, "var_samp": sn.var}


def sources_of(case: Mapping[str, Any], zone: str | None = None) -> dict[str, Any]:
    """Return a memory source for every stream of a case, a pandas frame for every static table."""
    return {name: _source(spec, zone) for name, spec in case["sources"].items()}


def _source(spec: Mapping[str, Any], zone: str | None) -> Any:
    names = [name for name, _ in spec["schema"]]
    source = sn.MemorySource({name: _type(kind, zone) for name, kind in spec["schema"]})
    if spec.get("kind", "stream") == "stream":
        return source
    source.add([dict(zip(names, row, strict=True)) for row in spec["rows"]])
    return sn.stream(source).collect()


def _type(kind: str, zone: str | None) -> str:
    time = "datetime" if zone is None else f"datetime[{zone}]"
    return {"timestamp": time, "int": "int64", "long": "int64", "double": "float64"}.get(kind, kind)


def translate(node: Mapping[str, Any], sources: Mapping[str, Any], zone: str | None = None) -> Table:
    """Return the table that a query tree describes; times that are computed are in ``zone``."""
    op = node["op"]
    if op in {"source", "static"}:
        return _read(sources[node["name"]], zone)
    if op == "join":
        return join(node, translate(node["left"], sources, zone), translate(node["right"], sources, zone))
    if op == "union":
        return _union(*(translate(i, sources, zone) for i in node["inputs"]))
    if op not in _VERBS:
        raise UnsayableError(f"{op} is not a verb of the API")
    return _VERBS[op](translate(node["input"], sources, zone), node)


def _read(source: Any, zone: str | None) -> Table:
    frame = source if isinstance(source, pd.DataFrame) else sn.stream(source)
    names = frame.columns if isinstance(frame, pd.DataFrame) else frame.schema
    return Table(frame, tuple(Column(n, (n,)) for n in names), zone)


def _union(first: Table, *others: Table) -> Table:
    names = [h for c in first.columns for h in c.here]
    frame = first.frame.select(*names)
    for other in others:
        theirs = [h for c in other.columns for h in c.here]
        frame = frame.union(other.frame.select(*(nw.col(t).alias(n) for t, n in zip(theirs, names, strict=True))))
    return replace(first, frame=frame)


def _select(table: Table, node: Mapping[str, Any]) -> Table:
    columns = []
    windows = [item[1] for item in node["cols"] if _is_window(item)]
    if len(windows) > 1:
        table.frame.with_columns(*(sn.window(_time(x, table), *how) for _, x, *how in windows))
    for item in node["cols"]:
        name, x = (item, item) if isinstance(item, str) else item
        table, here = _computed(table, name, x)
        columns.append(Column(name, here))
    return replace(table, frame=table.frame.select(*(h for c in columns for h in c.here)), columns=tuple(columns))


def _is_window(item: Any) -> bool:
    return not isinstance(item, str) and not isinstance(item[1], str) and item[1][0] == "window"


def _with_column(table: Table, node: Mapping[str, Any]) -> Table:
    table, here = _computed(table, node["name"], node["expr"])
    kept = tuple(c for c in table.columns if c.name != node["name"])
    return replace(table, columns=(*kept, Column(node["name"], here)))


def _computed(table: Table, name: str, x: Any) -> tuple[Table, tuple[str, ...]]:
    """Return the table with a value computed, and its column or, of a window, its two."""
    if isinstance(x, str):
        column = table.find(x)
        if column is not None and column.is_window:
            return table, column.here
        if column is not None and name == x:
            return table, column.here
    here = table.fresh(name)
    if isinstance(x, list) and x[0] == "window":
        return table.windowed(_time(x[1], table), *x[2:]), WINDOW
    if isinstance(x, list) and x[0] == "explode":
        table = table.with_columns(**{here: expression(x[1], table)})
        return replace(table, frame=table.frame.explode(here)), (here,)
    return table.with_columns(**{here: expression(x, table)}), (here,)


def _time(x: Any, table: Table) -> Any:
    """Return the time that a window is over; of a window, its own time."""
    column = table.find(x) if isinstance(x, str) else None
    if column is not None and column.is_window:
        return expression(["window_time", x], table)
    return expression(x, table)


def _filter(table: Table, node: Mapping[str, Any]) -> Table:
    return replace(table, frame=table.frame.filter(expression(node["cond"], table)))


def _rename(table: Table, node: Mapping[str, Any]) -> Table:
    for old, new in node["map"]:
        columns = tuple(replace(c, name=new) if c.name == old else c for c in table.columns)
        table = replace(table, columns=columns)
        column = table.find(new)
        if column is not None and not column.is_window and new not in table.names:
            table = table.renamed({column.here[0]: new})
    return table


def _drop(table: Table, node: Mapping[str, Any]) -> Table:
    gone = [c for c in table.columns if c.name in node["cols"]]
    kept = tuple(c for c in table.columns if c not in gone)
    return replace(table, frame=table.frame.drop(*(h for c in gone for h in c.here)), columns=kept)


def _with_watermark(table: Table, node: Mapping[str, Any]) -> Table:
    return replace(table, frame=table.frame.with_watermark(table.one(node["col"]), node["delay"]))


def _group_agg(table: Table, node: Mapping[str, Any]) -> Table:
    by: list[Any] = []
    columns = []
    for key in node.get("keys", []):
        name, x = (key, key) if isinstance(key, str) else key
        found, here = _key(table, name, x)
        by += found
        columns.append(Column(name, here))
    aggregates = {alias: _aggregate(table, fn, *x) for alias, fn, *x in node["aggs"]}
    frame = table.frame.group_by(*by).agg(**aggregates)
    done = replace(table, frame=frame, columns=(*columns, *(Column(a, (a,)) for a in aggregates)))
    return done.with_columns(**finish) if (finish := _finish(node)) else done


def _key(table: Table, name: str, x: Any) -> tuple[list[Any], tuple[str, ...]]:
    if isinstance(x, list) and x[0] == "window":
        return [sn.window(_time(x[1], table), *x[2:])], WINDOW
    if isinstance(x, list) and x[0] == "session_window":
        return [sn.session_window(_time(x[1], table), gap=gap(x[2], table))], WINDOW
    column = table.find(x) if isinstance(x, str) else None
    if column is not None and (column.is_window or x == name):
        return list(column.here), column.here
    return [expression(x, table).alias(name)], (name,)


def _aggregate(table: Table, fn: str, *x: Any) -> Any:
    if fn == "count":
        return sn.count(*(expression(v, table) for v in x))
    (value,) = (expression(v, table) for v in x)
    if fn in {"collect_set_size", "collect_list_sorted"}:
        return sn.collect_set(value) if fn == "collect_set_size" else sn.collect_list(value)
    return getattr(sn, fn)(value) if fn in _AGGREGATES else _OTHER_WORDS[fn](value)


def _finish(node: Mapping[str, Any]) -> dict[str, nw.Expr]:
    sizes = {a: nw.col(a).list.len() for a, fn, *_ in node["aggs"] if fn == "collect_set_size"}
    return sizes | {a: nw.col(a).list.sort() for a, fn, *_ in node["aggs"] if fn == "collect_list_sorted"}


def _distinct(table: Table, _: Mapping[str, Any]) -> Table:
    return replace(table, frame=_seen(table).distinct())


def _seen(table: Table) -> Any:
    """Return the frame with just the columns that the case sees."""
    return table.frame.select(*(h for c in table.columns for h in c.here))


def _drop_duplicates(table: Table, node: Mapping[str, Any]) -> Table:
    frame = _seen(table)
    verb = getattr(frame, node["op"])
    if not node.get("cols"):
        return replace(table, frame=verb())
    return replace(table, frame=verb([h for name in node["cols"] for h in _here(table, name)]))


def _here(table: Table, name: str) -> tuple[str, ...]:
    column = table.find(name)
    return (name,) if column is None else column.here


def _sort(table: Table, node: Mapping[str, Any]) -> Table:
    columns = [table.one(name) for name, _ in node["by"]]
    return replace(table, frame=table.frame.sort(*columns, descending=[way == "desc" for _, way in node["by"]]))


def _limit(table: Table, node: Mapping[str, Any]) -> Table:
    return replace(table, frame=table.frame.limit(node["n"]))


def _map_groups(table: Table, node: Mapping[str, Any]) -> Table:
    return _of_frame(table, state_programs.map_groups(_seen(table), node))


def _transform_with_state(table: Table, node: Mapping[str, Any]) -> Table:
    return _of_frame(table, state_programs.transform_with_state(_seen(table), node))


def _of_frame(table: Table, frame: Any) -> Table:
    return replace(table, frame=frame, columns=tuple(Column(n, (n,)) for n in frame.schema))


_VERBS = {
    "select": _select,
    "with_column": _with_column,
    "filter": _filter,
    "rename": _rename,
    "drop": _drop,
    "with_watermark": _with_watermark,
    "group_agg": _group_agg,
    "distinct": _distinct,
    "drop_duplicates": _drop_duplicates,
    "drop_duplicates_within_watermark": _drop_duplicates,
    "sort": _sort,
    "limit": _limit,
    "map_groups": _map_groups,
    "transform_with_state": _transform_with_state,
}
