"""What the laws are tried on: every program, its twin in the oracle, and streams of rows that are hard on both.

A new operator or aggregate is one more line in `PROGRAMS`; all laws then hold for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import polars as pl
from hypothesis import settings
from hypothesis import strategies as st

import streamnb as sn
from streamnb.progress import Trace
from streamnb.query import Query
from tests.oracle import EPOCH, Each, FirstRows, Groups, Mark, Operator, Row, Told, Twin, Windows
from tests.play import cell

settings.register_profile("laws", deadline=None, derandomize=True, max_examples=4, database=None)
settings.load_profile("laws")

SCHEMA = {"ts": "datetime", "k": "string", "v": "int64", "x": "float64", "l": "list[int64]"}
Batches = list[tuple[list[Row], ...]]


# -- rows


def times(first_ms: int = -3_000) -> st.SearchStrategy[pd.Timestamp]:
    """Times around 1970, where Spark's watermark starts, some of them between two milliseconds."""
    parts = st.tuples(st.integers(first_ms, 60_000), st.sampled_from([0, 0, 0, 1, 999]))
    return parts.map(lambda part: EPOCH + pd.Timedelta(milliseconds=part[0]) + pd.Timedelta(microseconds=part[1]))


def table(time: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    row = st.fixed_dictionaries(
        {
            "ts": time,
            "k": st.sampled_from(["a", "b", "é", None]),
            "v": st.none() | st.integers(-3, 3),
            "x": st.none() | st.sampled_from([-1.0, 0.25, 1.5]),
            "l": st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3),
        }
    )
    return st.lists(row, max_size=6)


def streams(inputs: int, first_ms: int = -3_000, *, nulls: bool = True) -> st.SearchStrategy[Batches]:
    """Batches of rows, some of them empty, for so many inputs."""
    time = times(first_ms) | st.none() if nulls else times(first_ms)
    return st.lists(st.tuples(*[table(time)] * inputs), min_size=1, max_size=6)


# -- programs


@dataclass(frozen=True)
class Program:
    """A query, and its twin in the oracle."""

    name: str
    frame: Callable[..., sn.StreamFrame]
    twin: Callable[[], Twin]
    mode: str = "append"
    inputs: int = 1
    policy: str = "min"
    ordered: bool = True

    def open(self, sources: Sequence[sn.MemorySource], **options: Any) -> Query:
        return self.on(sources).query(self.mode, watermark_policy=self.policy, **options)

    def on(self, sources: Sequence[sn.MemorySource]) -> sn.StreamFrame:
        return self.frame(*map(sn.stream, sources))

    def sources(self) -> list[sn.MemorySource]:
        return [sn.MemorySource(SCHEMA) for _ in range(self.inputs)]

    @property
    def watermarked(self) -> bool:
        return bool(self.twin().marks)

    @property
    def stateless(self) -> bool:
        return not any(isinstance(operator, Groups) for operator in self.twin().operators)


class Span(sn.Aggregate):
    """An aggregate as a user writes one: the largest value less the smallest."""

    def init(self):
        return None

    def update(self, state, value):
        return state if value is None else self.merge(state, [value, value])

    def merge(self, a, b):
        return [min(a[0], b[0]), max(a[1], b[1])] if a and b else a or b

    def finish(self, state):
        return state and float(state[1] - state[0])


FOLDS: dict[str, Callable[..., Any]] = {
    "rows": sn.count,
    "first_known": lambda column: sn.first(column, ignore_nulls=True),
    "last_known": lambda column: sn.last(column, ignore_nulls=True),
    "quantile": lambda column: sn.quantile(column, 0.5),
    "span": Span,
}
FEW = {"n": ("rows",), "total": ("sum", "v"), "latest": ("max", "ts")}
EVERY = {
    **FEW,
    "known": ("count", "v"), "average": ("mean", "x"), "least": ("min", "k"), "most": ("max", "x"),
    "spread": ("var", "x"), "deviation": ("std", "v"), "head": ("first", "v"), "tail": ("last", "v"),
    "some": ("first_known", "k"), "other": ("last_known", "x"), "kinds": ("count_distinct", "v"),
    "about": ("approx_count_distinct", "v"), "list": ("collect_list", "v"), "set": ("collect_set", "v"),
    "at_least": ("min_by", "k", "x"), "at_most": ("max_by", "v", "ts"),
    "middle": ("quantile", "v"), "own": ("span", "v"),
}  # fmt: skip
ANY_ORDER = {"n": ("rows",), "total": ("sum", "v"), "average": ("mean", "x"), "set": ("collect_set", "v")}


