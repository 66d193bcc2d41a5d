"""sn.recover, q.recover, sinks that fail, and what may change between two runs on one checkpoint."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb import checkpoint as checkpoints
from streamnb import points, retention, state_files
from streamnb.batch_log import Kind
from streamnb.durable import Store
from streamnb.errors import CheckpointMismatchError
from streamnb.log_file import LogReader
from streamnb.state import StateTable

SCHEMA = {"at": "datetime", "key": "string", "value": "int64"}
Change = Callable[[sn.StreamFrame], sn.StreamFrame]


def rows(*seconds: int, key: str = "a") -> list[dict[str, object]]:
    return [{"at": f"2026-01-01 00:00:{second:02d}", "key": key, "value": second} for second in seconds]


@pytest.fixture
def source() -> sn.MemorySource:
    return sn.MemorySource(SCHEMA)


def events(source: sn.MemorySource, delay: str = "5 seconds") -> sn.StreamFrame:
    return sn.stream(source).with_watermark("at", delay)


def windowed(frame: sn.StreamFrame, size: str = "10 seconds", **aggregates: Any) -> sn.StreamFrame:
    return frame.group_by(sn.window("at", size), "key").agg(**(aggregates or {"total": sn.sum("value")}))


class Crash(BaseException):
    """The end of a process, in-process."""


def crash(query: sn.Query, at: str) -> None:
    def die(point: str) -> None:
        if point == at:
            raise Crash

    points.listen(die)
    try:
        with pytest.raises(Crash):
            query.step()
    finally:
        points.listen(None)


# -- sn.recover


def test_a_checkpoint_can_be_looked_at(source: sn.MemorySource, tmp_path: Path) -> None:
    query = windowed(events(source)).query("update", checkpoint=tmp_path)
    source.add(rows(1, 2, 31))
    query.run()
    source.add(rows(3, 4))
    crash(query, "batch.computed")
    query.stop()
    found = sn.recover(tmp_path)
    assert (found.done, found.owner, found.run) == (1, None, 0)
    assert found.watermark == pd.Timestamp("2026-01-01 00:00:26")
    assert found.pending is not None
    assert found.pending.offsets == [2]
    assert list(found.batches["done"]) == [True, True, False]
    (table,) = found.state
    assert list(table["total.sum" if "total.sum" in table else table.columns[2]]) == [31]
    assert "expires_at" in table
    assert "batch 2 was begun, up to 2; it will be done again with the same rows" in repr(found)
    assert f"frame.query(checkpoint='{tmp_path}')" in repr(found)
    assert "group_by" in found._repr_html_()
    assert len(windowed(events(source)).query("update", checkpoint=tmp_path).run().late) == 2


def test_looking_does_not_disturb_a_query_that_runs(source: sn.MemorySource, tmp_path: Path) -> None:
    query = windowed(events(source)).query("update", checkpoint=tmp_path)
    source.add(rows(1))
    query.step()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    found = sn.recover(tmp_path)
    assert found.owner is not None
    assert f"process {found.owner} runs a query on this folder" in repr(found)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    source.add(rows(2))
    assert query.run().result["total"].tolist() == [3]


def test_a_folder_that_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(sn.CheckpointError, match=r"^recover: .* is no checkpoint; name the folder"):
        sn.recover(tmp_path)


def test_nothing_has_run_yet(source: sn.MemorySource, tmp_path: Path) -> None:
    windowed(events(source)).query("update", checkpoint=tmp_path).stop()
    found = sn.recover(tmp_path)
    assert (found.done, found.pending, [len(table) for table in found.state]) == (-1, None, [0])


# -- q.recover


@pytest.mark.parametrize("kept", [True, False])
def test_a_failed_query_is_recovered_by_name(source: sn.MemorySource, tmp_path: Path, kept: bool) -> None:  # noqa: FBT001
    broken = True

    def odd(frame: pd.DataFrame) -> pd.DataFrame:
        if broken and len(query.trace) == 1:
            raise ValueError("odd")
        return frame

    frame = windowed(events(source)).map_batches(
        odd, {"window_start": "datetime", "window_end": "datetime", "key": "string", "total": "int64"}
    )
    query = frame.query("update", checkpoint=tmp_path if kept else None)
    source.add(rows(1))
    query.step()
    source.add(rows(2))
    with pytest.raises(sn.QueryError, match="odd"):
        query.step()
    assert query.status == "failed"
    assert query.state["total"].item() == 3
    assert query.recover().status == "idle"
    assert query.state["total"].item() == 1
    broken = False
    assert query.run().result["total"].tolist() == [1, 3]


def test_recovering_reads_the_disk(source: sn.MemorySource, tmp_path: Path) -> None:
    query = windowed(events(source)).query("update", checkpoint=tmp_path)
    source.add(rows(1))
    query.run()
    file = tmp_path / "log" / "0"
    with LogReader(file) as reader:
        (changes,) = [record for record in reader.records() if record.kind == Kind.CHANGES]
    content = file.read_bytes()
    file.write_bytes(content[: changes.end - 1] + b"?" + content[changes.end :])
    with pytest.raises(sn.CheckpointError, match=r"log/0 is damaged at batch 0"):
        query.recover()


# -- sinks that fail


class Flaky:
    """A sink that fails so many times."""

    def __init__(self, failures: int) -> None:
        self.failures, self.tries, self.got = failures, 0, [0]

    def write(self, batch_id: int, rows: pd.DataFrame, mode: str) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError("the disk is full")
        self.got.append(len(rows))


def test_a_sink_that_fails_is_tried_again_with_longer_and_longer_waits(source: sn.MemorySource) -> None:
    sink, clock = Flaky(3), sn.ManualClock()
    source.add(rows(1, 2))
    query = sn.stream(source).query(sink=sink, clock=clock)
    progress = query.step()
    assert progress is not None
    assert (sink.got, clock.now()) == ([0, 2], 700_000)
    assert progress.sink == {"num_output_rows": 2, "num_retries": 3}


def test_in_the_end_the_query_stops_with_its_state_safe(source: sn.MemorySource, tmp_path: Path) -> None:
    sink, clock = Flaky(6), sn.ManualClock()
    source.add(rows(1, 2))
    query = windowed(events(source)).query("update", sink=sink, clock=clock, sink_retries=5, checkpoint=tmp_path)
    with pytest.raises(sn.QueryError, match=r"sink: Flaky failed 6 times on batch 0, 1 rows: OSError the disk is full"):
        query.step()
    assert query.status == "failed"
    assert clock.now() == 100_000 * (1 + 2 + 4 + 8 + 16)
    source.add(rows(3))
    assert query.run().result["total"].tolist() == [6]
    assert (sink.got, query.status) == ([0, 1, 1, 0], "done")


def test_a_function_is_called_once(source: sn.MemorySource) -> None:
    calls = []

    def sink(_: pd.DataFrame, batch_id: int) -> None:
        calls.append(batch_id)
        raise KeyError("amount")

    source.add(rows(1))
    with pytest.raises(sn.QueryError, match="KeyError"):
        sn.stream(source).query(sink=sink).step()
    assert calls == [0]


def test_stopping_ends_the_wait_at_once(source: sn.MemorySource) -> None:
    tried = threading.Event()

    class Dead:
        def write(self, batch_id: int, rows: pd.DataFrame, mode: str) -> None:
            tried.set()
            raise OSError("no route to host")

    source.add(rows(1))
    query = sn.stream(source).start(sink=Dead(), sink_retries=1_000_000, trigger="0s")
    assert tried.wait(30)
    assert query.stop().status == "stopped"
    assert query._player._thread is not None
    assert not query._player._thread.is_alive()


def test_a_slow_sink_slows_the_source() -> None:
    class Counting:
        schema = {"n": "int64"}  # noqa: RUF012
        read_up_to = 0

        def latest(self) -> int:
            return 1000

        def unit(self, start: int | None) -> Any:
            return sn.connect.Unit((start or 0) + 10) if (start or 0) < 1000 else None

        def read(self, start: int | None, end: int) -> dict[str, list[int]]:
            self.read_up_to = max(self.read_up_to, end)
            return {"n": list(range(start or 0, end))}

        def commit(self, end: int) -> None:
            pass

    source, ahead = Counting(), []
    total: list[int] = []

    def sink(frame: pd.DataFrame, _: int) -> None:
        total.extend(frame["n"])
        ahead.append(source.read_up_to - len(total))

    sn.stream(source).query(sink=sink).run()
    assert total == list(range(1000))
    assert set(ahead) == {0}


# -- the thread


def test_a_system_exit_in_the_background_is_told(source: sn.MemorySource) -> None:
    def leave(_: pd.DataFrame) -> pd.DataFrame:
        raise SystemExit(3)

    source.add(rows(1))
    query = sn.stream(source).map_batches(leave, SCHEMA).start(trigger="0s")
    with pytest.raises(sn.QueryError, match=r"SystemExit 3 in the background; take it out"):
        query.await_termination("30 seconds")
    assert query.status == "failed"
    query.stop()


# -- another query on the same checkpoint


MAY: dict[str, Change] = {
    "another filter": lambda f: windowed(f.filter(sn.col("value") > 0)),
    "a filter above": lambda f: windowed(f).filter(sn.col("total") > 0),
    "more columns": lambda f: windowed(f.with_columns(more=sn.col("value") * 2)),
    "other columns above": lambda f: windowed(f).select("key", twice=sn.col("total") * 2),
    "another spelling": lambda f: windowed(f, "10s", total=sn.sum(sn.col("value"))),
}


def slid(frame: sn.StreamFrame) -> sn.StreamFrame:
    return frame.group_by(sn.window("at", "10 seconds", "5 seconds"), "key").agg(total=sn.sum("value"))


MAY_NOT: dict[str, tuple[Change, str]] = {
    "another aggregate": (lambda f: windowed(f, total=sn.max("value")), "total=sum.*total=max"),
    "an aggregate of another value": (
        lambda f: windowed(f, total=sn.sum(sn.col("value") * 2)),
        "total=sum.value.*total=sum.…",
    ),
    "another window": (lambda f: windowed(f, "20 seconds"), "10 seconds.*20 seconds"),
    "another slide": (slid, "every 5 seconds"),
    "other keys": (lambda f: f.group_by(sn.window("at", "10 seconds")).agg(total=sn.sum("value")), "operator 1 was "),
    "another operator": (lambda f: f.drop_duplicates(["at", "key"]), "group_by.*drop_duplicates"),
    "one more operator": (lambda f: windowed(f.drop_duplicates(["at", "key"])), "group_by.* and is .*drop_duplicates"),
    "no operator": (lambda f: f, "`group_by.*` is gone"),
}


@pytest.mark.parametrize("change", MAY.values(), ids=MAY)
def test_this_may_change(source: sn.MemorySource, tmp_path: Path, change: Change) -> None:
    source.add(rows(1, 2))
    windowed(events(source)).query(checkpoint=tmp_path).run().stop()
    source.add(rows(40))
    result = change(events(source, "1 second")).query(checkpoint=tmp_path).run().result
    assert result.iloc[0, -1] in {3, 6}


@pytest.mark.parametrize(("change", "words"), MAY_NOT.values(), ids=MAY_NOT)
def test_this_may_not_change(source: sn.MemorySource, tmp_path: Path, change: Change, words: str) -> None:
    source.add(rows(1, 2))
    windowed(events(source)).query(checkpoint=tmp_path).run().stop()
    with pytest.raises(CheckpointMismatchError, match=rf"^checkpoint: .*{words}.*new folder\.$") as error:
        change(events(source)).query(checkpoint=tmp_path)
    assert error.value.code == "CHECKPOINT_STATE"
    assert windowed(events(source)).query(checkpoint=tmp_path).status == "idle"


def test_state_where_there_was_none_is_refused(source: sn.MemorySource, tmp_path: Path) -> None:
    events(source).query(checkpoint=tmp_path).stop()
    with pytest.raises(CheckpointMismatchError, match=r"`group_by .*` is new"):
        windowed(events(source)).query(checkpoint=tmp_path)


@pytest.mark.parametrize(
    "other",
    [lambda s: sn.stream(s).union(sn.stream(sn.MemorySource(SCHEMA))), lambda _: sn.from_pandas(pd.DataFrame(rows(1)))],
)
def test_other_sources_are_refused(source: sn.MemorySource, tmp_path: Path, other: Any) -> None:
    sn.stream(source).query(checkpoint=tmp_path).stop()
    with pytest.raises(CheckpointMismatchError, match=r"made with the sources \['MemorySource'\]") as error:
        other(source).query(checkpoint=tmp_path)
    assert error.value.code == "CHECKPOINT_SOURCES"


@pytest.mark.parametrize(("format", "age"), [(1, "an older"), (99, "a newer")])
def test_another_format_is_refused(source: sn.MemorySource, tmp_path: Path, format: int, age: str) -> None:
    sn.stream(source).query(checkpoint=tmp_path).stop()
    store = Store(tmp_path)
    store.write("metadata", json.dumps(json.loads(store.read("metadata")) | {"format": format}).encode())
    with pytest.raises(sn.CheckpointError, match=rf"has format {format}, of {age} streamnb"):
        sn.stream(source).query(checkpoint=tmp_path)


# -- state files


def written(query: sn.Query) -> None:
    """Wait for the snapshot at work."""
    assert query._journal.checkpoint is not None
    query._journal.checkpoint.state.wait()


def test_snapshots_in_the_background_stand_for_what_is_pruned(
    source: sn.MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_files, "SNAPSHOT_DELTAS", 5)
    monkeypatch.setattr(checkpoints, "RETAIN", 10)
    query = sn.stream(source).group_by("key").agg(n=sn.count()).query("update", checkpoint=tmp_path)
    for n in range(64):
        source.add(rows(1, key=f"k{n % 7}"))
        query.step()
        written(query)
    names = [path.name for path in (tmp_path / "state" / "0").iterdir()]
    assert any(name.endswith("snapshot") for name in names)
    assert len(names) < 10
    assert len(list((tmp_path / "log").iterdir())) == 2
    query.rewind(to=55)
    query.stop()
    again = sn.stream(source).group_by("key").agg(n=sn.count()).query("update", checkpoint=tmp_path).run()
    assert sorted(again.state["n"]) == [9] * 6 + [10]
    with pytest.raises(sn.QueryError, match=r"rewind: batch 3 is not there|no longer has batch 3"):
        again.rewind(3)


@pytest.mark.parametrize("step", points.STEPS[:4])
def test_a_snapshot_that_is_cut_short_does_no_harm(
    source: sn.MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(state_files, "SNAPSHOT_DELTAS", 2)
    query = windowed(events(source)).query("update", checkpoint=tmp_path)

    def full(point: str) -> None:
        if point == f"snapshot.{step}":
            raise OSError("no space left")

    points.listen(full)
    try:
        for n in range(6):
            source.add(rows(n))
            query.step()
            written(query)
    finally:
        points.listen(None)
    query.stop()
    assert windowed(events(source)).query("update", checkpoint=tmp_path).state["total"].item() == 15


def test_a_log_that_is_missing_is_named(
    source: sn.MemorySource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "RETAIN", 3)
    monkeypatch.setattr(state_files.StateFiles, "stands", lambda *_: False)
    query = windowed(events(source)).query("update", checkpoint=tmp_path)
    for n in range(8):
        source.add(rows(n))
        query.step()
    query.stop()
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == ["0", "1", "2"]
    (tmp_path / "log" / "1").unlink()
    with pytest.raises(sn.CheckpointError, match=r"log/1 is missing"):
        windowed(events(source)).query("update", checkpoint=tmp_path)
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(sn.CheckpointError, match=r"log is missing"):
        windowed(events(source)).query("update", checkpoint=tmp_path)


@pytest.mark.parametrize("at", ["rewind.done", "rewind.begun"])
def test_rewinding_that_is_cut_short_is_finished_or_has_not_begun(
    source: sn.MemorySource, tmp_path: Path, at: str
) -> None:
    for n in range(4):
        source.add(rows(n))
    query = windowed(events(source)).query("update", checkpoint=tmp_path).run()

    def die(point: str) -> None:
        if point == at:
            raise Crash

    points.listen(die)
    try:
        with pytest.raises(Crash):
            query.rewind(to=1)
    finally:
        points.listen(None)
    query.stop()
    again = windowed(events(source)).query("update", checkpoint=tmp_path)
    assert again.state["total"].item() == (1 if at == "rewind.done" else 6)
    assert again.run().state["total"].item() == 6


def test_a_zombie_whose_lock_was_deleted_is_told(source: sn.MemorySource, tmp_path: Path) -> None:
    zombie = windowed(events(source)).query("update", checkpoint=tmp_path / "a")
    (tmp_path / "a" / "LOCK").unlink()
    (tmp_path / "b").symlink_to(tmp_path / "a")
    Store(tmp_path / "b").write("epoch", json.dumps({"epoch": 1}).encode())
    source.add(rows(1))
    with pytest.raises(sn.CheckpointError, match=r"run 1 of this query has taken .* over, and this is run 0; stop it"):
        zombie.step()


def test_a_key_that_is_removed_and_written_again_in_one_batch_is_there() -> None:
    table = StateTable({"k": pl.String(), "v": pl.Int64()}, ["k"])

    def row(value: int) -> pl.DataFrame:
        return pl.DataFrame({"k": ["a"], "v": [value], "__expires": pl.Series([None], dtype=pl.Int64)})

    twin = table.like()
    for batch in ([1], [None, 2], [None, 3, None], [4, None, 5, None, 6], [None]):
        for value in batch:
            if value is None:
                table.remove(table.find(row(0)))
            else:
                table.upsert(row(value))
        twin.apply(table.commit())
        assert twin.frame().equals(table.frame())
        assert len(twin) == len(table) == (batch[-1] is not None)


# -- memory


def test_old_batches_let_go_of_their_rows_and_keep_their_numbers(
    source: sn.MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BUDGET", 4_000)
    query = windowed(events(source, "0 seconds")).query("update", no_data_batches=False)
    for n in range(40):
        source.add(rows(*([n] * 20), 0))
    query.run()
    held = [len(trace.rows) for trace in query.trace]
    assert held == [0] * held.count(0) + [21] * (40 - held.count(0))
    assert 0 < held.count(0) < 40
    assert [trace.batch_id for trace in query.trace] == list(range(40))
    assert len(query.late) + query.late.attrs["let_go"] == 28
    query.rewind(to=3)
    query.run()
    assert len(query.trace) == 40
    assert json.dumps([progress.num_input_rows for progress in query.progress]) == json.dumps([21] * 40)
    assert isinstance(query.result["total"].to_numpy(), np.ndarray)


def test_late_rows_of_old_batches_have_a_budget_too(source: sn.MemorySource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BUDGET", 40_000)
    query = windowed(events(source, "0 seconds")).query("update", no_data_batches=False)
    late = 0
    for n in range(60):
        source.add(rows(*([n] * 20), *([0] * 10)))
        query.run()
        late = sum(step.num_late for trace in query.trace for step in trace.steps)
        assert sum(map(retention._size, query.trace)) <= 40_000
    assert late == 480
    told, let_go = query.late, query.late.attrs["let_go"]
    assert len(told) + let_go == late
    assert 0 < len(told) < late
    assert told["batch_id"].unique().tolist() == list(range(12 + let_go // 10, 60))
    query.rewind(to=30)
    query.run()
    assert sum(map(retention._size, query.trace)) <= 40_000
    assert len(query.late) + query.late.attrs["let_go"] == 480
