"""Doctor: what will surprise in a frame or a query, why, and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pandas as pd

from streamnb import display
from streamnb.answers.cards import NOTE, Card, Line, plural
from streamnb.answers.findings import Finding, in_plan
from streamnb.answers.lineage import Recording
from streamnb.answers.symptoms import in_rows, in_traces
from streamnb.check import check
from streamnb.errors import PlanError
from streamnb.inputs import Inputs
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.optimize import optimize
from streamnb.plan import Node


class _Frame(Protocol):
    @property
    def node(self) -> Node: ...


class _Query(Protocol):
    def recording(self) -> Recording: ...


@dataclass(frozen=True, eq=False)
class Diagnosis(Card):
    """All findings, the gravest first; nothing of it stops a query."""

    findings: tuple[Finding, ...]

    __repr__ = Card.__repr__

    def _ipython_display_(self) -> None:
        display.answer(self)

    def __len__(self) -> int:
        return len(self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the findings, each once."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    @property
    def title(self) -> str:
        return f"{plural(len(self.findings), 'finding')}." if self.findings else "Nothing to find."

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(
            Line(NOTE, f"{f.what}: {f.why}.", f"{f.way_out[0].upper()}{f.way_out[1:]}. Lesson {f.title}.")
            for f in self.findings
        )


def doctor(frame: _Frame | _Query, output_mode: str | None = None) -> Diagnosis:
    """Look a frame or a query over: state that never ends, a watermark that does nothing, a result that never comes.

    Of a query also what its batches show: a clock ahead of time, an input that is idle. ``q.findings`` is the same.
    ``output_mode`` is the mode that a frame will run in (``"append"``); a plan that cannot run in it is a finding too.

    Spark: none.

    >>> sn.doctor(flights.group_by("dest").agg(n=sn.count()), "update").codes
    ('STATE_GROWS',)
    """
    if hasattr(frame, "recording"):
        return examine(frame.recording())
    return Diagnosis(tuple(_of_frame(frame.node, output_mode or "append")))


def examine(recording: Recording) -> Diagnosis:
    """Return what is found in a query's plan and in the batches that it has run."""
    static = in_plan(recording.plan, recording.output_mode)
    return Diagnosis((*in_traces(recording.traces, recording.watermark.policy), *static))


def _of_frame(plan: Node, output_mode: str) -> Iterator[Finding]:
    try:
        check(plan, output_mode)
    except PlanError as error:
        what, _, rest = str(error).partition(": ")
        why, _, way_out = rest.rpartition("; ")
        yield Finding(error.code, what, why, way_out.rstrip("."), "04")
    yield from _of_data(plan)
    yield from in_plan(optimize(plan), output_mode)


def _of_data(plan: Node) -> Iterator[Finding]:
    """Look at a replay's times, where its event time is a column of the table itself."""
    reads = [node for node in plan.walk() if isinstance(node, Read)]
    marks = [node for node in plan.walk() if isinstance(node, WithWatermark)]
    for read in reads:
        arrival = getattr(read.source, "arrival", None)
        names = [m.event_time for m in marks if m.event_time in read.schema]
        if arrival is None or not names or not hasattr(read.source, "unit") or len(reads) > 1:
            continue
        inputs = Inputs([read.source])
        rows = inputs.read(inputs.latest())[id(read.source)]
        times, arrivals = (pd.Series(rows[name].to_pandas()) for name in (names[0], arrival))
        yield from in_rows(names[0], arrival, times, arrivals)
