"""Random queries with random input, as cases: one seed, one program. Small numbers, so that things collide."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

Node = dict[str, Any]
ROWS = [["k", "string"], ["t", "int"], ["v", "int"]]
DELAYS = ["0 seconds", "3 seconds", "5 seconds", "10 seconds"]


def program(seed: int) -> Node:
    """Return the case of a seed: sources, a query, a mode, and batches of rows."""
    rng = random.Random(seed)  # noqa: S311  a program, not a secret
    shape = _SHAPES[seed % len(_SHAPES)]
    case = shape(rng)
    case["name"] = f"program_{seed}_{shape.__name__.strip('_')}"
    case.setdefault("conf", {})
    if rng.random() < 0.1:
        case["conf"]["no_data_micro_batches"] = False
    if rng.random() < 0.25:
        restart: Any = {"lost_commits": 1} if rng.random() < 0.4 else True
        case["steps"].insert(rng.randrange(1, len(case["steps"])), {"restart": restart})
    return case


def _case(rng: random.Random, query: Node, mode: str, *streams: str, pairs: bool = False, **static: Any) -> Node:
    """Return a case; ``pairs`` gives two streams rows that often meet."""
    sources: Node = {name: {"schema": ROWS} for name in streams}
    leaps, keys = ((0, 1, 3, 6, 15), "aaaab") if pairs else ((0, 2, 5, 8, 20), "aabbc")
    steps = _steps(rng, streams, leaps, [*keys, None])
    return {"sources": {**sources, **static}, "query": query, "output_mode": mode, "steps": steps}


def _steps(rng: random.Random, streams: tuple[str, ...], leaps: tuple[int, ...], keys: list[str | None]) -> list[Node]:
    """Return batches whose times go forward, with stragglers, leaps and empty batches."""
    steps, now = [], rng.randint(1, 12)
    for _ in range(rng.randint(4, 6)):
        names = [name for name in streams if rng.random() < 0.8] or list(streams[:1])
        steps.append({"add": {name: [_row(rng, now, keys) for _ in range(rng.randint(0, 5))] for name in names}})
        now += rng.choice(leaps)
    return steps


def _row(rng: random.Random, now: int, keys: list[str | None]) -> list[Any]:
    key = rng.choice(keys)
    time = max(0, now + rng.choice([0, 0, 1, 2, 3, 5, -2, -6, -15]))
    value = None if rng.random() < 0.08 else rng.randint(0, 6)
    return [key, None if rng.random() < 0.05 else time, value]


# -- pieces


def _source(name: str = "s") -> Node:
    return {"op": "source", "name": name}


def _verb(op: str, below: Node, **arguments: Any) -> Node:
    return {"op": op, "input": below, **arguments}


def _timed(rng: random.Random, below: Node, *, filters: bool = True) -> Node:
    """Give a stream its event time and watermark, with filters below or above it now and then."""
    if filters and rng.random() < 0.15:
        below = _verb("filter", below, cond=["is_not_null", "t"])
    below = _verb("with_column", below, name="et", expr=["timestamp_seconds", "t"])
    below = _verb("with_watermark", below, col="et", delay=rng.choice(DELAYS))
    if filters and rng.random() < 0.2:
        conditions: list[Any] = [[">", "v", 1], ["<", "et", ["timestamp_seconds", 30]], ["==", "k", ["lit", "a"]]]
        below = _verb("filter", below, cond=rng.choice(conditions))
    return below


def _window(rng: random.Random) -> list[Any]:
    size = rng.choice([4, 5, 10])
    slide = rng.choice([size, size, max(2, size // 2), 3])
    start = rng.choice([0, 0, 1, -1])
    return ["window", "et", f"{size} seconds", f"{slide} seconds", f"{start} seconds"]


def _aggregates(rng: random.Random) -> list[Any]:
    every: list[Any] = [["n", "count"], ["c", "count", "v"], ["s", "sum", "v"], ["lo", "min", "v"], ["hi", "max", "v"]]
    every += [["m", "avg", "v"], ["sd", "stddev_samp", "v"], ["vs", "collect_list_sorted", "v"]]
    every += [["d", "collect_set_size", "v"], ["p", "sum", ["*", "v", 2]], ["f", "first", "v"], ["l", "last", "v"]]
    return rng.sample(every, rng.randint(1, 3))


def _filtered(rng: random.Random, query: Node, *conditions: list[Any] | None) -> Node:
    """Put a filter on top now and then."""
    condition = rng.choice([*conditions, *([None] * 2 * len(conditions))])
    return query if condition is None else _verb("filter", query, cond=condition)


def _dictionary(rng: random.Random) -> Node:
    rows = [[k, rng.randint(1, 4)] for k in ("a", "a", "b", "d", None) if rng.random() < 0.8]
    return {"kind": "static", "schema": [["dk", "string"], ["g", "int"]], "rows": rows}


# -- shapes


def _windows(rng: random.Random) -> Node:
    more: list[Any] = rng.choice([[], ["k"], [["odd", ["%", "v", 2]]]])
    keys = [["w", _window(rng)], *more]
    query = _verb("group_agg", _timed(rng, _source()), keys=keys, aggs=_aggregates(rng))
    query = _filtered(
        rng, query, ["is_not_null", query["aggs"][0][0]], ["!=", "k", ["lit", "b"]] if "k" in keys else None
    )
    return _case(rng, query, rng.choice(["append", "update", "complete"]), "s")


def _groups(rng: random.Random) -> Node:
    below = _timed(rng, _source()) if rng.random() < 0.3 else _source()
    keys: list[Any] = rng.choice([[], ["k"], ["k", "v"], [["x", ["+", "v", 1]]]])
    query = _verb("group_agg", below, keys=keys, aggs=_aggregates(rng))
    mode = rng.choice(["update", "complete"])
    if mode == "complete" and rng.random() < 0.4:
        query = _verb("sort", query, by=[[name if isinstance(name, str) else name[0], "asc"] for name in keys] or [])
        query = query if keys else query["input"]
    return _case(rng, query, mode, "s")


def _times(rng: random.Random) -> Node:
    keys = rng.choice([["et"], ["et", "k"]])
    query = _verb("group_agg", _timed(rng, _source()), keys=keys, aggs=_aggregates(rng))
    return _case(rng, query, rng.choice(["append", "update"]), "s")


def _duplicates(rng: random.Random) -> Node:
    if rng.random() < 0.3:
        query = _verb("drop_duplicates", _source(), cols=rng.choice([[], ["k"], ["k", "v"]]))
    else:
        query = _verb("drop_duplicates", _timed(rng, _source()), cols=rng.choice([["k"], ["k", "et"], ["et"], []]))
    query = _filtered(rng, query, ["==", "k", ["lit", "a"]], [">", "v", 2])
    return _case(rng, query, rng.choice(["append", "update"]), "s")


def _duplicates_for_a_while(rng: random.Random) -> Node:
    cols = rng.choice([["k"], ["k", "v"], ["et"]])
    query = _verb("drop_duplicates_within_watermark", _timed(rng, _source()), cols=cols)
    query = _filtered(rng, query, ["==", "k", ["lit", "a"]], [">", "v", 2])
    return _case(rng, query, rng.choice(["append", "update"]), "s")


def _sessions(rng: random.Random) -> Node:
    gap: Any = f"{rng.choice([2, 4, 6])} seconds"
    if rng.random() < 0.4:
        gap = ["if", ["==", "k", ["lit", "a"]], ["lit", "2 seconds"], ["lit", "6 seconds"]]
    keys = [["w", ["session_window", "et", gap]], "k"]
    aggs = [a for a in _aggregates(rng) if a[1] not in {"first", "last"}]  # Spark sorts a session's rows by time
    query = _verb("group_agg", _timed(rng, _source()), keys=keys, aggs=aggs or [["n", "count"]])
    return _case(rng, query, rng.choice(["append", "append", "complete"]), "s")


def _two_streams_as_one(rng: random.Random) -> Node:
    both = [_timed(rng, _source("a")), _timed(rng, _source("b"))]
    query = {"op": "union", "inputs": both}
    above = rng.choice(["windows", "duplicates", "nothing"])
    if above == "windows":
        aggs = [["n", "count"], ["s", "sum", "v"]]
        query = _verb("group_agg", query, keys=[["w", _window(rng)], "k"], aggs=aggs)
    if above == "duplicates":
        query = _verb("select", _verb("drop_duplicates", query, cols=["k", "et"]), cols=["k", "t"])
    case = _case(rng, query, rng.choice(["append", "update"]), "a", "b")
    return case | {"conf": {"multiple_watermark_policy": rng.choice(["min", "max"])}}


def _with_a_table(rng: random.Random) -> Node:
    how = rng.choice(["inner", "left_outer", "left_semi", "left_anti"])
    below = _timed(rng, _source()) if rng.random() < 0.5 else _source()
    on: list[Any] = rng.choice([["==", "k", "dk"], ["and", ["==", "k", "dk"], [">", "v", "g"]]])
    query: Node = {"op": "join", "how": how, "on": on, "left": below, "right": {"op": "static", "name": "d"}}
    if how in {"inner", "left_outer"}:
        query = _filtered(rng, query, [">", "v", 1], ["<", "g", 4], ["is_null", "dk"])
    if rng.random() < 0.5:
        query = _verb("group_agg", query, keys=["k"], aggs=[["n", "count"], ["s", "sum", "v"]])
        return _case(rng, query, rng.choice(["update", "complete"]), "s", d=_dictionary(rng))
    return _case(rng, query, "append", "s", d=_dictionary(rng))


def _side(rng: random.Random, name: str, n: int) -> Node:
    cols = [[f"k{n}", "k"], [f"t{n}", ["timestamp_seconds", "t"]], [f"v{n}", "v"]]
    below = _verb("select", _source(name), cols=cols)
    return _verb("with_watermark", below, col=f"t{n}", delay=rng.choice(DELAYS))


def _joined(rng: random.Random, how: str) -> Node:
    left, right = _side(rng, "a", 1), _side(rng, "b", 2)
    conditions: list[Any] = [["==", "k1", "k2"]]
    bound = rng.choice(["range", "range", "time", "window"])
    if bound == "range":
        low, high = (["interval", f"{rng.choice([0, 2, 5])} seconds"] for _ in range(2))
        conditions.append(["between", "t2", ["-", "t1", low], ["+", "t1", high]])
    if bound == "time":
        conditions.append(["==", "t1", "t2"])
    if bound == "window":
        left, right = (_with_window(side, n) for n, side in ((1, left), (2, right)))
        conditions.append(["==", "w1", "w2"])
    if rng.random() < 0.4:
        conditions.append(rng.choice([["<=", "v1", ["+", "v2", 2]], [">", "v1", 1], ["<", "v2", 5]]))
    query: Node = {"op": "join", "how": how, "on": ["and", *conditions], "left": left, "right": right}
    if how == "left_semi":
        return _filtered(rng, query, [">", "v1", 1])
    # No filter on a key: Spark copies it to the other side's key, also below its watermark, and we do not.
    return _filtered(rng, query, [">", "v1", 1], ["is_null", "v2"], ["<", "v1", "v2"])


def _with_window(side: Node, n: int) -> Node:
    return _verb("select", side, cols=[f"k{n}", f"v{n}", [f"w{n}", ["window", f"t{n}", "5 seconds"]]])


def _pairs(rng: random.Random) -> Node:
    return _case(rng, _joined(rng, "inner"), rng.choice(["append", "append", "update"]), "a", "b", pairs=True)


def _pairs_and_singles(rng: random.Random) -> Node:
    how = rng.choice(["left_outer", "right_outer", "full_outer", "left_semi"])
    return _case(rng, _joined(rng, how), "append", "a", "b", pairs=True)


def _two_in_a_row(rng: random.Random) -> Node:
    first = rng.choice([["window", "et", "5 seconds"], ["session_window", "et", "3 seconds"]])
    below = _timed(rng, _source())
    below = _verb("group_agg", below, keys=[["w", first], "k"], aggs=[["n", "count"], ["s", "sum", "v"]])
    if rng.random() < 0.7:
        second = ["window", rng.choice(["w", ["window_time", "w"]]) if first[0] == "window" else ["window_time", "w"]]
        keys = [["w2", [*second, rng.choice(["10 seconds", "15 seconds"])]]]
        query = _verb("group_agg", below, keys=keys, aggs=[["m", "count"], ["n2", "sum", "n"]])
    else:
        below = _verb("with_column", below, name="wt", expr=["window_time", "w"])
        query = _verb("select", _verb("drop_duplicates", below, cols=["n", "wt"]), cols=["n", "wt"])
    return _case(rng, query, "append", "s")


def _pairs_counted(rng: random.Random) -> Node:
    left, right = _side(rng, "a", 1), _side(rng, "b", 2)
    high = ["interval", f"{rng.choice([2, 5])} seconds"]
    on = ["and", ["==", "k1", "k2"], ["between", "t2", "t1", ["+", "t1", high]]]
    query: Node = {"op": "join", "how": rng.choice(["inner", "left_outer"]), "on": on, "left": left, "right": right}
    keys = [["w", ["window", "t1", rng.choice(["5 seconds", "10 seconds"])]], "k1"]
    return _case(rng, _verb("group_agg", query, keys=keys, aggs=[["n", "count"]]), "append", "a", "b", pairs=True)


def _duplicates_counted(rng: random.Random) -> Node:
    op = rng.choice(["drop_duplicates", "drop_duplicates_within_watermark"])
    below = _verb(op, _timed(rng, _source()), cols=rng.choice([["k", "et"], ["k", "v"]]))
    window = ["session_window", "et", "3 seconds"] if rng.random() < 0.3 else _window(rng)
    query = _verb("group_agg", below, keys=[["w", window], "k"], aggs=[["n", "count"], ["s", "sum", "v"]])
    return _case(rng, query, rng.choice(["append", "append", "complete"]), "s")


def _the_first(rng: random.Random) -> Node:
    if rng.random() < 0.5:  # without a watermark: Spark stops reading at the limit, so later rows do not move it
        return _case(rng, _verb("limit", _source(), n=rng.randint(1, 6)), "append", "s")
    query = _verb("group_agg", _source(), keys=["k", "v"], aggs=[["n", "count"]])
    query = _verb("sort", query, by=[["n", "desc"], ["k", "asc"], ["v", "desc"]])
    return _case(rng, _verb("limit", query, n=rng.randint(1, 4)), "complete", "s")


def _state_of_ones_own(rng: random.Random) -> Node:
    """Return a program with state; its timeouts may come to lie behind the watermark, and then the query fails."""
    mode = rng.choice(["append", "update"])
    below = _timed(rng, _verb("filter", _source(), cond=["is_not_null", "t"]))
    timed, untimed = {"timeout": "event_time", "mode": mode}, {"timeout": "none", "mode": mode}
    choices: list[Any] = [
        ("max_event_time", {"delay_s": rng.choice([5, 12]), "time": "t"}, timed),
        ("event_session", {"gap_s": rng.choice([5, 12]), "time": "t"}, timed),
        ("running_count", {"reset_at": 3, "emit_on_reset": -1}, untimed),
        ("sum_until", {"col": "v", "limit": 9}, untimed),
    ]
    name, params, how = rng.choice(choices)
    return _case(rng, _verb("map_groups", below, keys=["k"], program=name, params=params, **how), mode, "s")


_SHAPES: tuple[Callable[[random.Random], Node], ...] = (
    _windows,
    _groups,
    _times,
    _duplicates,
    _duplicates_for_a_while,
    _sessions,
    _two_streams_as_one,
    _with_a_table,
    _pairs,
    _pairs_and_singles,
    _two_in_a_row,
    _pairs_counted,
    _duplicates_counted,
    _the_first,
    _state_of_ones_own,
)