def folds(aggregates: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    return {name: (FOLDS.get(how) or getattr(sn, how))(*of) for name, (how, *of) in aggregates.items()}


def grouped(
    name: str,
    aggregates: dict[str, tuple[str, ...]] = FEW,
    *,
    mode: str = "append",
    keys: tuple[str, ...] = (),
    window: tuple[str, ...] = (),
    delay: str | None = None,
    ends: str | None = None,
) -> Program:
    """Return a single aggregation as a program."""
    by = [sn.window("ts", *window)] if window else []

    def frame(rows: sn.StreamFrame) -> sn.StreamFrame:
        marked = rows if delay is None else rows.with_watermark("ts", delay)
        return marked.group_by(*by, *keys).agg(**folds(aggregates))

    def twin() -> Twin:
        windows = Windows("ts", *window) if window else None
        groups = Groups(mode, keys, aggregates, windows, ends, watermarked=delay is not None)
        return Twin([[*([] if delay is None else [Mark("ts", delay)]), groups]])

    return Program(name, frame, twin, mode)


def rowwise(name: str, frame: Callable[[sn.StreamFrame], sn.StreamFrame], work: Callable[[Row], Any]) -> Program:
    return Program(name, frame, lambda: Twin([[Each(work)]]))


def counted(mode: str = "append", size: str = "5s") -> Groups:
    return Groups(mode, ("k",), ANY_ORDER, Windows("ts", size))


def count(rows: sn.StreamFrame, size: str = "5s") -> sn.StreamFrame:
    return rows.group_by(sn.window("ts", size), "k").agg(**folds(ANY_ORDER))


def marked(*delays: str | None) -> list[list[Operator]]:
    return [[] if delay is None else [Mark("ts", delay)] for delay in delays]


def union(name: str, left: str, right: str | None, mode: str = "append", policy: str = "min") -> Program:
    def frame(a: sn.StreamFrame, b: sn.StreamFrame) -> sn.StreamFrame:
        return count(a.with_watermark("ts", left).union(b if right is None else b.with_watermark("ts", right)))

    def twin() -> Twin:
        return Twin(marked(left, right), [counted(mode)], policy={"min": min, "max": max}[policy])

    return Program(name, frame, twin, mode, inputs=2, policy=policy, ordered=False)


def over(rows: sn.StreamFrame) -> sn.StreamFrame:
    per_window = rows.with_watermark("ts", "3s").group_by(sn.window("ts", "5s"), "k").agg(n=sn.count())
    return per_window.group_by(sn.window(sn.window_time(), "15s")).agg(groups=sn.count(), n=sn.sum("n"))


def over_twin() -> Twin:
    lower = Groups("append", ("k",), {"n": ("rows",)}, Windows("ts", "5s"))
    time = Each(lambda row: [row | {"time": row["window_end"] - pd.Timedelta("1us")}])
    upper = Groups("append", (), {"groups": ("rows",), "n": ("sum", "n")}, Windows("time", "15s"))
    return Twin([[Mark("ts", "3s"), lower, time, upper]])


def positive(row: Row) -> list[Row]:
    return [row] if row["v"] is not None and row["v"] > 0 else []


def early(row: Row) -> list[Row]:
    return [row] if row["ts"] is not None and row["ts"] < EPOCH + pd.Timedelta("40s") else []


def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"k": rows["k"], "w": rows["v"] * 2})


