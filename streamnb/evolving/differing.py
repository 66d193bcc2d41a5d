"""Differing: two queries over the same batches, row by row, with what made every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl

from streamnb import display
from streamnb.answers.cards import NOTE, YES, Card, Line, plural
from streamnb.answers.lineage import ROWS, Recording, carried, ids_in, streams_of
from streamnb.errors import QueryError
from streamnb.evolving.forking import Forking
from streamnb.graph import Graph
from streamnb.judging import altered
from streamnb.params import giving
from streamnb.plan import Batch, Opening, RowWise
from streamnb.sinks.memory import latest
from streamnb.time import instant

BATCH = "\0batch"
What = Literal["only a", "only b", "differs"]
Ids = frozenset[int]
Named = dict[Any, list[tuple[int, dict[str, Any], Ids]]]


@dataclass(frozen=True, eq=False)
class Difference:
    """One row: ``what`` (``"only a"``, ``"only b"`` or ``"differs"``), the batches that gave it out, and the cause."""

    what: What
    cause: str
    a: Mapping[str, Any] | None
    b: Mapping[str, Any] | None
    batches: tuple[int | None, int | None]
    ids: Ids = field(repr=False)


@dataclass(frozen=True, eq=False)
class Differences(Card):
    """Two runs compared over the batches that both have done: how many rows are the ``same``, and every other one.

    ``given_out`` is how many rows both gave out, by batch.
    """

    names: tuple[str, str]
    batches: tuple[int, int]
    same: int
    differences: tuple[Difference, ...]
    given_out: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    __repr__ = Card.__repr__

    def _ipython_display_(self) -> None:
        display.answer(self)

    @property
    def equal(self) -> bool:
        """Whether the two gave out the same rows."""
        return not self.differences

    @property
    def causes(self) -> dict[str, int]:
        """How many differences each cause has."""
        return dict(Counter(difference.cause for difference in self.differences))

    @property
    def title(self) -> str:
        a, b = self.names
        over = f"over batches {self.batches[0]} to {self.batches[1]}"
        if self.equal:
            return f"{a} and {b} agree {over}: {plural(self.same, 'row')}."
        return f"{a} (a) and {b} (b) differ in {plural(len(self.differences), 'row')} {over}; {self.same:,} agree."

    @property
    def lines(self) -> tuple[Line, ...]:
        told = tuple(Line(NOTE, f"{plural(count, 'row')}: {cause}") for cause, count in self.causes.items())
        return told or (Line(YES, "the same rows in the same places"),)

    @property
    def table(self) -> pd.DataFrame:
        """A row a difference: what, cause, both rows as text, and the batches that gave them out."""
        rows = [(d.what, d.cause, _told(d.a), _told(d.b), *d.batches) for d in self.differences]
        table = pd.DataFrame(rows, columns=["what", "cause", "a", "b", "batch_a", "batch_b"])
        return table.astype({"batch_a": "Int64", "batch_b": "Int64"})


def _told(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else ", ".join(f"{name}={value}" for name, value in row.items())


def diff(a: Forking, b: Forking) -> Differences:
    """Compare what two queries gave out over the batches that both have done, row by row, each with its cause.

    They are a query and its fork, or two queries whose batches read the same input. Rows that have a key (of a group or
    a window) are compared by it, others by the rows of the input that they are made of. The cause says what the one did
    to a row of the input and the other did not: a filter left it out, it was late, it is still held; or what is
    computed otherwise, and the params and versions of rules where those differ.

    State: none; the input of those batches is read again, and functions of your own are called again. Errors: a
    QueryError for queries whose batches did not read the same. Spark: none.

    >>> late = hourly.with_columns(n=sn.col("n") * 2)
    >>> other = query.fork(at_batch=10, query=late, name="doc fork").run()
    >>> len(sn.diff(query, other).table)
    7
    """
    return _Comparison(a, b).result


class _Run:
    """One query's batches run once more, every row of the input numbered."""

    def __init__(self, query: Forking, first: int, last: int) -> None:
        self.query, self.recording = query, query.recording()
        traces = self.recording.traces
        self.at = [number for number, trace in enumerate(traces) if first <= trace.batch_id <= last]
        self.offset = int(self.recording.starts[self.at[0] * len(self.recording.sources)]) if self.at else 0
        self.late: set[int] = set()
        self.left_out: dict[int, str] = {}
        self.rows = self._named(*self._again())
        self.held = self._held
        traces, emitted = self.recording.traces, self.recording.emitted
        self.given_out = {traces[number].batch_id: len(emitted[number]) for number in self.at}

    def _again(self) -> tuple[list[pl.DataFrame], list[int]]:
        """Run the batches; return what came out with the numbers of its rows, and of which batch."""
        recording, out, batches = self.recording, list[pl.DataFrame](), list[int]()
        graph = Graph(carried(recording.plan), Opening(recording.output_mode, recording.watermark.like()))
        for number, trace in enumerate(recording.traces[: self.at[-1] + 1 if self.at else 0]):
            self._marked(graph, trace.batch_id)
            batch = Batch(pl.DataFrame(), id=trace.batch_id, time=instant(trace.time))
            giving(trace.given, partial(graph.run, recording.numbered(number), batch))
            for table in graph.tables:
                table.commit()
            self._note(graph)
            if number in self.at and graph.top.out is not None:
                out.append(_with_ids(recording.emitted[number], graph.top.out.rows, recording.plan.key))
                batches.append(trace.batch_id)
        states = [s.step.state() for s in streams_of(graph)]
        self._held = {n - self.offset for state in states if state is not None for n in ids_in(state).tolist()}
        return out, batches

    def _marked(self, graph: Graph, batch_id: int) -> None:
        """Have a batch judged by the watermark that it ran with."""
        past = self.query._journal.past  # noqa: SLF001
        _, _, *asked = graph.watermark.snapshot()
        before = past[batch_id - 1].watermark if batch_id - 1 in past else 0
        graph.watermark.restore((before, past[batch_id].watermark, *asked))

    def _note(self, graph: Graph) -> None:
        """Note which rows were late, and which a verb that looks at rows one by one left out."""
        for stream in streams_of(graph):
            if stream.out is None:
                continue
            trace = stream.out.trace
            if trace is not None and trace.late is not None:
                self.late |= {n - self.offset for n in ids_in(trace.late).tolist()}
            if isinstance(stream.node, RowWise) and stream.upstreams and stream.upstreams[0].out is not None:
                gone = np.setdiff1d(ids_in(stream.upstreams[0].out.rows), ids_in(stream.out.rows))
                self.left_out |= {int(n) - self.offset: stream.node.describe() for n in gone}

    def _named(self, out: Sequence[pl.DataFrame], batches: Sequence[int]) -> Named:
        mode, key = self.recording.output_mode, self.recording.plan.key
        marked = [rows.with_columns(pl.lit(n, pl.Int64).alias(BATCH)) for n, rows in zip(batches, out, strict=True)]
        if not marked:
            return {}
        table = marked[-1] if mode == "complete" else pl.concat(marked, how="diagonal_relaxed")
        if mode == "update" and key is not None:
            table = latest(marked, key)
        named: Named = {}
        for row in table.iter_rows(named=True):
            batch, ids = row.pop(BATCH), frozenset(n - self.offset for n in row.pop(ROWS) or ())
            name = tuple(row[n] for n in key) if key is not None else ids or tuple(map(str, row.values()))
            named.setdefault(name, []).append((batch, row, ids))
        return named

    def fate(self, ids: Ids) -> str:
        """Tell what this run did with rows that it has not, and the other one has."""
        for what, found in (
            ("late", ids & self.late),
            ("left out", ids & self.left_out.keys()),
            ("still held", ids & self.held),
        ):
            if found:
                by = f" by {self.left_out[min(found)]}" if what == "left out" else ""
                return f"{plural(len(found), 'row')} {what}{by}"
        return "other rows"


