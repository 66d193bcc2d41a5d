"""Kernel → Interrupt at any place: whatever line it hits, the query can go on, and nothing is lost or doubled."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import streamnb as sn

INTERRUPTS = 100
"""So many real signals for each way to run."""

SCHEMA = {"at": "datetime", "key": "string", "value": "int64"}


class Alarm:
    """A signal that comes after a random time, and interrupts as the kernel does."""

    def __init__(self) -> None:
        self.count, self._armed, self._random = 0, False, random.Random(7)

    def rings(self, *_: int | FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise KeyboardInterrupt

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Do something that may be interrupted within so many seconds."""
        self._armed = True
        try:
            signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, seconds))
            yield
        except KeyboardInterrupt:
            self.count += 1
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    alarm = Alarm()
    before = signal.signal(signal.SIGALRM, alarm.rings)
    yield alarm
    signal.signal(signal.SIGALRM, before)


def rows(batch: int) -> list[dict[str, object]]:
    """Return a batch with a row that comes twice, one that is late, and new ones."""
    seconds = [batch * 7, batch * 7, batch * 7 + 3, max(0, batch * 7 - 30)]
    return [
        {"at": f"2026-01-01 00:{s // 60:02d}:{s % 60:02d}", "key": f"k{s % 3}", "value": s + batch} for s in seconds
    ]


def filled(batches: int = 10) -> sn.MemorySource:
    source = sn.MemorySource(SCHEMA)
    for batch in range(batches):
        source.add(rows(batch))
    return source


def counted(source: sn.MemorySource) -> sn.StreamFrame:
    fresh = sn.stream(source).with_watermark("at", "10 seconds").drop_duplicates(["at", "key"])
    return fresh.group_by(sn.window("at", "10 seconds", "5 seconds"), "key").agg(n=sn.count(), total=sn.sum("value"))


def told(query: sn.Query) -> dict[str, Any]:
    """Return all that a query can be asked for, to compare."""
    return {
        "emitted": [batch.to_dict("split") for batch in query.emitted],
        "state": query.state.astype(str).sort_values(query.state.columns.tolist(), ignore_index=True).to_dict("split"),
        "late": query.late.astype(str).to_dict("split"),
        "watermark": query.watermark,
        "batches": [(p.batch_id, p.num_input_rows) for p in query.progress],
        "traced": [(t.batch_id, t.watermark, len(t.rows)) for t in query.trace],
    }


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return told(counted(filled()).query().run())


def interrupted(alarm: Alarm, work: Callable[[], object], is_done: Callable[[], bool], seconds: float) -> None:
    """Do some work again and again, interrupted each time, until it is done."""
    while not is_done():
        with alarm.within(seconds):
            work()


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@pytest.mark.parametrize("how", ["run", "step"])
def test_an_interrupt_in_a_query_in_memory(alarm: Alarm, expected: dict[str, Any], how: str) -> None:
    usual = seconds_of(counted(filled()).query().run) / (3 if how == "run" else 12)
    while alarm.count < INTERRUPTS:
        query, finished = counted(filled()).query(), []

        def work(query: sn.Query = query, finished: list[bool] = finished) -> None:
            if how == "run":
                query.run()
                finished.append(True)
            elif query.step() is None:
                finished.append(True)

        interrupted(alarm, work, lambda finished=finished: bool(finished), usual)  # type: ignore[misc]
        assert told(query) == expected


def test_an_interrupt_in_a_query_with_a_checkpoint_and_a_sink(
    alarm: Alarm, expected: dict[str, Any], tmp_path: Path
) -> None:
    def opened(number: int) -> sn.Query:
        sink = sn.sinks.SQLite(tmp_path / f"{number}.db", "found")
        return counted(filled()).query(sink=sink, checkpoint=tmp_path / str(number))

    usual, number = seconds_of(opened(-1).run) / 3, 0
    while alarm.count < INTERRUPTS:
        query, finished = opened(number), []

        def work(query: sn.Query = query, finished: list[bool] = finished) -> None:
            query.run()
            finished.append(True)

        interrupted(alarm, work, lambda finished=finished: bool(finished), usual)  # type: ignore[misc]
        assert told(query) == expected
        query.stop()
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as db:
            found = db.execute("SELECT key, n, total FROM found").fetchall()
        rows = [(row[2], row[3], row[4]) for batch in expected["emitted"] for row in batch["data"]]
        assert sorted(found) == sorted(rows)
        again = opened(number)
        assert told(again)["state"] == expected["state"]
        assert again.watermark == expected["watermark"]
        again.stop()
        number += 1


def test_an_interrupt_in_the_foreground_while_it_plays(alarm: Alarm, expected: dict[str, Any]) -> None:
    while alarm.count < 20:
        query = counted(filled()).query(trigger="0s")
        for work in (query.play, lambda query=query: query.await_termination(0.02), query.pause):
            with alarm.within(0.002):
                work()
        query.pause()
        query.run()
        assert told(query) == expected
        with alarm.within(0.001):
            query.stop()
        assert query.stop().status == "stopped"
        assert not query.playing


def test_an_interrupt_while_it_rewinds_or_recovers(alarm: Alarm, expected: dict[str, Any], tmp_path: Path) -> None:
    query = counted(filled()).query(checkpoint=tmp_path).run()
    usual = seconds_of(lambda: query.rewind(to=5)) + seconds_of(query.recover)
    while alarm.count < 40:
        query.run()
        assert told(query) == expected
        with alarm.within(usual):
            query.rewind(to=3)
            query.recover()
    query.run()
    assert told(query) == expected
