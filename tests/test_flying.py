"""Flying: a batch is written down and given to the sink while the next one is computed, and nobody can tell."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing

import polars as pl
import pytest

import streamnb as sn
from streamnb import points

LONG = 30
"""Seconds that nobody waits unless something hangs."""


class Slow:
    """A sink that lets go of a batch when it is told to."""

    overlaps = True

    def __init__(self, fails_at: int = -1) -> None:
        self.written: list[tuple[int, list[int]]] = []
        self.let = threading.Event()
        self.let.set()
        self._fails_at = fails_at

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        assert self.let.wait(LONG)
        if batch_id == self._fails_at:
            self._fails_at = -1
            raise OSError("the disk is full")
        self.written.append((batch_id, rows["n"].to_list()))


def source(batches: int = 5) -> sn.MemorySource:
    found = sn.MemorySource({"k": "int64"})
    for n in range(batches):
        found.add([{"k": n % 2}])
    return found


def counted(rows: sn.StreamFrame) -> sn.StreamFrame:
    return rows.group_by("k").agg(n=sn.count())


EXPECTED = [(0, [1]), (1, [1]), (2, [2]), (3, [2]), (4, [3])]


def test_the_next_batch_is_computed_while_the_sink_is_at_work(tmp_path):
    sink = Slow()
    sink.let.clear()

    def seen(rows):
        if rows["k"].to_list() == [1]:
            sink.let.set()  # batch 1 is computed, and batch 0 waits for it
        return rows

    rows = sn.stream(source()).map_batches(seen, schema={"k": "int64"})
    query = counted(rows).query("update", sink=sink, checkpoint=tmp_path).run()
    assert sink.written == EXPECTED
    assert [p.batch_id for p in query.progress] == [0, 1, 2, 3, 4]
    assert [p.sink for p in query.progress] == [{"num_output_rows": 1, "num_retries": 0}] * 5


def test_a_step_does_not_leave_before_the_sink_has_its_rows():
    sink = Slow()
    query = counted(sn.stream(source())).query("update", sink=sink)
    query.step()
    assert sink.written == EXPECTED[:1]


@pytest.mark.parametrize("fails_at", range(5))
def test_a_sink_that_fails_takes_the_batch_behind_it_back(tmp_path, fails_at):
    sink = Slow(fails_at)
    query = counted(sn.stream(source())).query("update", sink=sink, checkpoint=tmp_path, sink_retries=0)
    with pytest.raises(sn.QueryError, match=f"failed on batch {fails_at}, 1 rows: OSError the disk is full"):
        query.run()
    assert query.status == "failed"
    assert [p.batch_id for p in query.progress] == list(range(fails_at))
    assert len(query.run().progress) == 5
    assert sink.written == EXPECTED
    assert query.state["n"].tolist() == [2, 3]


def test_a_batch_that_fails_leaves_the_one_before_it_delivered(tmp_path):
    broken = [True]

    def seen(rows):
        if broken[0] and len(sink.written) >= 2:
            raise ValueError("no")
        return rows

    sink = Slow()
    rows = sn.stream(source()).map_batches(seen, schema={"k": "int64"})
    query = counted(rows).query("update", sink=sink, checkpoint=tmp_path)
    with pytest.raises(sn.QueryError, match="ValueError no"):
        query.run()
    delivered = len(query.progress)
    assert sink.written == EXPECTED[:delivered]
    broken[0] = False
    query.run().stop()
    assert sink.written == EXPECTED
    again = counted(sn.stream(source())).query("update", sink=Slow(), checkpoint=tmp_path)
    assert again.run().progress == []
    again.stop()


def test_the_log_holds_the_commit_of_a_batch_before_the_next_is_begun(tmp_path):
    told: list[str] = []
    query = counted(sn.stream(source())).query("update", sink=Slow(), checkpoint=tmp_path)
    points.listen(told.append)
    try:
        query.run()
    finally:
        points.listen(None)
    written = [point for point in told if point in {"offsets.begun", "state.done", "sink.begin", "commits.done"}]
    assert written == ["offsets.begun", "state.done", "sink.begin", "commits.done"] * 5
    assert told.index("batch.begin", 1) < told.index("commits.done")


def test_a_stop_waits_for_the_batch_on_its_way(tmp_path):
    sink = Slow()
    begun, ended = threading.Event(), list[str]()
    sink.let.clear()

    def seen(rows):
        if rows["k"].to_list() == [1]:
            begun.set()
        return rows

    rows = sn.stream(source()).map_batches(seen, schema={"k": "int64"})
    query = counted(rows).query("update", sink=sink, checkpoint=tmp_path)

    def run():
        with pytest.raises(sn.QueryError, match="stopped") as raised:
            query.run()
        ended.append(str(raised.value))

    running = threading.Thread(target=run)
    running.start()
    assert begun.wait(LONG)
    stopping = threading.Thread(target=query.stop)
    stopping.start()
    assert query._inputs.ended.wait(LONG)
    sink.let.set()
    for thread in (running, stopping):
        thread.join(LONG)
        assert not thread.is_alive()
    assert sink.written == EXPECTED[: len(sink.written)]
    assert query.stopped
    assert len(ended) == 1


def test_a_batch_whose_thread_never_began_is_done_again(tmp_path, monkeypatch):
    def interrupted(_: threading.Thread) -> None:
        raise KeyboardInterrupt

    sink = Slow()
    query = counted(sn.stream(source())).query("update", sink=sink, checkpoint=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            query.run()
    assert (sink.written, query.progress) == ([], [])
    query.run()
    assert sink.written == EXPECTED


def test_sqlite_and_checkpoint_agree_after_every_way_to_run(tmp_path):
    def there(path):
        with closing(sqlite3.connect(path)) as db:
            return sorted(db.execute("SELECT k, n FROM t").fetchall())

    ways: dict[str, Callable[[sn.Query], object]] = {"run": sn.Query.run, "step": lambda q: [*iter(q.step, None)]}
    for name, work in ways.items():
        sink = sn.sinks.SQLite(tmp_path / f"{name}.db", "t", key="k")
        query = counted(sn.stream(source(250))).query("update", sink=sink, checkpoint=tmp_path / name)
        work(query)
        assert len(query.progress) == 250
        query.stop()
        assert there(tmp_path / f"{name}.db") == [(0, 125), (1, 125)]
        assert list(sn.recover(tmp_path / name).batches["batch_id"])[-1] == 249


LOOKED_AT_WHILE_WRITTEN = """
import threading
import polars as pl
from streamnb.state_files import packed

frame, done = pl.DataFrame({"k": list(range(5000))}), threading.Event()


def write() -> None:
    for _ in range(300):
        packed({}, [frame], "uncompressed")
    done.set()


threading.Thread(target=write, daemon=True).start()
while not done.is_set():
    len(frame)
"""


def test_a_frame_may_be_looked_at_while_it_is_written():
    subprocess.run([sys.executable, "-c", LOOKED_AT_WHILE_WRITTEN], check=True, timeout=LONG)
