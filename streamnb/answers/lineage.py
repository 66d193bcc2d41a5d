"""Lineage: which rows of the input went where, told by running a query's batches again with their rows numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, ClassVar

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.connect import Source
from streamnb.folds import CollectList, Parts
from streamnb.graph import Graph, StepStream
from streamnb.inputs import Inputs
from streamnb.ops.columns import Drop
from streamnb.ops.group_by import GroupBy
from streamnb.ops.join import Join
from streamnb.ops.read import Read
from streamnb.ops.select import Select
from streamnb.ops.with_watermark import WithWatermark
from streamnb.params import giving
from streamnb.plan import Batch, Node, Opening, RowWise
from streamnb.progress import Progress, Trace
from streamnb.schema import polars_schema
from streamnb.time import Watermark, instant

ROWS = "\0rows"
"""The column of row numbers that every row carries: a list, since a result may come of many rows."""
_THEIRS = f"{ROWS}_right"
_NUMBERS = pl.List(pl.Int64())

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a query has read and done so far, enough to run its batches again.

    ``plan`` is the plan that runs. Rows are read again from the sources, which promise to give the same ones; functions
    of the user's own are called again. ``emitted`` are the rows that each batch gave out. ``let_go`` batches before
    them are no longer told of.
    """

    plan: Node
    output_mode: str
    watermark: Watermark
    sources: tuple[Source, ...]
    traces: tuple[Trace, ...]
    progress: tuple[Progress, ...]
    emitted: tuple[pl.DataFrame, ...]
    let_go: int = 0

    def read(self, number: int) -> tuple[pl.DataFrame, ...]:
        """Return the rows of the ``number``-th batch, one frame a source."""
        told = self.progress[number].sources
        inputs = Inputs(self.sources)
        inputs.rewind({n: source.start_offset for n, source in enumerate(told)})
        rows = inputs.read({n: source.end_offset for n, source in enumerate(told)}, [])
        return tuple(rows[id(source)] for source in self.sources)

    @property
    def from_the_beginning(self) -> bool:
        """Whether the first batch is here: none was let go of, and the query did not go on from a checkpoint."""
        return not self.traces or not self.traces[0].batch_id

    @property
    def missing(self) -> str:
        """What is not here, as words; nothing where all is."""
        if self.from_the_beginning:
            return ""
        first = self.traces[0].batch_id
        if self.let_go:
            return f"Batches before {first} were let go of: what they read is not known here."
        return f"What came before batch {first}, in an earlier run on the checkpoint or by another logic, is not known."

    @cached_property
    def schemas(self) -> tuple[pl.Schema, ...]:
        """The columns of every source."""
        return tuple(polars_schema("read", source.schema) for source in self.sources)

    @cached_property
    def inputs(self) -> tuple[tuple[pl.DataFrame, ...], ...]:
        """The rows of every batch, one frame a source."""
        return tuple(self.read(number) for number in range(len(self.traces)))

    @cached_property
    def starts(self) -> Ids:
        """The number of the first row of every batch and source, and at the end that of all rows."""
        sizes = [len(rows) for batch in self.inputs for rows in batch]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def place(self, row: int) -> tuple[int, int, int]:
        """Return batch (its place in ``traces``), source and position of a numbered row."""
        at = int(np.searchsorted(self.starts, row, side="right")) - 1
        batch, source = divmod(at, len(self.sources))
        return batch, source, row - int(self.starts[at])

    def row(self, row: int) -> dict[str, Any]:
        """Return a numbered row as it was read."""
        batch, source, position = self.place(row)
        return self.inputs[batch][source].row(position, named=True)

    def rows(self, ids: Ids) -> pl.DataFrame:
        """Return numbered rows as they were read, with ``batch_id``; rows of several sources one below the other."""
        frames: list[pl.DataFrame] = []
        at = np.searchsorted(self.starts, ids, side="right") - 1
        for chunk in np.unique(at).tolist():
            batch, source = divmod(chunk, len(self.sources))
            positions = np.sort(ids[at == chunk]) - self.starts[chunk]
            batch_id = pl.lit(self.traces[batch].batch_id).alias("batch_id")
            frames.append(self.inputs[batch][source][positions].select(batch_id, pl.exclude("batch_id")))
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def again(
        self, marked: Ids | None = None, plan: Node | None = None, *, until: int | None = None
    ) -> Iterator[Graph]:
        """Run the batches again; yield the graph after each, before its watermark moves on.

        Rows carry their numbers in the column ``ROWS``: those of ``marked`` only, or all. ``plan`` may be another one
        over the same sources. ``until`` is how many batches to run.
        """
        graph = Graph(carried(plan or self.plan), Opening(self.output_mode, self.watermark.like()))
        tables = [table for step in graph.steps for table in step.tables]
        for number, trace in enumerate(self.traces[:until]):
            batch = Batch(pl.DataFrame(), id=trace.batch_id, time=instant(trace.time))
            giving(trace.given, partial(graph.run, self.numbered(number, marked), batch))
            yield graph
            graph.watermark.advance()
            for table in tables:
                table.commit()

    def whole(self) -> dict[int, pl.DataFrame]:
        """Return all rows that were read, numbered, by the id of their source."""
        batches = [self.numbered(number, None) for number in range(len(self.traces))]
        if not batches:
            return {
                id(source): pl.DataFrame(schema={**schema, ROWS: _NUMBERS})
                for source, schema in zip(self.sources, self.schemas, strict=True)
            }
        return {key: pl.concat([batch[key] for batch in batches]) for key in batches[0]}

    def numbered(self, number: int, marked: Ids | None = None) -> dict[int, pl.DataFrame]:
        """Return the rows of a batch with their numbers, by the id of their source."""
        first = number * len(self.sources)
        pairs = zip(self.sources, self.inputs[number], self.starts[first:], strict=False)
        return {id(source): numbered(rows, int(start), marked) for source, rows, start in pairs}


