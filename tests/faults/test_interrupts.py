"""Kernel → Interrupt at any place: whatever line it hits, the query can go on, and nothing is lost or doubled."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import streamnb as sn

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Polars drops some of them
INTERRUPTS = 100
"""So many real signals for each way to run."""

SCHEMA = {"at": "datetime", "key": "string", "value": "int64"}


class Alarm:
    """A signal that comes after a random time, and interrupts as the kernel does."""

    def __init__(self) -> None:
        self.count, self._rung, self._armed, self._random = 0, 0, False, random.Random(7)  # noqa: S311  a place to interrupt

    def rings(self, *_: int | FrameType | None) -> None:
        if self._armed:
            self._armed = False
            self._rung += 1
            raise KeyboardInterrupt

    def interrupts(self, work: Callable[[], object], seconds: float) -> bool:
        """Do something that may be interrupted within so many seconds; tell whether it was.

        Polars tells some interrupts as errors of its own: whatever is raised after the signal is one.
        """
        before = self._rung
        try:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, self._random.uniform(1e-6, seconds))
            work()
            self._armed = False
        except BaseException:
            if self._rung == before:
                raise
            self.count += 1
            return True
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
        return False


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


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def stepped(query: sn.Query) -> None:
    while query.step() is not None:
        pass


@pytest.mark.parametrize("work", [sn.Query.run, stepped])
def test_an_interrupt_in_a_query_in_memory(
    alarm: Alarm, expected: dict[str, Any], work: Callable[[sn.Query], object]
) -> None:
    usual = seconds_of(counted(filled()).query().run) / 3
    while alarm.count < INTERRUPTS:
        query = counted(filled()).query()
        while alarm.interrupts(lambda query=query: work(query), usual):  # type: ignore[misc]
            pass
        assert told(query) == expected


def test_an_interrupt_in_a_query_with_a_checkpoint_and_a_sink(
    alarm: Alarm, expected: dict[str, Any], tmp_path: Path
) -> None:
    def opened(number: int) -> sn.Query:
        sink = sn.sinks.SQLite(tmp_path / f"{number}.db", "found")
        return counted(filled()).query(sink=sink, checkpoint=tmp_path / str(number))

    usual, number = seconds_of(opened(-1).run) / 5, 0
    while alarm.count < INTERRUPTS:
        query = opened(number)
        while alarm.interrupts(query.run, usual):
            pass
        assert told(query) == expected
        query.stop()
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as db:
            found = db.execute("SELECT key, n, total FROM found").fetchall()
        assert sorted(found) == sorted(tuple(row[2:]) for batch in expected["emitted"] for row in batch["data"])
        again = opened(number)
        assert told(again)["state"] == expected["state"]
        assert again.watermark == expected["watermark"]
        again.stop()
        number += 1


def test_an_interrupt_in_the_foreground_while_it_plays(alarm: Alarm, expected: dict[str, Any]) -> None:
    while alarm.count < 20:
        query = counted(filled()).query(trigger="0s")
        for work in (query.play, lambda query=query: query.await_termination(0.02), query.pause):
            alarm.interrupts(work, 0.002)
        query.pause()
        query.run()
        assert told(query) == expected
        alarm.interrupts(query.stop, 0.001)
        assert query.stop().status == "stopped"
        assert not query.playing


def test_an_interrupt_while_it_rewinds_or_recovers(alarm: Alarm, tmp_path: Path) -> None:
    def opened(number: int) -> sn.Query:
        return counted(filled(4)).query(checkpoint=tmp_path / str(number), no_data_batches=False)

    expected, number = told(opened(-1).run()), 0
    while alarm.count < 10:
        query = opened(number).run()
        usual = seconds_of(lambda query=query: query.rewind(to=2).recover())  # type: ignore[misc]
        query.run()
        alarm.interrupts(lambda query=query: query.rewind(to=1).recover(), usual)  # type: ignore[misc]
        query.step()
        query.stop()
        again = opened(number).run()
        assert (told(again)["state"], again.watermark) == (expected["state"], expected["watermark"])
        again.stop()
        number += 1
