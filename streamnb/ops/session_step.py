"""The step of a group_by with sessions: rows and open sessions of a key, swept in order of time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from streamnb.bins import Bins, whole_numbers
from streamnb.errors import PlanError
from streamnb.hash_index import Slots
from streamnb.ops.folding import FoldStep
from streamnb.order import ordered
from streamnb.plan import Batch, Opening, late_name
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES, FOREVER, StateTable, taken
from streamnb.time import duration
from streamnb.windows import END, START, beside

if TYPE_CHECKING:
    from streamnb.ops.session import SessionGroupBy

ROW, KEY, SESSION = "__row", "__key", "__session"
"""A row's number; that of the first row with its key, which names the key; the session's number."""


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
        by = pl.duration(microseconds=batch.late_watermark - pl.col(EXPIRES)).alias(late_name(rows.columns))
        why = spans.filter(late).with_columns(by)
        return rows.filter(~late), spans.filter(~late), beside(rows.filter(late)).with_columns(why.drop(EXPIRES))

    # -- merging

    def _merge(self, rows: pl.DataFrame, spans: pl.DataFrame) -> _Merged:
        """Merge a batch's rows with one another and with the open sessions of their keys."""
        if not len(rows):
            return _Merged(pl.DataFrame(schema=self.table.schema))
        first = self._first_rows(spans)
        number = np.flatnonzero(first == np.arange(len(first)))
        keys = taken(spans, number).with_columns(pl.Series(KEY, number))
        held = self._held(keys)
        session, sessions = self._swept(held.rows, spans, first)
        new, numbers = self._new(rows, session[len(held.rows) :], sessions, spans)
        at = _places(numbers, len(sessions))[session[: len(held.rows)]]
        written, replaced = self._write(new, held, at)
        self._list(sessions, keys, held.key_slots)
        return _Merged(written, replaced, len(sessions))

    def _first_rows(self, spans: pl.DataFrame) -> NDArray[np.int64]:
        """Return for every row the number of the first row with its key."""
        columns = [column for name in self.keys if (column := whole_numbers(spans[name])) is not None]
        bins = Bins.by(columns) if columns and len(columns) == len(self.keys) else None
        if bins is not None:
            return bins.least[bins.of]
        numbered = spans.select(self.keys).with_row_index(ROW)
        return numbered.select(pl.col(ROW).first().over(self.keys).cast(pl.Int64)).to_series().to_numpy()

    def _swept(
        self, held: pl.DataFrame, spans: pl.DataFrame, first: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], pl.DataFrame]:
        """Return the session that each of the held sessions and then of the rows is in, and these as they opened.

        In order of key and start, a session begins where the key does, or where a start is behind all ends before it.
        """
        key = np.concatenate([held[KEY].to_numpy(), first])
        start, end = (_numbers(held[name], spans[name]) for name in (START, END))
        order = ordered(start)
        order = order[ordered(key[order])]
        key, start, end = key[order], start[order], end[order]
        begins = _begins(key, start, end)
        edges = np.flatnonzero(begins)
        opened = np.argsort(np.minimum.reduceat(order, edges))
        number = np.empty_like(order)
        number[order] = _places(opened, len(edges))[np.cumsum(begins) - 1]
        times = {START: start[edges], END: np.maximum.reduceat(end, edges)}
        columns = [pl.Series(name, time[opened]).cast(self.table.schema[name]) for name, time in times.items()]
        return number, pl.DataFrame([*columns, pl.Series(KEY, key[edges[opened]])])

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
        self, rows: pl.DataFrame, session: NDArray[np.int64], sessions: pl.DataFrame, spans: pl.DataFrame
    ) -> tuple[pl.DataFrame, NDArray[np.int64]]:
        """Aggregate the batch's rows by session; return them as rows of state, and the sessions' numbers."""
        bins = Bins(session, len(sessions))
        parts = self._binned(rows, bins)
        if parts is None:
            grouped = rows.group_by(pl.Series(SESSION, session), maintain_order=True).agg(self._parts_of(rows))
            parts = grouped.drop(SESSION).get_columns()
        whole = taken(sessions, bins.groups).hstack(parts)
        whole = self._with_expires(whole.hstack(taken(spans[self.keys], whole[KEY].to_numpy())))
        return whole[self.table.schema.names()], bins.groups

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
        listed = (
            sessions.sort(KEY, maintain_order=True).group_by(KEY, maintain_order=True).agg(START, pl.col(END).max())
        )
        self.starts.upsert(self._with_expires(listed.hstack(keys[self.keys])), key_slots)

    def _told(self, batch: Batch, late: pl.DataFrame | None, merged: _Merged, gone: pl.DataFrame) -> StepTrace:
        """Count as Spark does: a batch writes all sessions of its keys, and one that went up in another is removed."""
        counts = merged.open, len(gone) + merged.replaced
        return self._trace(batch, late, merged.written, gone, counts)


def _numbers(held: pl.Series, new: pl.Series) -> NDArray[np.int64]:
    return np.concatenate([held.cast(pl.Int64).to_numpy(), new.cast(pl.Int64).to_numpy()])


def _begins(key: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell where a session begins, in order of key and start.

    The ends of a key are lifted above all those of the keys before it: so the largest end so far is one pass. Where
    the times are too far apart for that, their ranks stand for them.
    """
    new_key = np.concatenate([[True], key[1:] != key[:-1]])
    rank, low = np.cumsum(new_key), int(start.min())
    span = int(end.max()) - low + 1
    if span > FOREVER // int(rank[-1] + 1):
        ranks = np.unique(np.concatenate([start, end]), return_inverse=True)[1]
        start, end, low, span = ranks[: len(start)], ranks[len(start) :], 0, len(ranks)
    lift = rank * span - low
    reach = np.maximum.accumulate(end + lift)
    begins: NDArray[np.bool_] = new_key
    begins[1:] |= (start + lift)[1:] > reach[:-1]
    return begins


def _places(numbers: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return for every number below the count where it stands, -1 where it does not."""
    places = np.full(count, -1, np.int64)
    places[numbers] = np.arange(len(numbers))
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
