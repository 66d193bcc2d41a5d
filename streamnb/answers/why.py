"""Why: what became of a row, who set the watermark it was judged by, and what would have saved it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl

from streamnb.answers.asked import Asked, Question, asked, near_misses, unknown
from streamnb.answers.cards import NO, NOTE, YES, Card, Line, clock, named, plural
from streamnb.answers.facts import Check, Emission, Rescue, Setter, WindowFate
from streamnb.answers.lineage import Ids, Recording, ids_in, streams_of, without_ids
from streamnb.answers.verdict import Verdict, verdict
from streamnb.errors import not_there
from streamnb.plan import Node

Fate = Literal[
    "emitted", "held", "late", "filtered", "duplicate", "unmatched", "left out", "opaque", "waiting", "result", "none"
]


@dataclass(frozen=True, eq=False)
class Why(Card):
    """What became of a row of the input, or of which rows a row of the result is made.

    A view draws it from these fields; all times are of the column's own time zone.

    ``fate``
        ``"emitted"`` it is in a result; ``"held"`` it is in state; ``"late"``, ``"filtered"``, ``"duplicate"``,
        ``"unmatched"`` or ``"left out"`` (no window, no list, over the limit) it was removed; ``"opaque"`` a function
        of the user's own took it; ``"waiting"`` it is not read yet; ``"result"`` it is a row of the result; ``"none"``
        there is no such row.
    ``row``, ``batch_id``, ``time``, ``others``
        The row as it was read (of the result: as it came out), the batch and its processing time, and how many more
        rows match the question.
    ``event_time``, ``watermark``, ``setter``
        The row's event time, the watermark that it was judged by, and the row that had set that watermark.
    ``windows``, ``checks``, ``rescues``, ``emitted``
        Its windows with the fate of each, what the engine asked of it in order, what would have saved it, and the
        batches that gave out a result with it in.
    ``rows``
        Of a row of the result: the rows of the input in it, with ``batch_id``. ``exact`` is False where a function of
        the user's own stands between, or earlier rows are no longer known; ``note`` says which.
    ``near``
        What comes near, where there is no such row.
    """

    question: str
    fate: Fate
    finding: str
    row: Mapping[str, Any] | None = None
    batch_id: int | None = None
    time: pd.Timestamp | None = None
    others: int = 0
    event_time: pd.Timestamp | None = None
    watermark: pd.Timestamp | None = None
    setter: Setter | None = None
    windows: tuple[WindowFate, ...] = ()
    checks: tuple[Check, ...] = ()
    rescues: tuple[Rescue, ...] = ()
    emitted: tuple[Emission, ...] = ()
    rows: pd.DataFrame | None = field(default=None, repr=False)
    exact: bool = True
    note: str = ""
    near: tuple[str, ...] = ()

    __repr__ = Card.__repr__

    @property
    def title(self) -> str:
        more = f" {plural(self.others, 'more row')} match; name more columns to choose." if self.others else ""
        return f"{self.finding}{more}"

    @property
    def lines(self) -> tuple[Line, ...]:
        checks = [Line({True: YES, False: NO, None: NOTE}[c.passed], c.text, c.note) for c in self.checks]
        rescues = [Line(NOTE, f"It would have been saved by {r.text}", r.note) for r in self.rescues]
        note = [Line(NOTE, self.note)] if self.note else []
        return (*checks, *rescues, *note, *(Line(NOTE, text) for text in self.near))

    @property
    def table(self) -> pd.DataFrame | None:
        return self.rows


def why(recording: Recording, question: Question, waiting: Callable[[], Mapping[int, pl.DataFrame]]) -> Why:
    """Answer what became of a row; ``waiting`` gives the rows of every source that are not read yet."""
    what = asked(question)
    _check(recording, {what.within(schema).batch_id for schema in (*recording.schemas, recording.plan.schema)})
    return _of_input(recording, what) or _of_result(recording, what) or _of_waiting(recording, what, waiting())


def _check(recording: Recording, batches: set[int | None]) -> None:
    """Refuse a question about a batch that was let go of."""
    named = [batch for batch in batches if batch is not None]
    if recording.traces and len(named) == len(batches) and max(named) < recording.traces[0].batch_id:
        raise not_there("why", max(named), recording.traces[0].batch_id, recording.traces[-1].batch_id)


# -- rows of the input


def _of_input(recording: Recording, what: Asked) -> Why | None:
    found = _found(recording, what)
    if not len(found):
        return None
    return _told(recording, what, verdict(recording, int(found[0])), len(found) - 1)


def _found(recording: Recording, what: Asked) -> Ids:
    """Return the numbers of the rows that are meant: as they were read, else as they came to some operator."""
    for source, schema in enumerate(recording.schemas):
        own = what.within(schema)
        found = _among(recording, own, source) if own.fits(schema) else None
        if found is not None and len(found):
            return found
    return _on_the_way(recording, what)


def _among(recording: Recording, what: Asked, source: int) -> Ids:
    found: list[Ids] = []
    for number, batch in enumerate(recording.inputs):
        if what.batch_id is None or recording.traces[number].batch_id == what.batch_id:
            start = recording.starts[number * len(recording.sources) + source]
            found.append(np.flatnonzero(what.matches(batch[source]).to_numpy()) + start)
    return np.concatenate(found).astype(np.int64) if found else np.empty(0, np.int64)


def _on_the_way(recording: Recording, what: Asked) -> Ids:
    """Return the rows behind those that some operator below the result had in this shape."""
    below = [node for node in recording.plan.walk() if what.within(node.schema).fits(node.schema)][:1]
    if not below or not what.columns or below[0] is recording.plan or not recording.traces:
        return np.empty(0, np.int64)
    place = next(n for n, node in enumerate(recording.plan.walk()) if node is below[0])
    own, found = what.within(below[0].schema), list[Ids]()
    for number, graph in enumerate(recording.again()):
        out = streams_of(graph)[place].out
        if out is not None and (own.batch_id is None or recording.traces[number].batch_id == own.batch_id):
            found.append(ids_in(out.rows.filter(own.matches(without_ids(out.rows)))))
    return np.concatenate(found) if found else np.empty(0, np.int64)


def _told(recording: Recording, what: Asked, found: Verdict, others: int) -> Why:
    return Why(
        question=what.text,
        fate=found.fate,
        finding=found.finding,
        row=found.row,
        batch_id=found.batch_id,
        time=found.time,
        others=others,
        event_time=found.event_time,
        watermark=found.watermark,
        setter=found.setter,
        windows=found.windows,
        checks=found.checks,
        rescues=found.rescues,
        emitted=found.emitted,
        note=found.note or (recording.missing if recording.let_go else ""),
    )


# -- rows of the result


def _of_result(recording: Recording, what: Asked) -> Why | None:
    own = what.within(recording.plan.schema)
    if not own.fits(recording.plan.schema):
        return None
    places = [
        (number, int(at))
        for number, trace in enumerate(recording.traces)
        if own.batch_id in {None, trace.batch_id}
        for at in np.flatnonzero(own.matches(recording.emitted[number]).to_numpy())
    ]
    if not places:
        return None
    return _made_of(recording, what, places)


def _made_of(recording: Recording, what: Asked, places: list[tuple[int, int]]) -> Why:
    """Tell of one of the result's rows: the first, or where rows change the newest version."""
    append = recording.output_mode == "append"
    number, at = places[0 if append else -1]
    others, batches = len(places) - 1 if append else 0, [n for n, _ in places]
    trace = recording.traces[number]
    row = recording.emitted[number].row(at, named=True)
    ids, note = lineage(recording, number, at)
    rows = recording.rows(ids)
    when = clock(trace.time)
    versions = sorted({recording.traces[n].batch_id for n in batches})
    also = f", in its version of batch {trace.batch_id}" if len(versions) > 1 and not others else ""
    read = sorted(set(rows["batch_id"].to_list())) if len(rows) else []
    of = f"{plural(len(rows), 'row')} of {_batches(read)}" if len(rows) else "no row of the input"
    return Why(
        question=what.text,
        fate="result",
        finding=f"{named(row)}: given out in batch {trace.batch_id}, {when}{also}; made of {of}.",
        row=row,
        batch_id=trace.batch_id,
        time=pd.Timestamp(trace.time),
        others=others,
        checks=(Check("result", f"versions went out in {_batches(versions)}", None),) if len(versions) > 1 else (),
        emitted=tuple(_emission(recording, n) for n in batches),
        rows=rows.to_pandas(),
        exact=not note,
        note=note,
    )