PROGRAMS: list[Program] = [
    rowwise("filter", lambda f: f.filter(sn.col("v") > 0), positive),
    rowwise("select", lambda f: f.select("k", w=sn.col("v") + 1), lambda r: [{"k": r["k"], "w": _plus(r["v"], 1)}]),
    rowwise("with_columns", lambda f: f.with_columns(v=sn.col("v") * 2), lambda r: [r | {"v": _times(r["v"], 2)}]),
    rowwise("drop", lambda f: f.drop("ts", "x"), lambda r: [{n: v for n, v in r.items() if n not in {"ts", "x"}}]),
    rowwise("rename", lambda f: f.rename({"v": "w"}), lambda r: [{"w" if n == "v" else n: v for n, v in r.items()}]),
    rowwise("explode", lambda f: f.explode("l"), lambda r: [r | {"l": item} for item in r["l"] or []]),
    rowwise(
        "map_batches",
        lambda f: f.map_batches(doubled, {"k": "string", "w": "int64"}),
        lambda r: [{"k": r["k"], "w": _times(r["v"], 2)}],
    ),
    Program("limit", lambda f: f.limit(5), lambda: Twin([[FirstRows(5)]])),
    Program("union", lambda a, b: a.union(b), lambda: Twin([[], []]), inputs=2),
    Program("with_watermark", lambda f: f.with_watermark("ts", "3s"), lambda: Twin(marked("3s"))),
    grouped("tumbling append", EVERY, window=("5s",), keys=("k",), delay="3s"),
    grouped("tumbling update", mode="update", window=("5s",), keys=("k",), delay="3s"),
    grouped("tumbling complete", EVERY, mode="complete", window=("5s",), keys=("k",), delay="3s"),
    grouped("tumbling update without a watermark", mode="update", window=("5s",)),
    grouped("sliding append", window=("10s", "4s", "1s"), delay="3s"),
    grouped("sliding update", mode="update", window=("10s", "4s", "1s"), keys=("k",), delay="500ms"),
    grouped("windows with a negative start", window=("5s", "5s", "-2s"), delay="0s"),
    grouped("event time as key", keys=("ts",), delay="3s", ends="ts"),
    grouped("event time and another key", mode="update", keys=("ts", "k"), delay="3s", ends="ts"),
    grouped("keys update", EVERY, mode="update", keys=("k",)),
    grouped("keys complete", mode="complete", keys=("k", "x")),
    grouped("keys update below a watermark", mode="update", keys=("k",), delay="3s"),
    grouped("everything update", EVERY, mode="update"),
    grouped("everything complete", EVERY, mode="complete"),
    grouped("everything below a watermark", mode="update", delay="3s"),
    Program("aggregation over aggregation", over, over_twin),
    Program(
        "filter of another column",
        lambda f: count(f.with_watermark("ts", "3s").filter(sn.col("v") > 0)),
        lambda: Twin([[Each(positive), Mark("ts", "3s"), counted()]]),
    ),
    Program(
        "filter of the event time",
        lambda f: count(f.with_watermark("ts", "3s").filter(sn.col("ts") < sn.lit(EPOCH + pd.Timedelta("40s")))),
        lambda: Twin([[Mark("ts", "3s"), Each(early), counted()]]),
    ),
    Program(
        "filter of a group's key",
        lambda f: count(f.with_watermark("ts", "3s")).filter(sn.col("k") == "a"),
        lambda: Twin([[Each(lambda r: [r] if r["k"] == "a" else []), Mark("ts", "3s"), counted()]]),
    ),
    union("union min", "3s", "1s"),
    union("union max", "3s", "1s", mode="update", policy="max"),
    union("union with an unmarked stream", "3s", None),
]
NAMES = [program.name for program in PROGRAMS]


def _plus(value: Any, more: int) -> Any:
    return None if value is None else value + more


def _times(value: Any, factor: int) -> Any:
    return None if value is None else value * factor


# -- running both, and comparing


def feed(sources: Sequence[sn.MemorySource], batch: tuple[list[Row], ...]) -> None:
    """Give every source its rows of one batch."""
    sn.add({source: rows(table) for source, table in zip(sources, batch, strict=True)})


def rows(table: list[Row]) -> list[Row]:
    return [row | {"ts": None if row["ts"] is None else row["ts"].to_pydatetime()} for row in table]


def bag(table: list[Row], columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return rows in one order, values as comparable text, numbers to nine places."""
    return sorted(tuple(_cell(name, row[name]) for name in columns) for row in table)


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float):
        return cell(round(value, 9))
    return cell(sorted(value) if name == "set" else value)


def told(trace: Trace) -> dict[str, Any]:
    """Return what the engine tells of a batch, to be compared."""
    late = [row for step in trace.steps if step.late is not None for row in step.late.to_dicts()]
    return {
        "rows": bag(trace.emitted.to_dicts(), trace.emitted.columns),
        "late": _late(late),
        "watermark": None if trace.watermark is None else trace.watermark.isoformat(),
        "no_data": trace.no_data,
        "held": sum(step.num_rows_total for step in trace.steps),
    }


def twin_told(batch: Told, columns: Sequence[str]) -> dict[str, Any]:
    """Return what the oracle says of a batch, in the same form."""
    return {
        "rows": bag(batch.rows, columns),
        "late": _late(batch.dropped),
        "watermark": None if batch.watermark is None else batch.watermark.isoformat(),
        "no_data": batch.no_data,
        "held": batch.held,
    }


def _late(dropped: list[Row]) -> list[tuple[str, ...]]:
    return bag(dropped, [name for name in SCHEMA if dropped and name in dropped[0]])


def story(query: Query) -> list[dict[str, Any]]:
    """Return all batches of a query, to be compared."""
    return [told(trace) for trace in query.trace]


def everything(query: Query) -> list[Any]:
    """Return all that can be seen of a query, to be compared."""
    state = pl.from_pandas(query.state)
    result = pl.from_pandas(query.result)
    end = [bag(frame.to_dicts(), frame.columns) for frame in (result, state)]
    return [*story(query), *end, query.watermark]
