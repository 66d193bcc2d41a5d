"""The step of a group_by with sessions: rows and open sessions of a key, swept in order of time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.errors import PlanError
from streamnb.hash_index import Slots
from streamnb.ops.folding import FoldStep
from streamnb.plan import Batch, Opening
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES, StateTable
from streamnb.time import duration
from streamnb.windows import END, START

if TYPE_CHECKING:
    from streamnb.ops.session import SessionGroupBy

ROW, KEY, SESSION = "__row", "__key", "__session"
"""A row's number; that of the first row with its key, which names the key; its session's number."""


@dataclass(frozen=True, eq=False)
class _Held:
    """The open sessions of a batch's keys, with KEY, and their slots; for every key its slot in ``starts``."""

    rows: pl.DataFrame
    slots: Slots
    key_slots: Slots


@dataclass(frozen=True, eq=False)
class _Merged:
    """What a batch did: the sessions it wrote, how many older ones went up in them, how many its keys have open now."""

    written: pl.DataFrame
    replaced: int = 0
    open: int = 0


class SessionStep(FoldStep):
    """``table`` holds a row a session, by its keys and start; ``starts`` a row a key: where its sessions start.

    ``starts`` is written when a batch has the key, so it may still list sessions that have ended since. They are not in
    ``table``, and the row goes when the last of its sessions has ended.
    """

    def __init__(self, node: SessionGroupBy, opening: Opening) -> None:
        types = {name: node.key_schema[name] for name in node.keys}
        time = node.key_schema[START]
        super().__init__(node, opening, keys={START: time, **types}, kept={END: time})
        self.keys = list(types)
        self.spans = [*node.keys.values(), node.time.alias(START), node.gap.alias(END)]
        self.starts = StateTable({**types, START: pl.List(time)}, self.keys)
        self.tables = (self.table, self.starts)

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        rows, spans = self._spanned(batch.rows)
        rows, spans, late = self._without_late(rows, spans, batch)
        merged = self._merge(rows, spans)
        gone = self.table.evict(self._ended(batch))
        self.starts.evict(self._ended(batch))
        return batch.with_rows(self._emit(merged.written, gone), self._told(batch, late, merged, gone))

    def _spanned(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the rows that have a session of their own, and beside them their keys, start, end and expiry."""
        spans = rows.select(self.spans)
        gaps = _durations(spans[END])
        fit = (gaps > dt.timedelta(0)).fill_null(value=False) & spans[START].is_not_null()
        if not fit.all():
            rows, spans, gaps = rows.filter(fit), spans.filter(fit), gaps.filter(fit)
        return rows, spans.with_columns((spans[START] + gaps).alias(END)).with_columns(self.expires)

    def _without_late(
        self, rows: pl.DataFrame, spans: pl.DataFrame, batch: Batch
    ) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame | None]:
        """Split off the rows whose own session is behind the late watermark; in complete mode too, as Spark does."""
        if batch.late_watermark is None or self.mode == "batch":
            return rows, spans, None
        late = (spans[EXPIRES] <= batch.late_watermark).fill_null(value=False)
        if not late.any():
            return rows, spans, None
        why = spans.filter(late).with_columns(late_by=pl.duration(microseconds=batch.late_watermark - pl.col(EXPIRES)))
        return rows.filter(~late), spans.filter(~late), rows.filter(late).with_columns(why.drop(EXPIRES))

    # -- merging

    def _merge(self, rows: pl.DataFrame, spans: pl.DataFrame) -> _Merged:
        """Merge a batch's rows with one another and with the open sessions of their keys."""
        if not len(rows):
            return _Merged(pl.DataFrame(schema=self.table.schema))
        spans = spans.with_row_index(ROW).with_columns(pl.col(ROW).first().over(self.keys).alias(KEY))
        keys = spans.filter(pl.col(ROW) == pl.col(KEY)).drop(ROW)
        held = self._held(keys)
        swept = _swept(held.rows, spans)
        sessions = _joined(swept)
        of_held, of_rows = swept[SESSION].head(len(held.rows)), swept[SESSION].tail(len(rows))
        new, numbers = self._new(rows, of_rows, sessions, spans)
        at = _places(numbers, len(sessions))[of_held.to_numpy()]
        written, replaced = self._write(new, held, at)
        self._list(sessions, keys, held.key_slots)
        return _Merged(written, replaced, len(sessions))

    def _held(self, keys: pl.DataFrame) -> _Held:
        """Look up the open sessions of some keys, each key's in the order in which they opened."""
        key_slots = self.starts.find(keys)
        known = key_slots >= 0
        listed = self.starts.rows(key_slots[known]).with_columns(keys[KEY].filter(known))
        listed = listed.explode(START)
        slots = self.table.find(listed)
        still = slots >= 0
        rows = self.table.rows(slots[still]).with_columns(listed[KEY].filter(still))
        return _Held(rows, slots[still], key_slots)

    def _new(
        self, rows: pl.DataFrame, session: pl.Series, sessions: pl.DataFrame, spans: pl.DataFrame
    ) -> tuple[pl.DataFrame, pl.Series]:
        """Aggregate the batch's rows by session; return them as rows of state, and the sessions' numbers."""
        parts = rows.group_by(session, maintain_order=True).agg(self._parts_of(rows))
        whole = parts.join(sessions, on=SESSION, how="left", maintain_order="left")
        whole = whole.hstack(spans[self.keys][whole[KEY]]).with_columns(self.expires)
        return whole.select(self.table.schema.names()), whole[SESSION]

    def _write(self, new: pl.DataFrame, held: _Held, at: NDArray[np.int64]) -> tuple[pl.DataFrame, int]:
        """Write sessions, on top of the held ones that go up in them: ``at`` says in which, -1 in none.

        Return what is written, and how many held ones are gone for a session with an earlier start.
        """
        up = at >= 0
        old, slots, at = held.rows.filter(up), held.slots[up], at[up]
        new = self._onto(new, old, at)
        same = (old[START] == new[START][at]).to_numpy()
        targets = np.full(len(new), -1, np.int64)
        targets[at[same]] = slots[same]
        self.table.remove(slots[~same])
        self.table.upsert(new, targets)
        return new, int((~same).sum())

    def _onto(self, new: pl.DataFrame, old: pl.DataFrame, at: NDArray[np.int64]) -> pl.DataFrame:
        """Merge old sessions into the new ones at ``at``, the last opened first, so that order is kept."""
        turns = _turns(at)
        for turn in reversed(range(turns.max(initial=-1) + 1)):
            now = turns == turn
            merged = self._pairs(new[at[now]], old.filter(now))
            place = np.arange(len(new))
            place[at[now]] = len(new) + np.arange(len(merged))
            new = pl.concat([new, merged])[place]
        return new

    def _list(self, sessions: pl.DataFrame, keys: pl.DataFrame, key_slots: Slots) -> None:
        """Write down where the sessions of the batch's keys start, and when the last of them ends."""
        listed = sessions.group_by(KEY).agg(START, pl.col(END).max()).sort(KEY)
        self.starts.upsert(listed.hstack(keys[self.keys]).with_columns(self.expires), key_slots)

    def _told(self, batch: Batch, late: pl.DataFrame | None, merged: _Merged, gone: pl.DataFrame) -> StepTrace:
        """Count as Spark does: a batch writes all sessions of its keys, and one that went up in another is removed."""
        trace = self._trace(batch, late, merged.written, gone)
        return replace(trace, num_rows_updated=merged.open, num_rows_removed=len(gone) + merged.replaced)


def _swept(held: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Return KEY, START and END of the held sessions, then of the rows, with ROW and the SESSION that each is in.

    In order of key and start, a session begins where the key does, or where a start is behind all ends before it.
    """
    all_ = pl.concat([frame.select(KEY, START, END) for frame in (held, spans)]).with_row_index(ROW)
    reach = pl.col(END).cum_max().over(KEY).shift(1)
    begins = (pl.col(KEY) != pl.col(KEY).shift(1)) | (pl.col(START) > reach)
    swept = all_.sort(KEY, START).with_columns(begins.fill_null(value=True).cum_sum().alias(SESSION))
    return swept.sort(ROW)


def _joined(swept: pl.DataFrame) -> pl.DataFrame:
    """Return the sessions in the order in which they opened."""
    edges = pl.col(START).min(), pl.col(END).max(), pl.col(KEY).first()
    return swept.group_by(SESSION, maintain_order=True).agg(*edges)


def _places(numbers: pl.Series, largest: int) -> NDArray[np.int64]:
    """Return for every number up to the largest where it stands, -1 where it does not."""
    places = np.full(largest + 1, -1, np.int64)
    places[numbers.to_numpy()] = np.arange(len(numbers))
    return places


def _turns(at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the elements that are equal: 0 for the first of each, 1 for the second."""
    order = np.argsort(at, kind="stable")
    turns = np.empty_like(at)
    turns[order] = np.arange(len(at)) - np.searchsorted(at[order], at[order])
    return turns


def _durations(gaps: pl.Series) -> pl.Series:
    """Return gaps as durations, null where text says none."""
    if gaps.dtype == pl.String:
        texts = gaps.drop_nulls().unique()
        gaps = gaps.replace_strict(texts, [_read(text) for text in texts], default=None, return_dtype=pl.Int64)
    return gaps.cast(pl.Duration("us"))


def _read(text: str) -> int | None:
    try:
        return duration(text, "session_window")
    except PlanError:
        return None