def _emission(recording: Recording, number: int) -> Emission:
    trace = recording.traces[number]
    return Emission(trace.batch_id, pd.Timestamp(trace.time))


def _batches(ids: list[int]) -> str:
    if len(ids) == 1:
        return f"batch {ids[0]}"
    return f"batches {', '.join(map(str, ids[:4]))}{f', … {ids[-1]}' if len(ids) > 4 else ''}"


def lineage(recording: Recording, number: int, at: int) -> tuple[Ids, str]:
    """Return the numbers of the rows that an emitted row is made of, and what cannot be told about it."""
    (graph,) = deque(recording.again(until=number + 1), maxlen=1)
    assert graph.top.out is not None  # noqa: S101  the batch is there
    there, wanted = graph.top.out.rows, recording.emitted[number]
    shown = without_ids(there).select(wanted.columns)
    if not shown.equals(wanted):
        return _by_value(there, wanted[at])
    return ids_in(there[at]), _opaque(recording.plan)


def _by_value(there: pl.DataFrame, row: pl.DataFrame) -> tuple[Ids, str]:
    same = there.join(row, on=row.columns, how="semi", nulls_equal=True)
    if len(same):
        return ids_in(same[:1]), ""
    return np.empty(0, np.int64), (
        "Run again, the batches do not give this row: rows from before this run or of batches that were let go of, a "
        "table that has changed, or a function that answers differently are in it."
    )