def _with_ids(emitted: pl.DataFrame, numbered: pl.DataFrame, key: tuple[str, ...] | None) -> pl.DataFrame:
    """Return the rows that a batch gave out, each with the numbers of the rows it is made of."""
    ids = pl.List(pl.Int64())
    if key is None and len(emitted) == len(numbered):
        return emitted.with_columns(numbered[ROWS])
    if key is None or not len(numbered):
        return emitted.with_columns(pl.lit(None, ids).alias(ROWS))
    return emitted.join(numbered.select(*key, ROWS), on=list(key), how="left", nulls_equal=True, maintain_order="left")


class _Comparison:
    def __init__(self, a: Forking, b: Forking) -> None:
        self.queries = a, b
        first, last = self._common()
        self.batches = first, last
        self.a, self.b = (_Run(query, first, last) for query in self.queries)

    def _common(self) -> tuple[int, int]:
        """Return the first and last batch that both have done; they must have read the same."""
        ranges = [{p.batch_id: [s.end_offset for s in p.sources] for p in query.recording().progress}
                  for query in self.queries]  # fmt: skip
        common = sorted(set(ranges[0]) & set(ranges[1]))
        a, b = (query.name for query in self.queries)
        if not common:
            raise QueryError(f"diff: {a!r} and {b!r} have no batch in common yet; run both.")
        other = next((n for n in common if ranges[0][n] != ranges[1][n]), None)
        if other is not None:
            raise QueryError(
                f"diff: batch {other} of {a!r} read up to {ranges[0][other]} and that of {b!r} up to "
                f"{ranges[1][other]}; make the one by fork() of the other."
            )
        return common[0], common[-1]

    @cached_property
    def result(self) -> Differences:
        found = tuple(self._differences())
        count = sum(map(len, self.a.rows.values()))
        same = count - sum(d.what != "only b" for d in found)
        a, b = (query.name for query in self.queries)
        counts = [run.given_out for run in (self.a, self.b)]
        given_out = {batch: (counts[0][batch], counts[1][batch]) for batch in counts[0]}
        return Differences((a, b), self.batches, same, found, given_out)

    def _differences(self) -> Iterator[Difference]:
        for name in dict.fromkeys([*self.a.rows, *self.b.rows]):
            ours, theirs = self.a.rows.get(name, []), self.b.rows.get(name, [])
            for at in range(max(len(ours), len(theirs))):
                one, two = (rows[at] if at < len(rows) else None for rows in (ours, theirs))
                if one is None or two is None or _plain(one[1]) != _plain(two[1]):
                    yield self._difference(one, two)

    def _difference(self, a: Any, b: Any) -> Difference:
        what: What = "only a" if b is None else "only b" if a is None else "differs"
        mine, theirs = (row[2] if row is not None else frozenset() for row in (a, b))
        batches = (None if a is None else a[0], None if b is None else b[0])
        rows = (None if a is None else a[1], None if b is None else b[1])
        return Difference(what, self._cause(mine, theirs, batches), *rows, batches, mine ^ theirs)

    def _cause(self, a: Ids, b: Ids, batches: tuple[int | None, int | None]) -> str:
        if a - b:
            return f"b: {self.b.fate(a - b)}"
        if b - a:
            return f"a: {self.a.fate(b - a)}"
        return self._given(batches) or self._logic

    def _given(self, batches: tuple[int | None, int | None]) -> str:
        """Tell of params and versions of rules that differ between the batches that decided."""
        both = [_given_of(run.recording, batch) for run, batch in zip((self.a, self.b), batches, strict=True)]
        unlike = [name for name in both[0] if both[0][name] != both[1].get(name)]
        return ", ".join(f"a went by {n}={both[0][n]}, b by {both[1].get(n)}" for n in unlike)

    @cached_property
    def _logic(self) -> str:
        logics = [query._shape.logic for query in self.queries]  # noqa: SLF001
        changes = [f"{was or 'nothing'} → {now or 'nothing'}" for was, now in altered(*logics)]
        if changes:
            return f"computed otherwise: {'; '.join(changes)}"
        return "computed otherwise" if self.a.recording.plan.key is None else "what was open when they parted"


def _given_of(recording: Recording, batch: int | None) -> dict[str, str]:
    given = next((trace.given for trace in recording.traces if trace.batch_id == batch), {})
    return {name: str(getattr(value, "number", value)) for name, value in given.items()}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 9) if isinstance(value, float) else repr(value) for name, value in row.items()}
