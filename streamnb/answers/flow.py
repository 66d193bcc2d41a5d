"""Flow: how many rows came to every operator and left it, over all batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streamnb.answers.journey import incoming
from streamnb.answers.lineage import Recording, streams_of
from streamnb.graph import Graph, StepStream
from streamnb.ops.group_by import GroupBy
from streamnb.plan import Node
from streamnb.state import EXPIRES


@dataclass(frozen=True, eq=False)
class Flow:
    """For every operator, inputs first: rows that came in, rows that left, rows that it dropped as late.

    ``emitted`` is how many rows came out of the last one; ``endless`` how many groups of ``endless_in`` nothing ends.
    """

    steps: tuple[tuple[Node, int, int, int], ...]
    emitted: int = 0
    endless: int = 0
    endless_in: str = ""


def flow(recording: Recording) -> Flow:
    """Return the flow of a query's rows, counted by running its batches again."""
    nodes = list(recording.plan.walk())
    counts = np.zeros((len(nodes), 3), np.int64)
    last: Graph | None = None
    for graph in recording.again(np.empty(0, np.int64)):
        counts += [_counts(stream) for stream in streams_of(graph)]
        last = graph
    endless = [(n.verb, _endless(s)) for n, s in zip(nodes, streams_of(last), strict=True)] if last else []
    verb, most = next(((v, c) for v, c in endless if c), ("", 0))
    steps = tuple((node, *map(int, row)) for node, row in zip(nodes, counts, strict=True))
    return Flow(steps, int(counts[-1][1]), most, verb)  # type: ignore[arg-type]


def _counts(stream: StepStream) -> tuple[int, int, int]:
    assert stream.out is not None  # noqa: S101  the batch has run
    trace = stream.out.trace
    late = 0 if trace is None else trace.num_late
    return sum(map(len, incoming(stream))), len(stream.out.rows), late


def _endless(stream: StepStream) -> int:
    state = stream.step.state() if isinstance(stream.node, GroupBy) else None
    return 0 if state is None else int(state[EXPIRES].null_count())