def _opaque(plan: Node) -> str:
    """Say which operators hide the rows that their results are made of."""
    names = sorted({node.verb for node in plan.walk() if node.opaque and node.inputs})
    if not names:
        return ""
    return f"Of which rows the function in {' and '.join(names)} makes its rows cannot be told."


# -- rows that are not there


def _of_waiting(recording: Recording, what: Asked, waiting: Mapping[int, pl.DataFrame]) -> Why:
    for number, rows in waiting.items():
        own = what.within(recording.schemas[number])
        found = rows.filter(own.matches(rows)) if own.fits(rows.schema) else rows.clear()
        if len(found):
            row = found.row(0, named=True)
            said = f"{named(row)}: not read yet; it waits in the input, and q.step() reads on."
            return Why(what.text, "waiting", said, row=row, others=len(found) - 1)
    return _nothing(recording, what, waiting)


def _nothing(recording: Recording, what: Asked, waiting: Mapping[int, pl.DataFrame]) -> Why:
    """Say that there is no such row, and what comes near."""
    known = {name: dtype for schema in recording.schemas for name, dtype in schema.items()}
    known |= {name: dtype for node in recording.plan.walk() for name, dtype in node.schema.items()}
    if not what.within(known).fits(known):
        raise unknown(what.within(known), known)
    near: tuple[str, ...] = ()
    for number, schema in enumerate(recording.schemas):
        own = what.within(schema)
        if own.fits(schema):
            frames = [batch[number] for batch in recording.inputs] + [waiting[number]] * (number in waiting)
            near = near or (near_misses(own, pl.concat(frames)) if frames else ())
    if not near and what.within(recording.plan.schema).fits(recording.plan.schema) and recording.traces:
        near = near_misses(what.within(recording.plan.schema), pl.concat(recording.emitted))
    count = sum(len(rows) for batch in recording.inputs for rows in batch)
    found = f"No row matches {what.text}: {plural(count, 'row')} read."
    return Why(what.text, "none", found, note=recording.missing, near=near)
