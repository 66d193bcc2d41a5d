"""forecast: what the recorded keys say about partitions and state, before a query moves to a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING, Any

import pandas as pd
import polars as pl

from streamnb import display
from streamnb.errors import PlanError, QueryError
from streamnb.graph import Graph
from streamnb.inputs import Inputs
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.read import Read
from streamnb.optimize import optimize
from streamnb.per_key import PerKey
from streamnb.plan import Batch, Node, Opening
from streamnb.spark.murmur import partitions as partition_of
from streamnb.time import SECOND, Watermark, spell
from streamnb.windows import START

if TYPE_CHECKING:
    from streamnb.query import Query

SALTS = (1, 2, 4, 8, 16)
_DAY = 86_400


def forecast(query: Query, partitions: int = 200, rate: float | None = None) -> Forecast:
    """Foretell how a query's rows and state spread over a cluster, from the keys that it has seen.

    The partition of a key is Spark's own: Murmur3 of the grouping columns, seed 42, modulo ``partitions``. All else is
    carried on from the recorded rows, and ``assumptions`` says how.

    Parameters
    ----------
    query
        A query that has run; its first operator with keys is looked at.
    partitions
        ``spark.sql.shuffle.partitions`` on the cluster.
    rate
        Rows a second to expect; if not given, the recorded rows over their span of event time.

    Returns
    -------
    Forecast
        Tables ``partitions`` (rows, keys and state of each), ``salting`` (the hottest partition's share if the keys had
        a salt) and ``day`` (state by the hour), and the ``assumptions``.

    >>> round(sn.forecast(query, partitions=4).hottest_share, 2)
    0.51
    """
    if partitions < 1:
        raise PlanError(f"forecast: partitions={partitions!r} is none; give 1 or more.", code="OPTION_INVALID")
    plan = query._optimized  # noqa: SLF001
    node = next((n for n in plan.walk() if isinstance(n, GroupBy | Deduplication | Join | PerKey)), None)
    if node is None:
        raise PlanError(
            "forecast: the query has no operator with keys, so nothing is shuffled and nothing remembered; "
            "Spark runs it on as many cores as its source has parts.",
            code="OPTION_INVALID",
        )
    keys = keys_of(node, _recorded(query, node))
    if not len(keys):
        raise QueryError(f"forecast: query {query.name!r} has read no rows to go by; run it on a sample first.")
    return Forecast(_Sample(node, keys, partitions, *_pace(query, node, rate, len(keys)), *_kept(query, node)))


# -- what was recorded


def _recorded(query: Query, node: Node) -> list[pl.DataFrame]:
    """Return the rows that have come to a node, by input."""
    offsets = dict(zip(map(id, query._inputs.sources), query._inputs.offsets.values(), strict=True))  # noqa: SLF001
    return [_run(below, offsets) for below in node.inputs]


def _run(plan: Node, offsets: dict[int, Any]) -> pl.DataFrame:
    graph = Graph(optimize(plan), Opening("batch", Watermark.of_a_table()))
    inputs = Inputs([node.source for node in plan.walk() if isinstance(node, Read)])
    ends = {n: offsets[id(source)] for n, source in enumerate(inputs.sources)}
    return graph.run(inputs.read(ends), Batch(pl.DataFrame())).rows


@singledispatch
def keys_of(node: Node, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the key that every row is sent by, a window as one column of two times."""
    raise NotImplementedError(node.verb)


