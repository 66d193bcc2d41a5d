"""Twin: the stream's result beside that of one batch over the same rows, and the cause of every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl

from streamnb.answers.cards import NOTE, Card, Line, named, plural
from streamnb.answers.lineage import ROWS, Recording, carried, ids_in, streams_of, without_ids
from streamnb.graph import Graph
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.join import Join
from streamnb.plan import Batch, Opening
from streamnb.sinks.memory import latest
from streamnb.time import Watermark

Kind = Literal["missing", "differs", "extra"]
Cause = Literal["late", "not final", "mode", "forgotten", "unknown"]
_SAYS: Mapping[Cause, str] = {
    "late": "rows were dropped as late",
    "not final": "still in state: not given out yet",
    "mode": "the output mode: what came out is not taken back",
    "forgotten": "state that the watermark had ended: a duplicate or a match was no longer known",
    "unknown": "the rows behind it cannot be told",
}


@dataclass(frozen=True, eq=False)
class Difference:
    """One row that differs.

    ``kind`` is ``"missing"`` (the batch has it, the stream not), ``"extra"`` (the other way round) or ``"differs"``
    (one key, other values). ``cause`` is ``"late"``, ``"not final"`` (still in state), ``"mode"`` (a result that was
    given out and would now be removed or changed), ``"forgotten"`` (state that had ended) or ``"unknown"`` (a function
    of the user's own stands between). ``rows`` are read when asked for, by their numbers ``ids`` in the recording.
    """

    kind: Kind
    cause: Cause
    stream: Mapping[str, Any] | None
    batch: Mapping[str, Any] | None
    ids: tuple[int, ...] = field(repr=False)
    recording: Recording = field(repr=False)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows of the input that make the difference, with ``batch_id``."""
        return self.recording.rows(np.array(self.ids, np.int64)).to_pandas()

    @property
    def text(self) -> str:
        name = named(self.batch or self.stream or {}, most=9)
        late = f", {plural(len(self.ids), 'row')}" if self.cause == "late" else ""
        return f"{name}: {self.kind}{late}; {_SAYS[self.cause]}"


@dataclass(frozen=True, eq=False)
class Twin(Card):
    """The comparison: how many rows are ``same``, and every one that differs, each with its cause.

    ``note`` says what could not be compared.
    """

    same: int
    differences: tuple[Difference, ...]
    note: str = ""

    __repr__ = Card.__repr__

    @property
    def equal(self) -> bool:
        """Whether stream and batch say the same."""
        return not self.differences

    @property
    def causes(self) -> dict[Cause, int]:
        """How many differences each cause has."""
        return dict(Counter(difference.cause for difference in self.differences))

    @property
    def title(self) -> str:
        if self.equal:
            return f"Stream and batch agree: {plural(self.same, 'row')}."
        return f"{plural(len(self.differences), 'row')} differ from one batch over the same rows, {self.same:,} agree."

    @property
    def lines(self) -> tuple[Line, ...]:
        told = [Line(NOTE, f"{plural(count, 'row')}: {_SAYS[cause]}") for cause, count in self.causes.items()]
        return (*told, *([Line(NOTE, self.note)] if self.note else []))

    @property
    def table(self) -> pd.DataFrame:
        """A row a difference: kind, cause, key or row, both values, and how many rows of the input are behind it."""
        return pd.DataFrame(
            [
                {"kind": d.kind, "cause": d.cause, "batch": _told(d.batch), "stream": _told(d.stream),
                 "rows": len(d.ids)}
                for d in self.differences
            ],
            columns=["kind", "cause", "batch", "stream", "rows"],
        )  # fmt: skip


def _told(row: Mapping[str, Any] | None) -> str:
    return "" if row is None else ", ".join(f"{name}={value}" for name, value in row.items())


def compare(recording: Recording) -> Twin:
    """Compare what a query has given out with one batch over all that it has read."""
    return _Comparison(recording).twin


class _Comparison:
    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.key = recording.plan.key
        self.late: set[int] = set()
        self.held: set[int] = set()
        self.stream = self._stream()
        self.batch = self._batch()

    def _stream(self) -> pl.DataFrame:
        """Return the stream's result with the numbers of its rows; note which rows were late, and which are kept."""
        out: list[pl.DataFrame] = []
        graph: Graph | None = None
        for graph in self.recording.again():
            assert graph.top.out is not None  # noqa: S101  the batch has run
            out.append(graph.top.out.rows)
            for stream in graph.streams:
                trace = stream.out.trace if stream.out is not None else None
                self.late |= set() if trace is None or trace.late is None else set(ids_in(trace.late).tolist())
        states = [] if graph is None else [s.step.state() for s in streams_of(graph)]
        self.held = {n for state in states if state is not None for n in ids_in(state).tolist()}
        return self._table(out)

    def _table(self, out: Sequence[pl.DataFrame]) -> pl.DataFrame:
        mode, key = self.recording.output_mode, self.recording.plan.key
        if not out:
            return pl.DataFrame(schema={**self.recording.plan.schema, ROWS: pl.List(pl.Int64())})
        if mode == "complete":
            return out[-1]
        return latest(out, key) if mode == "update" and key is not None else pl.concat(out)

    def _batch(self) -> pl.DataFrame:
        graph = Graph(carried(self.recording.plan), Opening("batch", Watermark.of_a_table()))
        rows = graph.run(self.recording.whole(), Batch(pl.DataFrame())).rows
        return rows.select(self.stream.columns)

    # -- comparing

    @cached_property
    def twin(self) -> Twin:
        unlike = list(self._unlike())
        same = len(self.batch) - sum(d.kind != "extra" for d in unlike)
        return Twin(same, tuple(unlike), self.recording.missing)

    def _unlike(self) -> Iterator[Difference]:
        ours, theirs = _by(self.stream, self.key), _by(self.batch, self.key)
        for name in dict.fromkeys([*theirs, *ours]):
            mine, other = ours.get(name, []), theirs.get(name, [])
            for at in range(max(len(mine), len(other))):
                a, b = mine[at] if at < len(mine) else None, other[at] if at < len(other) else None
                if a is None or b is None or not _same(a, b):
                    yield self._difference(a, b)

    def _difference(self, stream: dict[str, Any] | None, batch: dict[str, Any] | None) -> Difference:
        kind: Kind = "missing" if stream is None else "extra" if batch is None else "differs"
        have, should = set((stream or {}).pop(ROWS, [])), set((batch or {}).pop(ROWS, []))
        cause, ids = self._cause(kind, have, should)
        return Difference(kind, cause, stream, batch, tuple(sorted(ids)), self.recording)

    def _cause(self, kind: Kind, have: set[int], should: set[int]) -> tuple[Cause, set[int]]:
        lost = self._together(have) - have if kind == "extra" else should - have
        late = lost & self.late
        if late:
            return "late", late
        if lost & self.held:
            return "not final", lost & self.held
        if not have and not should:
            return "unknown", set()
        return ("forgotten" if self._forgets else "mode"), lost or have

    def _together(self, have: set[int]) -> set[int]:
        """Return the rows that the batch has in one row with these; any late row, where it has these in none."""
        found = {row for row in (self._row_of.get(n) for n in have) if row is not None}
        together = {n for row in found for n in self._ids[row].to_list()}
        return together or (self.late if have else set())

    @cached_property
    def _ids(self) -> pl.Series:
        return self.batch[ROWS]

    @cached_property
    def _row_of(self) -> dict[int, int]:
        """The row of the batch that a numbered row is in."""
        pairs = pl.DataFrame({"n": self._ids}).with_row_index("row").explode("n").drop_nulls()
        return dict(zip(pairs["n"].to_list(), pairs["row"].to_list(), strict=True))

    @property
    def _forgets(self) -> bool:
        return any(isinstance(node, Join | Deduplication) for node in self.recording.plan.walk())


def _by(rows: pl.DataFrame, key: tuple[str, ...] | None) -> dict[Any, list[dict[str, Any]]]:
    """Return rows by their key; by all their values where they have none."""
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        name = tuple(_plain(row[n]) for n in (key if key is not None else without_ids(rows).columns))
        found.setdefault(name, []).append(row)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(sorted(map(_plain, value), key=repr))
    return round(value, 9) if isinstance(value, float) else repr(value) if isinstance(value, dict) else value


def _same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(_alike(value, b[name]) for name, value in a.items() if name != ROWS)


def _alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return bool(np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(_plain(a) == _plain(b))
