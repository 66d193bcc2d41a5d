"""Journal: what a query writes down of every batch, in its checkpoint if it has one, and where that lets it go on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.batch_log import Intent, Note, Recovered
from streamnb.checkpoint import Checkpoint
from streamnb.compatible import Shape
from streamnb.dead_letters import together
from streamnb.errors import CheckpointError
from streamnb.inputs import Inputs, Planned
from streamnb.logics import Logic, Waiting
from streamnb.rules import Version
from streamnb.schema import bytes_of
from streamnb.state import Changes, StateTable
from streamnb.time import Watermark

BUDGET = 8 * 2**20
"""About how many bytes of dead letters a query without a checkpoint holds; of older ones it keeps the number."""


@dataclass(frozen=True)
class Past:
    """A batch that was done: its input, and the watermark it ran with."""

    planned: Planned
    watermark: int


@dataclass(frozen=True)
class Begun:
    """A batch as it goes into the log before its rows are read."""

    batch_id: int
    planned: Planned
    intent: Intent
    notes: Mapping[int, Note]
    versions: Sequence[Version]


class Journal:
    """The log of one query. A batch that was begun is done again with the same rows: a sink may have seen it."""

    def __init__(
        self, checkpoint: Checkpoint | None, tables: Sequence[StateTable], inputs: Inputs, watermark: Watermark
    ) -> None:
        self.checkpoint = checkpoint
        self._tables, self._inputs, self._watermark = tables, inputs, watermark
        self._begun: tuple[int, Planned] | None = None
        self._ran_with = 0  # the watermark of that batch
        self.inherited = False  # whether an earlier run began the batch that is to be done again
        self._past: dict[int, Past] = {}
        self._earlier = -1  # the last batch of earlier runs
        self.last_given: Mapping[str, Any] = {}  # what it went by
        self.taken_back: dict[int, Planned] = {}  # by rewinding: each is done again as it was
        self._since = 0  # from which batch on the sink is the query's
        self._id = uuid.uuid4().hex
        self._dead: dict[int, pl.DataFrame] = {}  # by batch, where there is no checkpoint to keep them
        self._held_dead = self.dead_let_go = 0  # bytes of them, and how many there were before them

    @property
    def run(self) -> tuple[str, int]:
        """The query's id, and the number of this run of it."""
        return self.run_for(self._since)

    def run_for(self, since: int) -> tuple[str, int]:
        """Return the same for a sink that is the query's from a batch on."""
        query, run = self.checkpoint.run if self.checkpoint else (self._id, 0)
        return (f"{query}:{since}" if since else query), run

    @property
    def past(self) -> dict[int, Past]:
        """The batches done, as far as they are known; those of earlier runs, and those let go of, from the log."""
        if self._earlier >= 0 and self.checkpoint is not None:
            earlier = self.checkpoint.log.intents(self._earlier)
            told = {n: Past(_as_planned(intent), intent.watermark) for n, intent in earlier.items()}
            self._past = told | self._past
            self._earlier = -1
        return self._past

    def done(self, batch_id: int) -> Past | None:
        """Return a batch that was done; None if it was not, or is no longer known."""
        return (self.past if batch_id <= self._earlier else self._past).get(batch_id)

    def let_go(self, first: int) -> None:
        """Forget the batches before one, but for the last of them, which tells the watermark of late rows."""
        self._past = {batch_id: past for batch_id, past in self._past.items() if batch_id >= first - 1}
        if self.checkpoint is not None:
            self._earlier = max(self._earlier, first - 2)

    @property
    def path(self) -> Path | None:
        return None if self.checkpoint is None else self.checkpoint.path

    def open(self, shape: Shape, *, changed: bool = False) -> int:
        """Stand where the checkpoint stands; return the last batch done, -1 at the beginning.

        ``changed``: the tables are another logic's, and stay as they are.
        """
        if self.checkpoint is None:
            return -1
        try:
            found = self.checkpoint.open(self._tables, shape, changed=changed)
        except BaseException:
            self.checkpoint.close()
            raise
        self._since = self.checkpoint.sink_since
        return -1 if found is None else self._go_on_from(found)

    def _go_on_from(self, found: Recovered) -> int:
        self._watermark.recover(found.late, found.watermark, found.policy)
        again, reached = found.again, found.offsets
        self.taken_back = {number: _as_planned(intent) for number, intent in found.taken_back.items()}
        told = [reached, None if again is None else again.offsets, *(p.offsets for p in found.taken_back.values())]
        self._inputs.recall(found.notes, next(offsets for offsets in reversed(told) if offsets is not None))
        if reached is not None:
            self._inputs.rewind(dict(enumerate(reached)))
        if again is not None:
            self._begun, self.inherited = (found.done + 1, _as_planned(again)), True
        self._earlier = found.done
        if self.checkpoint is not None and found.done >= 0:
            self.last_given = self.checkpoint.log.intent(found.done).given
        newest = [again, *found.taken_back.values()][-1]
        self.last_given = self.last_given if newest is None else newest.given
        return found.done

    def versions(self, rules: str) -> Mapping[int, pl.DataFrame]:
        """Return the versions of rules that earlier runs went by."""
        return {} if self.checkpoint is None else self.checkpoint.versions(rules)

    def again(self, batch_id: int) -> Planned | None:
        """Return the plan of a batch that was begun and not finished."""
        return self._begun[1] if self._begun is not None and self._begun[0] == batch_id else None

    # -- one batch

    def intends(self, batch_id: int, planned: Planned, time: int, versions: Sequence[Version]) -> Begun:
        """Return what a batch is going to do, and the versions of rules that it goes by; nothing is written yet."""
        offsets = [planned.offsets[n] for n in range(len(self._inputs.sources))]
        current, policy, given = self._watermark.current, self._watermark.policy, planned.given or {}
        intent = Intent(offsets, time, planned.replayed, current, planned.has_data, policy, given)
        notes = {} if self.checkpoint is None else self._inputs.notes(planned.offsets)
        return Begun(batch_id, replace(planned, time=time), intent, notes, versions)

    def begin(self, begun: Begun) -> None:
        """Log what a batch is going to do."""
        self._begun, self._ran_with = (begun.batch_id, begun.planned), begun.intent.watermark
        if self.checkpoint is not None:
            for version in begun.versions:
                self.checkpoint.remember(version.name, version.number, version.rows)
            self.checkpoint.begin(begun.batch_id, begun.intent, begun.notes)

    def retract(self, batch_id: int) -> None:
        """Take back a batch whose rows could not be read; what cannot be read may be mended."""
        self._begun = None
        self._inputs.forget()
        if self.checkpoint is not None:
            self.checkpoint.retract(batch_id)

    def keep(self, batch_id: int, changes: Sequence[Changes], dead: pl.DataFrame) -> None:
        """Log what a batch changed and what it set aside."""
        if self.checkpoint is not None:
            self.checkpoint.keep(batch_id, changes, dead)
        elif len(dead):
            self._set_aside(batch_id, dead)

    def commit(self, batch_id: int, next_watermark: int) -> None:
        """Log that a batch has happened."""
        if self.checkpoint is not None:
            self.checkpoint.commit(batch_id, next_watermark)
        if self._begun is not None:
            self._past[batch_id], self.inherited = Past(self._begun[1], self._ran_with), False
        self.taken_back.pop(batch_id, None)

    def release(self, before: Mapping[int, Any], after: Mapping[int, Any]) -> None:
        """Tell the sources up to where they are never asked again, once a batch has happened.

        That is what was read ``before`` it: its own commit is on the disk with the next one.
        """
        self._inputs.release(after if self.checkpoint is None else before)

    def is_due(self, batch_id: int, changes: Sequence[Changes]) -> bool:
        """Tell whether there will be something to tidy up after a batch, which is done from the tables as they are."""
        return self.checkpoint is not None and self.checkpoint.is_due(batch_id, changes, self._tables)

    def settle(self, batch_id: int) -> None:
        """Tidy up after a batch that has happened in memory too."""
        if self.checkpoint is not None:
            summaries = self._inputs.summaries() if self.checkpoint.is_pruned_after(batch_id) else {}
            self.checkpoint.settle(batch_id, self._tables, summaries)

    def rest(self) -> None:
        """Wait for the disk: no batch follows at once."""
        if self.checkpoint is not None:
            self.checkpoint.sync()
            self._inputs.release(self._inputs.offsets)

    def _set_aside(self, batch_id: int, dead: pl.DataFrame) -> None:
        self._held_dead += bytes_of(dead) - (bytes_of(self._dead[batch_id]) if batch_id in self._dead else 0)
        self._dead[batch_id] = dead
        while self._held_dead > BUDGET and len(self._dead) > 1:
            oldest = self._dead.pop(next(iter(self._dead)))
            self._held_dead -= bytes_of(oldest)
            self.dead_let_go += len(oldest)

    def dead_letters(self, last: int) -> pl.DataFrame:
        """Return the records set aside up to a batch."""
        if self.checkpoint is not None:
            return together(self.checkpoint.dead_letters(last))
        return together(frame for batch_id, frame in self._dead.items() if batch_id <= last)

    # -- another logic

    def change(
        self,
        tables: Sequence[StateTable],
        watermark: Watermark,
        shape: Shape,
        kept: Mapping[int, int],
        how: str,
        *,
        after: int,
        new_sink: bool,
    ) -> None:
        """Log that another logic decides what comes after a batch; ``kept`` says which tables are which old ones."""
        since = after + 1 if new_sink else self._since
        if self.checkpoint is not None:
            late, current, *_ = watermark.snapshot()
            entry = Logic(after, how, asdict(shape), (late, current), since)
            with self._written({"switch": "switch_to"}.get(how, how)):
                self.checkpoint.change(entry, tables, kept, change=watermark)
        self._since, self._tables, self._watermark = since, tables, watermark

    @property
    def waits(self) -> Waiting | None:
        """The switch that waits for its batch, as an earlier run or this one has logged it."""
        return None if self.checkpoint is None else self.checkpoint.logics.waits

    def wait_for(self, switch: Waiting | None) -> None:
        """Log a switch that waits for its batch, or that none does."""
        if self.checkpoint is not None and self.waits != switch:
            with self._written("switch_to"):
                self.checkpoint.logics.wait_for(switch)

    @contextmanager
    def _written(self, how: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{how}: {self.path} cannot be written: {error}; the logic of before goes on. Do it again when the "
                "disk is mended."
            ) from error

    # -- going back

    @property
    def first(self) -> int:
        """The earliest batch that can be gone back to; -1 is the beginning."""
        return -1 if self.checkpoint is None else self.checkpoint.log.first()

    def rewind(self, to: int) -> None:
        """Go back to the end of a batch; those after it will be done again with the same rows, at the same times."""
        past = self._past if to >= self._earlier else self.past
        self.taken_back |= {number: done.planned for number, done in past.items() if number > to}
        if self.checkpoint is not None:
            self.checkpoint.rewind(to)
        self._past = {batch_id: done for batch_id, done in past.items() if batch_id <= to}
        self._dead = {batch_id: frame for batch_id, frame in self._dead.items() if batch_id <= to}
        self._held_dead = sum(map(bytes_of, self._dead.values()))
        self._begun = None

    def reload(self, tables: Sequence[StateTable], batch_id: int) -> bool:
        """Load tables that have just been opened as they were after a batch; False if no checkpoint has them."""
        if self.checkpoint is not None:
            self.checkpoint.reload(tables, batch_id)
        return self.checkpoint is not None

    def close(self) -> None:
        if self.checkpoint is not None:
            self.checkpoint.close()


def _as_planned(intent: Intent) -> Planned:
    offsets = dict(enumerate(intent.offsets))
    return Planned(offsets, intent.time, intent.has_data, intent.replayed, intent.given)
