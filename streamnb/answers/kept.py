"""Kept: what an operator remembers, a page at a time, with what is new, changed and about to end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl

from streamnb.answers.asked import asked
from streamnb.answers.cards import clock
from streamnb.answers.sizes import Ledger, key_of
from streamnb.errors import PlanError, column_not_found, one_of
from streamnb.graph import Graph, StepStream
from streamnb.ops.group_by import GroupBy
from streamnb.ops.session import SessionGroupBy
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Opening, instant_of, least
from streamnb.progress import Trace
from streamnb.state import EXPIRES
from streamnb.time import Watermark, instant

Sign = Literal["", "new", "changed"]
_FAR = 2**60
_BACK = 200
"""Batches that are searched for the value that a row had before."""


@dataclass(frozen=True, eq=False)
class StatePage:
    """A page of what one operator kept after one batch.

    ``rows`` are keys and values, without columns of ours. Beside each row stand: in ``signs`` ``"new"`` or
    ``"changed"`` (in this batch) or nothing, in ``ends_next`` whether the next batch ends it, in ``ends`` the watermark
    that ends it (None: nothing does), in ``words`` when and why, in ``before`` the values that a changed row had (None:
    not known).

    ``total`` rows are kept, ``matched`` of them pass the filter; ``offset`` is that of the page's first. ``new``,
    ``changed`` and ``ending`` count over all rows, ``gone`` holds the first rows that the batch ended, of ``removed``.
    """

    operator: str
    batch_id: int
    keys: tuple[str, ...]
    rows: pl.DataFrame
    signs: tuple[Sign, ...]
    ends_next: tuple[bool, ...]
    ends: tuple[pd.Timestamp | None, ...]
    words: tuple[str, ...]
    before: tuple[Mapping[str, Any] | None, ...]
    offset: int
    total: int
    matched: int
    new: int
    changed: int
    ending: int
    removed: int
    gone: pl.DataFrame


@dataclass(frozen=True, eq=False)
class Order:
    """Which rows a page shows: sorted by a column, those that a filter meets, only what was touched or is ending."""

    sort: str | None = None
    descending: bool = False
    filter: nw.Expr | str | Mapping[str, Any] | Callable[[pl.DataFrame], pl.Series] | None = None
    touched: bool = False
    ending: bool = False
    offset: int = 0
    limit: int = 30


def stateful(graph: Graph) -> dict[str, StepStream]:
    """Return the operators that can be shown, by name: the verb, with its number where two have the same."""
    streams = [s for s in graph.streams if s.step.tables and s.node.verb != "limit" and s.step.state() is not None]
    verbs = [stream.node.verb for stream in streams]
    return {verb if verbs.count(verb) == 1 else f"{verb} {s.number}": s for verb, s in zip(verbs, streams, strict=True)}


def chosen(graph: Graph, operator: str | None) -> tuple[str, StepStream]:
    """Return one operator by name; the first that keeps anything, if none is named."""
    known = stateful(graph)
    if not known:
        raise PlanError("state: no operator of this query keeps anything; there is no state to show.", code="NO_STATE")
    name = next(iter(known)) if operator is None else operator
    if name not in known:
        raise one_of("state", "operator", name, known)
    return name, known[name]


def place_among_told(graph: Graph, stream: StepStream) -> int:
    """Return the place of an operator among the steps of a trace."""
    told = [s for s in graph.streams if s.node.remembers]
    return next(n for n, s in enumerate(told) if s is stream)


def page(
    name: str, stream: StepStream, traces: Sequence[Trace], ledger: Ledger, *, place: int, mode: str, order: Order
) -> StatePage:
    """Return a page of an operator's state as its tables hold it now, after the last of ``traces``."""
    state = stream.step.state()
    assert state is not None  # noqa: S101  chosen among those that have one
    trace, step = traces[-1], traces[-1].steps[place]
    size = ledger.follow(traces)[-1]
    next_ = _next_watermark(stream, trace)
    keys = key_of(stream.node)
    ending = pl.col(EXPIRES) <= (next_ if next_ is not None and _ends(stream, mode) else -_FAR)
    touched = step.changed() if step.num_rows_updated else state.clear()
    shown = _ordered(state.filter(ending) if order.ending else state, touched, keys, order)
    rows = shown.slice(order.offset, order.limit)
    signs = _signs(rows, touched, keys, ledger, len(traces) - 1)
    return StatePage(
        operator=name,
        batch_id=trace.batch_id,
        keys=keys or (),
        rows=rows.drop(EXPIRES),
        signs=signs,
        ends_next=tuple(rows.select(ending.fill_null(value=False)).to_series().to_list()),
        ends=_stamps(rows[EXPIRES], _time_type(stream)),
        words=tuple(_words(e, stream, mode, next_) for e in rows[EXPIRES]),
        before=_before(rows, signs, keys, traces, place),
        offset=order.offset,
        total=len(state),
        matched=len(shown),
        new=size.new,
        changed=size.changed,
        ending=int(state.select(ending.sum()).item() or 0),
        removed=step.num_rows_removed,
        gone=step.removed().head(order.limit) if step.num_rows_removed else pl.DataFrame(),
    )


def _stamps(ends: pl.Series, like: pl.DataType | None) -> tuple[pd.Timestamp | None, ...]:
    return tuple(None if end is None else pd.Timestamp(instant_of(end, like)) for end in ends)  # type: ignore[arg-type]


