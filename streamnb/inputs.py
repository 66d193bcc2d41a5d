"""Inputs: which rows of which sources the next batch takes."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import polars as pl

from streamnb.batch_log import Note
from streamnb.connect import BadRecord, Offset, Reader, Source, Unit
from streamnb.errors import CheckpointError, DataError
from streamnb.ops.read import Read
from streamnb.patience import asking
from streamnb.plan import Node
from streamnb.progress import SourceProgress
from streamnb.schema import polars_schema
from streamnb.sources.sift import sifted


@dataclass(frozen=True)
class Planned:
    """The next batch's input: where every source will be, and when (microseconds; None: now).

    ``replayed`` tells that the time is a replay's, not the clock's. ``given`` is what it goes by besides: params, and
    versions of rules by number; None: what holds when it begins.
    """

    offsets: Mapping[int, Offset]
    time: int | None
    has_data: bool = True
    replayed: bool = False
    given: Mapping[str, Any] | None = None


class Inputs:
    """The sources of a query, each once, with the offset up to which it has been read."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list({id(source): source for source in sources}.values())
        self._readers = {n: source for n, source in enumerate(self.sources) if isinstance(source, Reader)}
        self.offsets: dict[int, Offset] = dict.fromkeys(range(len(self.sources)))
        self._released = dict(self.offsets)  # up to where sources know that rows are never asked for again
        self.commits = True  # whether sources hear how far they were read
        self.ended = threading.Event()  # set by q.stop(): a source that waits gives up
        self._schemas = [polars_schema("read", source.schema) for source in self.sources]

    def plan(self, targets: Mapping[int, Offset] | None = None, *, whole: bool = False) -> Planned | None:
        """Return the next units of input, None if there are none (before ``targets``).

        ``whole`` takes all that waits of sources that set no pace.
        """
        return asking(self.ended, lambda: self._plan(targets, whole=whole))

    def _plan(self, targets: Mapping[int, Offset] | None, *, whole: bool) -> Planned | None:
        units = {n: unit for n in self.offsets if (unit := self._unit(n, targets)) is not None}
        if whole:
            units = {n: u if u.paced else Unit(self.sources[n].latest()) for n, u in units.items()}
        units = {n: unit for n, unit in units.items() if not self._held_back(unit)}
        if not units:
            return None
        times = [unit.time for unit in units.values() if unit.time is not None]
        horizon = min(times, default=None)
        taken = {n: u for n, u in units.items() if u.time is None or horizon is None or u.time <= horizon}
        return Planned(self.offsets | {n: unit.end for n, unit in taken.items()}, horizon, replayed=horizon is not None)

    def all_at_once(self) -> Planned | None:
        """Return everything that is there as one batch."""
        ends = self.latest()
        return Planned(ends, None) if any(end and end != self.offsets[n] for n, end in ends.items()) else None

    def latest(self) -> dict[int, Offset]:
        return asking(self.ended, lambda: {n: source.latest() for n, source in enumerate(self.sources)})

    def _unit(self, number: int, targets: Mapping[int, Offset] | None) -> Unit | None:
        source, start = self.sources[number], self.offsets[number]
        if targets is not None and is_reached(start, targets[number]):
            return None
        if hasattr(source, "unit"):
            unit: Unit | None = source.unit(start)
            return unit
        end = source.latest()
        return None if not end or end == start else Unit(end)

    def _held_back(self, unit: Unit) -> bool:
        """Tell whether a unit belongs into one batch with a unit that is not next yet."""
        numbers = {id(source): n for n, source in enumerate(self.sources)}
        partners = [(numbers[id(s)], end) for s, end in unit.together if id(s) in numbers]
        return any((ahead := self._unit(n, None)) is not None and ahead.end != end for n, end in partners)

    def read(
        self, offsets: Mapping[int, Offset], aside: list[tuple[str, BadRecord]] | None = None
    ) -> dict[int, pl.DataFrame]:
        """Return the rows up to some offsets, by the id of their source.

        Records that are no rows go to ``aside``, each with its source; without it the first is a DataError.
        """
        return asking(self.ended, lambda: {id(s): self._rows(n, offsets[n], aside) for n, s in enumerate(self.sources)})

    def prepare(self, offsets: Mapping[int, Offset]) -> None:
        """Let sources that can read what follows some offsets before it is asked for."""
        for n, source in enumerate(self.sources):
            if offsets[n] and hasattr(source, "prepare"):
                source.prepare(offsets[n])

    def _rows(self, number: int, end: Offset, aside: list[tuple[str, BadRecord]] | None) -> pl.DataFrame:
        source, start, schema = self.sources[number], self.offsets[number], self._schemas[number]
        if end == start:
            return pl.DataFrame(schema=schema)
        found = sifted(f"read {source!r}", source.read(start, end), schema, place=f"{start or 0}–{end}")
        if found.bad and aside is None:
            raise DataError(
                f"read {source!r}: {found.bad[0].offset}: {found.bad[0].reason}; leave it out, or set it aside with "
                "query(on_bad_record='dead_letters')."
            )
        if aside is not None:
            aside += [(repr(source), bad) for bad in found.bad]
        rows: pl.DataFrame = found.rows
        return rows

    def progress(self, rows: Mapping[int, pl.DataFrame], offsets: Mapping[int, Offset]) -> list[SourceProgress]:
        return [
            SourceProgress(
                told(source), self.offsets[n], offsets[n], offsets[n], len(rows[id(source)]), _left(source, offsets[n])
            )
            for n, source in enumerate(self.sources)
        ]

    def commit(self, offsets: Mapping[int, Offset]) -> None:
        """Stand behind a batch that has happened; its sources hear of it by ``release``."""
        self.offsets = dict(offsets)

    def release(self, offsets: Mapping[int, Offset]) -> None:
        """Tell the sources up to where batches have happened for good."""
        for n, source in enumerate(self.sources):
            if self.commits and offsets[n] != self._released[n]:
                asking(self.ended, partial(source.commit, offsets[n]))
                self._released[n] = offsets[n]

    def rewind(self, offsets: Mapping[int, Offset]) -> None:
        self.offsets, self._released = dict(offsets), dict(offsets)

    # -- what sources remember

    def notes(self, offsets: Mapping[int, Offset]) -> dict[int, Note]:
        """Return what sources must know to read the rows up to some offsets again."""
        return {
            n: Note(self.offsets[n], offsets[n], source.note(self.offsets[n], offsets[n]))
            for n, source in self._readers.items()
            if offsets[n] != self.offsets[n]
        }

    def summaries(self) -> dict[int, Note]:
        """Return what sources must know to go on from here."""
        return {
            n: Note(None, self.offsets[n], source.summary(self.offsets[n]))
            for n, source in self._readers.items()
            if self.offsets[n]
        }

    def recall(self, notes: Mapping[int, Sequence[Any]], offsets: Sequence[Offset]) -> None:
        """Remind sources of what they noted in an earlier run, up to some offsets."""
        for n, source in self._readers.items():
            if offsets[n] and not notes.get(n):
                raise CheckpointError(f"checkpoint: what {source!r} had taken is missing; restore its log.")
            source.recall(notes.get(n, ()))

    def forget(self) -> None:
        """Let sources look anew at what comes next."""
        for n, source in self._readers.items():
            source.forget(self.offsets[n])


