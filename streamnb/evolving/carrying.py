"""Carrying: state taken over by a new graph, as it is, or converted; and a whole graph run again over the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from streamnb import display
from streamnb.errors import QueryError, StreamnbError
from streamnb.evolving.givens import Givens
from streamnb.graph import Graph
from streamnb.inputs import Inputs, Planned, is_reached
from streamnb.journal import Past
from streamnb.judging import Told, Verdict, numbers_of, source_of
from streamnb.params import giving
from streamnb.plan import Batch
from streamnb.state import StateTable

Frames = Callable[[int], pl.DataFrame | None]


def carry(
    verdicts: Sequence[Verdict], old: Told, new: Told, frames: Frames, tables: Sequence[StateTable]
) -> Mapping[int, int]:
    """Fill the tables of a new graph from the old ones; return which is which where nothing was changed."""
    kept: dict[int, int] = {}
    for verdict in verdicts:
        if verdict.was is None or verdict.now is None:
            continue
        for was, now in zip(numbers_of(old, verdict.was), numbers_of(new, verdict.now), strict=True):
            rows = frames(was)
            if rows is not None:
                tables[now].restore(_fitted(rows, tables[now], verdict.columns))
            if verdict.fate == "kept":
                kept[now] = was
    return kept


def _fitted(rows: pl.DataFrame, table: StateTable, columns: Mapping[str, str]) -> pl.DataFrame:
    return rows.select(pl.col(source_of(name, columns)).alias(name) for name in table.schema)


def asked_alike(old: Graph, new: Graph, verdicts: Sequence[Verdict]) -> None:
    """Have every operator that goes on remember by which watermark it was last asked, and what set it."""
    before = [stream for stream in old.streams if stream.node.keeps]
    after = [stream for stream in new.streams if stream.node.keeps]
    for verdict in verdicts:
        if verdict.was is not None and verdict.now is not None:
            after[verdict.now].watermark = before[verdict.was].watermark
    if len(old.watermark_steps) == len(new.watermark_steps):
        new.watermark.restore(old.watermark.snapshot())
        for was, now in zip(old.watermark_steps, new.watermark_steps, strict=True):
            now.set_by = was.set_by
    else:
        late, current, *_ = old.watermark.snapshot()
        new.watermark.recover(late, current, old.watermark.policy)


@dataclass(frozen=True)
class Route:
    """The batches to run again, up to the last: those that are known, and the watermarks that stand behind it.

    ``counts`` are the rows that batches had, where that is known.
    """

    past: Mapping[int, Past]
    marks: Sequence[int]
    givens: Givens
    counts: Mapping[int, int] = field(default_factory=dict)
    after: int = -1

    def batches(self, inputs: Inputs) -> Iterator[tuple[int, Past]]:
        """Yield the batches in order; what came before the first known one is read unit by unit."""
        first = min((number for number in self.past if number > self.after), default=0)
        if first > self.after + 1:
            if self.givens.names:
                raise QueryError(
                    f"evolve: the log no longer says by which {', '.join(self.givens.names)} the batches up to "
                    f"{first - 1} went; what is gone cannot be rebuilt: start a new query."
                )
            display.say(
                f"evolve: how the batches before {first} were judged is no longer known; what they read is read again "
                "unit by unit, and none of it is late."
            )
            yield from _unknown(inputs, self.past[first])
            first += 1
        for number in range(first, max(self.past, default=-1) + 1):
            yield number, self.past[number]


def run_again(graph: Graph, inputs: Inputs, route: Route) -> int:
    """Run batches again through a graph that has just been opened; return how many rows it read.

    They run with the watermarks that they had: what was late stays late, and what was given out is not given out again.
    Fewer rows than a batch had are a QueryError, and so is input that cannot be read.
    """
    read, late = 0, 0 if route.after < 0 else graph.watermark.snapshot()[0]
    for number, past in route.batches(inputs):
        rows = _read(inputs, number, past.planned, route.counts)
        _marked(graph, late, past.watermark)
        planned = route.givens.settled(past.planned)
        batch = Batch(pl.DataFrame(), id=number, time=planned.time or 0)
        giving(route.givens.values(planned.given), partial(graph.run, rows, batch))
        for table in graph.tables:
            table.commit()
        inputs.rewind(past.planned.offsets)
        read, late = read + sum(map(len, rows.values())), past.watermark
    _marked(graph, *route.marks)
    return read


def _marked(graph: Graph, late: int, current: int) -> None:
    """Have a graph go by some watermarks, and by what it has seen itself later."""
    _, _, *asked = graph.watermark.snapshot()
    graph.watermark.restore((late, current, *asked))


def _read(inputs: Inputs, number: int, planned: Planned, counts: Mapping[int, int]) -> Mapping[int, pl.DataFrame]:
    try:
        rows = inputs.read(planned.offsets, [])
    except StreamnbError as error:
        raise QueryError(
            f"evolve: the source no longer has the input of batch {number}: {error}; what is gone cannot be rebuilt: "
            "start a new query."
        ) from error
    found = sum(map(len, rows.values()))
    if found < counts.get(number, 0):
        raise QueryError(
            f"evolve: batch {number} had {counts[number]} rows and the source now gives {found}; what is gone cannot "
            "be rebuilt: start a new query."
        )
    return rows


def _unknown(inputs: Inputs, known: Past) -> Iterator[tuple[int, Past]]:
    """Yield batches of one unit each, up to and with the first one that is known."""
    number, target = 0, known.planned.offsets
    while (planned := inputs.plan(target)) is not None:
        offsets = {n: target[n] if is_reached(end, target[n]) else end for n, end in planned.offsets.items()}
        yield number, Past(Planned(offsets, planned.time if planned.time is not None else known.planned.time), 0)
        number += 1