def _ordered(state: pl.DataFrame, touched: pl.DataFrame, keys: tuple[str, ...] | None, order: Order) -> pl.DataFrame:
    rows = state
    if order.touched and keys:
        rows = rows.join(touched.select(keys), on=keys, how="semi", nulls_equal=True)
    if callable(order.filter) and not isinstance(order.filter, nw.Expr):
        rows = rows.filter(order.filter(rows))
    elif order.filter is not None:
        what = asked(order.filter)
        if not what.fits(state.schema):
            raise column_not_found("state", next(n for n in what.columns if n not in state.schema), state.columns)
        rows = rows.filter(what.matches(rows.drop(EXPIRES)))
    if order.sort is None:
        return rows
    by = EXPIRES if order.sort == "expires_at" and order.sort not in state.columns else order.sort
    if by not in rows.columns:
        raise column_not_found("state", by, state.columns)
    return rows.sort(by, descending=order.descending, nulls_last=True, maintain_order=True)


def _signs(
    rows: pl.DataFrame, touched: pl.DataFrame, keys: tuple[str, ...] | None, ledger: Ledger, batch: int
) -> tuple[Sign, ...]:
    new = ledger.is_new(batch, rows)
    if not keys or not len(touched):  # rows without a name, or the one row of everything
        alone: Sign = "" if keys is None or not len(touched) else "new" if new.all() else "changed"
        return (alone,) * len(rows)
    numbered = rows.select(keys).with_row_index("\0n")
    hit = set(numbered.join(touched.select(keys), on=keys, how="semi", nulls_equal=True)["\0n"].to_list())
    signs: list[Sign] = ["" if n not in hit else "new" if new[n] else "changed" for n in range(len(rows))]
    return tuple(signs)


def _before(
    rows: pl.DataFrame, signs: Sequence[Sign], keys: tuple[str, ...] | None, traces: Sequence[Trace], place: int
) -> tuple[Mapping[str, Any] | None, ...]:
    """Return the values that changed rows had, from the batch that wrote them last before."""
    found: dict[int, Mapping[str, Any]] = {}
    if not keys or "changed" not in signs:
        return (None,) * len(rows)
    wanted = rows.select(keys).with_row_index("\0n").filter(np.array([s == "changed" for s in signs], bool))
    for trace in reversed(traces[-_BACK:-1]):
        if len(found) == len(wanted):
            break
        step = trace.steps[place]
        if step.num_rows_updated:
            old = wanted.join(step.changed(), on=list(keys), how="inner", nulls_equal=True)
            for row in old.iter_rows(named=True):
                found.setdefault(row.pop("\0n"), {n: v for n, v in row.items() if n not in keys})
    return tuple(found.get(n) for n in range(len(rows)))


# -- when and why a row ends


def _ends(stream: StepStream, mode: str) -> bool:
    """Tell whether anything ends the operator's state: in complete mode an aggregation keeps all."""
    return not (isinstance(stream.node, GroupBy) and mode == "complete")


def _next_watermark(stream: StepStream, trace: Trace) -> int | None:
    """Return the watermark that the next batch ends this operator's state by."""
    if trace.watermark_after is None:
        return None
    lag = lag_of(stream)
    return None if lag is None else instant(trace.watermark_after) - lag


def lag_of(stream: StepStream) -> int | None:
    """Return how far an operator's own watermark stays behind the query's; None where it has none."""
    inputs = [_output(upstream) for upstream in stream.upstreams]
    own = least(inputs)
    return None if own is None else _FAR - own


def _output(stream: StepStream) -> int | None:
    inputs = [_output(upstream) for upstream in stream.upstreams]
    if isinstance(stream.node, WithWatermark):
        return _FAR
    return stream.step.output_watermark(*inputs)


def _time_type(stream: StepStream) -> pl.DataType | None:
    marks = [node for node in stream.node.walk() if isinstance(node, WithWatermark)]
    return marks[0].schema[marks[0].event_time] if marks else None


def _words(end: int | None, stream: StepStream, mode: str, next_: int | None) -> str:
    if not _ends(stream, mode):
        return "never: complete mode keeps every group"
    if end is None:
        return "never: nothing in its key is event time under a watermark, or its time is null"
    if next_ is not None and end <= next_:
        return "in the next batch"
    zone = _time_type(stream)
    at = instant_of(end, zone)
    return f"when the watermark reaches {clock(at)}, the end of its {_what(stream)}{_after(end, stream, zone)}"


def _what(stream: StepStream) -> str:
    if isinstance(stream.node, SessionGroupBy):
        return "session"
    return "window" if isinstance(stream.node, GroupBy) and stream.node.window is not None else "time"


def _after(end: int, stream: StepStream, zone: pl.DataType | None) -> str:
    """Name the event time that moves the watermark there, where all inputs wait equally long."""
    delays = {node.delay for node in stream.node.walk() if isinstance(node, WithWatermark)}
    if len(delays) != 1:
        return ""
    at = end + (lag_of(stream) or 0) + delays.pop()
    return f", after a row of {clock(instant_of(at, zone), instant_of(end, zone))}"


def scratch(plan: Any, mode: str, tables: Sequence[pl.DataFrame]) -> Graph:
    """Return a graph that holds some tables, for looking at."""
    graph = Graph(plan, Opening(mode, Watermark()))
    for table, rows in zip([t for step in graph.steps for t in step.tables], tables, strict=True):
        table.restore(rows)
    return graph
