"""Session windows: random streams against a slow oracle that keeps every row."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations
from operator import itemgetter

import pandas as pd
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

import streamnb as sn
from tests.oracle import EPOCH, Mark, Operator, Row, Times, Twin
from tests.play import bag

SCHEMA = {"at": "datetime", "user": "string", "v": "int64", "pause": "string"}


@dataclass
class Session:
    start: pd.Timestamp
    end: pd.Timestamp
    user: str | None
    rows: list[tuple[int, Row]]
    fresh: bool = False

    def meets(self, other: Session) -> bool:
        return self.user == other.user and self.start <= other.end and other.start <= self.end

    def take(self, other: Session) -> None:
        self.start, self.end = min(self.start, other.start), max(self.end, other.end)
        self.rows, self.fresh = self.rows + other.rows, self.fresh or other.fresh

    def answer(self) -> Row:
        all_ = [row["v"] for _, row in self.rows]
        values = [v for v in all_ if v is not None]
        total = sum(values) if values else None
        window = {"window_start": self.start, "window_end": self.end}
        return {**window, "user": self.user, "n": len(self.rows), "total": total, "all": values, "first": all_[0]}


@dataclass
class Sessions(Operator):
    """Open sessions in the order in which they opened; any two that meet become one, until none do."""

    mode: str
    gap: str | None
    open: list[Session] = field(default_factory=list)

    def run(self, rows: list[Row], times: Times) -> list[Row]:
        own = [session for row in rows for session in self._own(row)]
        self.dropped = [session.rows[0][1] for session in own if self._behind(session, times.late)]
        for session in self.open:
            session.fresh = False
        self.open += [session for session in own if not self._behind(session, times.late)]
        self._merge()
        ended = [s for s in self.open if self.mode != "complete" and self._behind(s, times.evict)]
        shown = {"append": ended, "update": [s for s in self.open if s.fresh], "complete": self.open}[self.mode]
        told = [session.answer() for session in shown]
        self.open = [session for session in self.open if not any(session is e for e in ended)]
        return told

    def _own(self, row: Row) -> list[Session]:
        try:
            gap = pd.Timedelta(self.gap or row["pause"] or 0)
        except ValueError:
            return []
        if row["at"] is None or gap <= pd.Timedelta(0):
            return []
        return [Session(row["at"], row["at"] + gap, row["user"], [(0, row)], fresh=True)]

    def _merge(self) -> None:
        """The rows of a merged session go by the order in which its sessions opened."""
        for number, session in enumerate(self.open):
            session.rows = [(number, row) for _, row in session.rows]
        while pair := next((p for p in combinations(self.open, 2) if p[0].meets(p[1])), None):
            pair[0].take(pair[1])
            self.open = [session for session in self.open if session is not pair[1]]
        for session in self.open:
            session.rows.sort(key=itemgetter(0))

    def _behind(self, session: Session, watermark: pd.Timestamp | None) -> bool:
        return watermark is not None and session.end <= watermark

    def asks(self) -> bool:
        return self.mode != "complete"

    def held(self) -> int:
        return len(self.open)


TIMES = st.none() | st.integers(0, 90).map(lambda second: EPOCH + pd.Timedelta(seconds=second))
PAUSES = st.sampled_from(["3 seconds", "9 seconds", "30 seconds", "0 seconds", "-4 seconds", "soon", None])
ROWS = st.fixed_dictionaries(
    {"at": TIMES, "user": st.sampled_from(["ann", "bob", None]), "v": st.none() | st.integers(0, 9), "pause": PAUSES}
)
STREAMS = st.lists(st.lists(ROWS, max_size=6), min_size=1, max_size=8)
MODES = st.sampled_from(["append", "update", "complete"])
GAPS = st.sampled_from(["5 seconds", None])
VALUES = {"n": sn.count(), "total": sn.sum("v"), "all": sn.collect_list("v"), "first": sn.first("v")}


def given_to(batches: list[list[Row]], delay: str, gap: str | None) -> tuple[sn.StreamFrame, sn.MemorySource]:
    source = sn.MemorySource(SCHEMA)
    for rows in batches:
        source.add(pl.DataFrame(rows, schema=source.schema))
    frame = sn.stream(source).with_watermark("at", delay)
    return frame.group_by(sn.session_window("at", gap or "pause"), "user").agg(**VALUES), source


@settings(max_examples=40, deadline=None)
@given(batches=STREAMS, mode=MODES, gap=GAPS, delay=st.sampled_from(["0 seconds", "10 seconds", "40 seconds"]))
def test_every_batch_is_the_oracles(batches, mode, gap, delay):
    frame, source = given_to(batches, delay, gap)
    twin = Twin([[Mark("at", delay), Sessions(mode, gap)]])
    for rows in batches:
        twin.batch(rows)
    twin.idle()
    with frame.query(mode) as query:
        query.run()
    assert len(query.trace) == len(twin.told)
    for trace, expected in zip(query.trace, twin.told, strict=True):
        (step,) = trace.steps
        assert bag(trace.emitted) == bag(pl.DataFrame(expected.rows, schema=frame.node.schema))
        assert step.num_rows_total == expected.held
        assert _late(step) == bag(pl.DataFrame(expected.dropped, schema=source.schema))
        assert trace.watermark == expected.watermark


def _late(step):
    return [] if step.late is None else bag(step.late[list(SCHEMA)])


@settings(max_examples=25, deadline=None)
@given(batches=STREAMS, mode=MODES, gap=GAPS, back=st.integers(-1, 7))
def test_a_rewound_query_does_the_same_again(batches, mode, gap, back):
    frame, _ = given_to(batches, "10 seconds", gap)
    with frame.query(mode) as query:
        before = [trace.emitted for trace in query.run().trace]
        query.rewind(min(back, len(before) - 1)).run()
        assert [trace.emitted.rows() for trace in query.trace] == [rows.rows() for rows in before]


@settings(max_examples=25, deadline=None)
@given(batches=STREAMS, gap=GAPS)
def test_how_rows_are_cut_into_batches_does_not_matter(batches, gap):
    frame, _ = given_to(batches, "100 seconds", gap)
    whole = frame.collect()
    with frame.query("complete") as query:
        query.run()
    names = ["window_start", "window_end", "user", "n", "total"]
    assert bag(pl.from_pandas(query.result)[names]) == bag(pl.from_pandas(whole)[names])