def numbered(rows: pl.DataFrame, start: int, marked: Ids | None = None) -> pl.DataFrame:
    """Return rows with their numbers from ``start`` on: those of ``marked`` only, or all."""
    return rows.with_columns(_ids(len(rows), start, marked))


def _ids(count: int, start: int, marked: Ids | None) -> pl.Series:
    """Return a column of lists: the row's number, or nothing where it is not marked."""
    numbers = np.arange(start, start + count)
    if marked is None:
        return pl.Series(ROWS, numbers, pl.Int64).reshape((-1, 1)).arr.to_list()
    if not _any_in(marked, start, count):
        return pl.Series(ROWS, [[]], _NUMBERS).new_from_index(0, count)
    return pl.Series(ROWS, [[n] if n in marked else [] for n in numbers.tolist()], _NUMBERS)


def _any_in(marked: Ids, start: int, count: int) -> bool:
    return bool(((marked >= start) & (marked < start + count)).any())


# -- a plan that carries the numbers


def carried(node: Node) -> Node:
    """Return a plan that does the same with numbered rows: every row that comes out says which rows it came of."""
    inputs = tuple(map(carried, node.inputs))
    if isinstance(node, Read):
        return _NumberedRead((), node.source)
    if node.opaque:
        return _Nameless((replace(node, inputs=tuple(Drop((below,), (ROWS,)) for below in inputs)),))
    if isinstance(node, GroupBy):
        return replace(node, inputs=inputs, aggregates={**node.aggregates, ROWS: _Together(nw.col(ROWS))})
    if isinstance(node, Select):
        return replace(node, inputs=inputs, expressions=(*node.expressions, nw.col(ROWS)))
    if isinstance(node, Join):
        return _Both((replace(node, inputs=inputs),))
    return replace(node, inputs=inputs)


def ids_in(rows: pl.DataFrame) -> Ids:
    """Return the numbers that some rows carry, each once, in order."""
    columns = [rows[name].explode() for name in (ROWS, _THEIRS) if name in rows.columns]
    return np.unique(pl.concat(columns).drop_nulls().to_numpy()) if columns else np.empty(0, np.int64)


def holding(rows: pl.DataFrame, ids: Ids) -> pl.DataFrame:
    """Return the rows that carry one of some numbers."""
    wanted = pl.Series(ids, dtype=pl.Int64).implode()
    found = [pl.col(c).list.set_intersection(wanted).list.len() > 0 for c in (ROWS, _THEIRS) if c in rows.columns]
    return rows.filter(pl.any_horizontal(*found)) if found else rows.clear()


def without_ids(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows as the query itself has them."""
    return rows.drop(ROWS, _THEIRS, strict=False)


def streams_of(graph: Graph) -> list[StepStream]:
    """Return the streams of a carried plan that stand for the query's own nodes, inputs first."""
    helpers = {
        id(below) for s in graph.streams if isinstance(s.node, _Nameless) for n in s.node.inputs for below in n.inputs
    }
    return [s for s in graph.streams if not isinstance(s.node, _Both | _Nameless) and id(s.node) not in helpers]


class _NumberedRead(Read):
    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({**polars_schema("stream", self.source.schema), ROWS: _NUMBERS})


@dataclass(frozen=True, eq=False)
class _Together(CollectList):
    """The numbers of all rows of a group."""

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].explode().drop_nulls().implode()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.concat_list(old[""], new[""])}


@dataclass(frozen=True, eq=False)
class _Both(RowWise):
    """The numbers of both rows of a pair."""

    verb: ClassVar[str] = "both"

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({n: t for n, t in self.inputs[0].schema.items() if n != _THEIRS})

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        if _THEIRS not in rows.columns:
            return rows
        sides = [pl.col(name).fill_null([]) for name in (ROWS, _THEIRS)]
        return rows.with_columns(pl.concat_list(*sides).alias(ROWS)).drop(_THEIRS)


@dataclass(frozen=True, eq=False)
class _Nameless(RowWise):
    """Rows that a function of the user's own made: of which rows cannot be told."""

    verb: ClassVar[str] = "nameless"

    @cached_property
    def schema(self) -> pl.Schema:
        return pl.Schema({**self.inputs[0].schema, ROWS: _NUMBERS})

    def apply(self, rows: Any, compile: Callable[[Any], Any]) -> Any:
        return rows.with_columns(pl.lit([], _NUMBERS).alias(ROWS))


def with_delay(plan: Node, delays: Mapping[int, int]) -> Node:
    """Return a plan with other delays (microseconds) by the place of the ``with_watermark`` among all, from 1."""
    return _with_delay(plan, delays, [0])


def _with_delay(node: Node, delays: Mapping[int, int], seen: list[int]) -> Node:
    inputs = tuple(_with_delay(below, delays, seen) for below in node.inputs)
    if isinstance(node, WithWatermark):
        seen[0] += 1
        return replace(node, inputs=inputs, wait=delays.get(seen[0], node.wait))
    return replace(node, inputs=inputs) if inputs else node