@keys_of.register
def _(node: GroupBy, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    (given,) = rows
    window = node.window
    if window is not None:
        given = window.each(given, node.time, START)
        start = pl.col(START).cast(pl.Datetime("us"))
        edges = pl.struct(start.alias("start"), (start + pl.duration(microseconds=window.size)).alias("end"))
        given = given.with_columns(edges.alias(START))
    named = [
        node.keys.get(name, pl.col(name)) for name in node.key_columns if name in node.keys or _is_window(node, name)
    ]
    return given.select(named) if named else given.select(pl.lit(0).alias("all"))


def _is_window(node: GroupBy, name: str) -> bool:
    """A session is no part of what rows are sent by: its key's rows stay together."""
    return name == START and node.window is not None


@keys_of.register
def _(node: Deduplication, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return rows[0].select(node.columns)


@keys_of.register
def _(node: Join, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    sides = [side.select(pl.col(pair[n]).alias(pair[0]) for pair in node.keys) for n, side in enumerate(rows)]
    return pl.concat(sides, how="vertical_relaxed")


@keys_of.register
def _(node: PerKey, rows: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return rows[0].select(node.keys.values())


def _pace(query: Query, node: Node, rate: float | None, rows: int) -> tuple[float, str]:
    """Return the rows a second to reckon with, and where that is from."""
    if rate is not None:
        return float(rate), f"{rate:g} rows a second, as given"
    seconds = _span(query)
    found = rows / seconds if seconds else float(rows)
    return (
        found,
        f"{found:.3g} rows a second, the recorded rows over their {spell(int(seconds * SECOND))} of event time",
    )


def _span(query: Query) -> float:
    times = [p.event_time[end] for p in query.progress for end in ("min", "max") if end in p.event_time]
    return (max(times) - min(times)).total_seconds() if times else 0.0


def _kept(query: Query, node: Node) -> tuple[float | None, float]:
    """Return how many seconds a key is kept (None: for ever), and the bytes of a row of state."""
    told = [o for p in query.progress for o in p.state_operators if o.operator == node.verb and o.num_rows_total]
    size = sum(o.memory_used_bytes for o in told) / sum(o.num_rows_total for o in told) if told else 0.0
    marks = node.inputs[0].event_times.values()
    if not marks or (isinstance(node, GroupBy) and not node.event_times) or isinstance(node, PerKey):
        return None, size
    window = node.window.size if isinstance(node, GroupBy) and node.window is not None else 0
    return (max(mark.delay for mark in marks) + window) / SECOND, size


@dataclass(frozen=True)
class _Sample:
    """What the forecast goes by."""

    node: Node
    keys: pl.DataFrame
    count: int
    rate: float
    rate_from: str
    seconds_kept: float | None
    bytes_a_row: float


# -- what it says


class Forecast:
    """A forecast, not a measurement: tables, and the assumptions they rest on."""

    def __init__(self, sample: _Sample) -> None:
        self._sample = sample
        self._by_key = sample.keys.group_by(pl.all(), maintain_order=True).len("__rows")

    @property
    def partitions(self) -> pd.DataFrame:
        """A row a partition: rows and their share, keys, and the bytes of state they make after a day."""
        found = self._spread(1).to_pandas()
        each = self.state_bytes / max(1, len(self._by_key))
        return found.assign(share=found["rows"] / found["rows"].sum(), state_bytes=(found["keys"] * each).round())

    @property
    def salting(self) -> pd.DataFrame:
        """What a salt would do: as many values of it, the hottest partition's share, the partitions that get rows."""
        rows = []
        for salts in SALTS:
            counts = self._spread(salts)["rows"].to_numpy()
            rows.append((salts, float(counts.max() / counts.sum()), int((counts > 0).sum())))
        return pd.DataFrame(rows, columns=["salts", "hottest_share", "partitions_used"])

    @property
    def day(self) -> pd.DataFrame:
        """State by the hour over a day: rows and bytes."""
        hours = list(range(25))
        rows = [round(self._state_rows(hour * 3600)) for hour in hours]
        size = self._sample.bytes_a_row
        return pd.DataFrame({"hour": hours, "state_rows": rows, "state_bytes": [round(n * size) for n in rows]})

    @property
    def hottest_share(self) -> float:
        """The share of all rows that the busiest partition gets."""
        return float(self.salting["hottest_share"].iloc[0])

    @property
    def state_bytes(self) -> float:
        """The state after a day."""
        return self._state_rows(_DAY) * self._sample.bytes_a_row

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the forecast takes for granted."""
        s = self._sample
        kept = "for ever" if s.seconds_kept is None else f"for {spell(int(s.seconds_kept * SECOND))} of event time"
        return (
            f"{len(self._by_key):,} keys spread as the {len(s.keys):,} recorded rows of {s.node.describe()!r} do",
            s.rate_from,
            f"new keys keep coming as often as in the sample, {self._new_keys:.3g} a row",
            f"a key is kept {kept}",
            f"a row of state takes {s.bytes_a_row:.0f} bytes, as here; Spark's formats differ",
            "a salt splits the rows of a key evenly, and a second aggregation puts them together",
        )

    @property
    def _new_keys(self) -> float:
        return len(self._by_key) / len(self._sample.keys)

    def _state_rows(self, seconds: float) -> float:
        """Return the keys held after some seconds at the expected rate."""
        kept = self._sample.seconds_kept
        return self._sample.rate * self._new_keys * (seconds if kept is None else min(seconds, kept))

    def _spread(self, salts: int) -> pl.DataFrame:
        """Return the rows and keys of every partition, each key's rows split evenly over so many salts."""
        keys = self._by_key.drop("__rows")
        parts = []
        for salt in range(salts):
            salted = keys if salts == 1 else keys.with_columns(pl.lit(salt, pl.Int32).alias("__salt"))
            share = (self._by_key["__rows"] + (salts - 1 - salt)) // salts
            parts.append(pl.DataFrame({"partition": partition_of(salted, self._sample.count), "rows": share}))
        found = pl.concat(parts).filter(pl.col("rows") > 0).group_by("partition").agg(pl.sum("rows"), keys=pl.len())
        every = pl.DataFrame({"partition": range(self._sample.count)}, schema={"partition": pl.Int64})
        return every.join(found, on="partition", how="left").fill_null(0).sort("partition")

    def shares(self, salts: int = 1) -> list[float]:
        """Return the share of the rows that every partition gets, the largest first."""
        rows = self._spread(salts)["rows"]
        return (rows / rows.sum()).sort(descending=True).to_list()

    def over(self, partitions: int) -> Forecast:
        """Return the forecast for another number of partitions."""
        return Forecast(replace(self._sample, count=max(1, partitions)))

    def _ipython_display_(self) -> None:
        display.answer(self)

    def __repr__(self) -> str:
        used = int(self.salting["partitions_used"].iloc[0])
        return (
            f"Forecast: {used} of {self._sample.count} partitions get rows, the hottest {self.hottest_share:.1%} of "
            f"them; state after a day about {_size(self.state_bytes)}. It assumes: {'; '.join(self.assumptions)}."
        )


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