def _left(source: Source, end: Offset) -> int | None:
    waiting = getattr(source, "waiting", None)
    return None if waiting is None else waiting(end)


def told(source: Source) -> str:
    """Return a source as progress tells of it: with its status where it has one."""
    status = getattr(source, "status", None)
    return repr(source) if status is None else f"{source!r}: {status}"


def troubles(sources: Sequence[Source]) -> list[str]:
    """Return which sources cannot be read now: why, since when, and how often it was tried."""
    found = [(source, getattr(source, "trouble", None)) for source in sources]
    return [f"{source!r} cannot be read: {trouble}" for source, trouble in found if trouble is not None]


def is_reached(start: Any, target: Any) -> bool:
    """Tell whether one offset is at or behind another: a number, a list, or a dict of such but for ``"from"``."""
    if isinstance(start, dict) and isinstance(target, dict):
        return all(is_reached(start.get(key), value) for key, value in target.items() if key != "from")
    if isinstance(start, int) and isinstance(target, int):
        return start >= target
    if isinstance(start, list) and isinstance(target, list):
        return start >= target
    return bool(start == target)


def own_sources(plan: Node) -> Node:
    """Return a plan whose sources that remember what they took are this query's own."""
    return _owned(plan, {})


def _owned(node: Node, readers: dict[int, Source]) -> Node:
    if isinstance(node, Read):
        source: Any = node.source
        if not hasattr(source, "reader"):
            return node
        if id(source) not in readers:
            readers[id(source)] = source.reader()
        return replace(node, source=readers[id(source)])
    inputs = tuple(_owned(below, readers) for below in node.inputs)
    same = all(new is old for new, old in zip(inputs, node.inputs, strict=True))
    return node if same else replace(node, inputs=inputs)
