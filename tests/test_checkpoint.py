"""Checkpoints: a query opened again goes on where the last one ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

import streamnb as sn
from streamnb.batch_log import Kind
from streamnb.errors import CheckpointMismatchError
from streamnb.log_file import LogReader, Record
from tests.lost import lose_commits


def second_of(query: sn.Query) -> int:
    assert query.watermark is not None
    return query.watermark.second


SCHEMA = {"at": "datetime", "key": "string", "value": "int64"}


def rows(*seconds: int, key: str = "a") -> list[dict[str, object]]:
    return [{"at": f"2026-01-01 00:00:{second:02d}", "key": key, "value": second} for second in seconds]


def windowed(source: sn.MemorySource, delay: str = "5 seconds") -> sn.StreamFrame:
    events = sn.stream(source).with_watermark("at", delay)
    return events.group_by(sn.window("at", "10 seconds"), "key").agg(n=sn.count(), total=sn.sum("value"))


@pytest.fixture
def source() -> sn.MemorySource:
    return sn.MemorySource(SCHEMA)


def test_a_restart_goes_on_with_the_state_the_watermark_and_the_offsets(source, tmp_path):
    source.add(rows(1, 2, 12))
    first = windowed(source).query(checkpoint=tmp_path).run()
    first.stop()
    source.add(rows(3, 40))
    second = windowed(source).query(checkpoint=tmp_path).run()
    assert [p.batch_id for p in second.progress] == [2, 3]
    assert second_of(second) == 35
    assert second.result["n"].tolist() == [3, 1]


def test_a_batch_whose_commit_is_lost_is_done_again_with_the_same_rows(source, tmp_path):
    source.add(rows(1, 2))
    first = windowed(source).query("update", checkpoint=tmp_path).run()
    first.stop()
    lost = lose_commits(tmp_path)
    source.add(rows(3))
    again = windowed(source).query("update", checkpoint=tmp_path)
    done = again.step()
    assert done is not None
    assert (done.batch_id, done.num_input_rows) == (lost, 2 if lost == 0 else 0)
    again.run()
    assert again.result["n"].tolist() == [3]


def test_a_clean_restart_emits_nothing(source, tmp_path):
    source.add(rows(1, 50))
    windowed(source).query(checkpoint=tmp_path).run().stop()
    assert windowed(source).query(checkpoint=tmp_path).run().emitted == []


def test_the_policy_of_the_checkpoint_holds(source, tmp_path):
    windowed(source).query(checkpoint=tmp_path, watermark_policy="max")
    source.add(rows(1))
    windowed(source).query(checkpoint=tmp_path, watermark_policy="max").run().stop()
    again = windowed(source).query(checkpoint=tmp_path, watermark_policy="min")
    assert again._watermark.policy == "max"


def test_another_delay_may_go_on(source, tmp_path):
    source.add(rows(30))
    windowed(source).query(checkpoint=tmp_path).run().stop()
    again = windowed(source, "20 seconds").query(checkpoint=tmp_path)
    assert second_of(again) == 25
    source.add(rows(40))
    assert second_of(again.run()) == 25


@pytest.mark.parametrize(
    "changed",
    [
        lambda f: f.group_by("key").agg(n=sn.count(), total=sn.sum("value")),
        lambda f: f.group_by(sn.window("at", "10 seconds"), "key").agg(n=sn.count(), total=sn.mean("value")),
        lambda f: f,
    ],
    ids=["other keys", "another aggregate", "no state"],
)
def test_a_query_of_another_shape_is_refused(source, tmp_path, changed):
    source.add(rows(1))
    windowed(source).query("update", checkpoint=tmp_path).run().stop()
    frame = changed(sn.stream(source).with_watermark("at", "5 seconds"))
    with pytest.raises(CheckpointMismatchError, match=r"checkpoint: .*new folder\.$"):
        frame.query("update", checkpoint=tmp_path)


def test_a_filter_may_change(source, tmp_path):
    source.add(rows(1))
    windowed(source).query("update", checkpoint=tmp_path).run().stop()
    source.add(rows(2))
    kept = windowed(source).filter(sn.col("n") > 5).query("update", checkpoint=tmp_path)
    assert len(kept.run().result) == 0


@pytest.mark.parametrize("damage", ["flip", "truncate", "append", "shift"])
def test_a_damaged_file_is_named(source, tmp_path, damage):
    source.add(rows(1))
    windowed(source).query("update", checkpoint=tmp_path).run().stop()
    content = (tmp_path / "metadata").read_bytes()
    damaged = {
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "truncate": content[:-3],
        "append": content + b"x",
        "shift": content[1:],
    }
    (tmp_path / "metadata").write_bytes(damaged[damage])
    with pytest.raises(sn.CheckpointError, match="metadata is damaged"):
        windowed(source).query("update", checkpoint=tmp_path)


def records(folder) -> list[Record]:
    with LogReader(folder / "log" / "0") as reader:
        return reader.records()


def test_a_damaged_record_of_the_log_is_named(source, tmp_path):
    for second in (1, 2, 3):
        source.add(rows(second))
    windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False).run().stop()
    log, content = tmp_path / "log" / "0", (tmp_path / "log" / "0").read_bytes()
    early = [record for record in records(tmp_path) if record.batch < 2]
    assert {record.kind for record in early} == {Kind.BASE, Kind.BEGIN, Kind.CHANGES, Kind.COMMIT}
    for record in early:
        for place in (record.start, record.start + 20, record.end - 1):
            log.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            with pytest.raises(sn.CheckpointError, match="log/0 is damaged"):
                windowed(source).query("update", checkpoint=tmp_path)


def test_what_a_power_cut_tore_off_the_log_is_done_again(source, tmp_path):
    for second in (1, 2, 3):
        source.add(rows(second))
    windowed(source).query("update", checkpoint=tmp_path / "a", no_data_batches=False).run().stop()
    start = next(record.start for record in records(tmp_path / "a") if record.batch == 2)
    whole = (tmp_path / "a" / "log" / "0").stat().st_size
    for size in (start, start + 1, start + 40, (start + whole) // 2, whole - 1):
        shutil.copytree(tmp_path / "a", tmp_path / str(size))
        os.truncate(tmp_path / str(size) / "log" / "0", size)
        again = windowed(source).query("update", checkpoint=tmp_path / str(size), no_data_batches=False)
        assert [p.batch_id for p in again.run().progress] == [2]
        assert again.state["n"].tolist() == [3]
        again.stop()


def test_the_disk_is_waited_for_once_a_batch(source, tmp_path, monkeypatch):
    waits: list[int] = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, waits.append)
    for second in range(20):
        source.add(rows(second))
    query = windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False)
    waits.clear()
    query.run()
    assert (len(query.progress), len(waits)) == (20, 21)


def test_a_missing_file_is_named(source, tmp_path):
    source.add(rows(1))
    windowed(source).query(checkpoint=tmp_path).run().stop()
    (tmp_path / "metadata").unlink()
    with pytest.raises(sn.CheckpointError, match="metadata"):
        windowed(source).query(checkpoint=tmp_path)


def test_another_process_cannot_have_it_too(source, tmp_path):
    query = windowed(source).query(checkpoint=tmp_path)
    code = f"from streamnb.checkpoint import Checkpoint; Checkpoint({str(tmp_path)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "in use by another process" in other.stderr
    query.stop()


def test_an_older_query_of_this_process_lets_go(source, tmp_path, capsys):
    older = windowed(source).query(checkpoint=tmp_path)
    windowed(source).query(checkpoint=tmp_path)
    assert older.status == "stopped"
    assert "taken over" in capsys.readouterr().out


def test_rewinding_rewinds_the_log(source, tmp_path):
    for second in (1, 11, 21):
        source.add(rows(second))
    query = windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False).run()
    query.rewind(to=0)
    query.stop()
    again = windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False)
    assert [p.batch_id for p in again.run().progress] == [1, 2]


def test_a_batch_that_fails_in_the_sink_comes_again_with_the_same_rows(source, tmp_path):
    seen: list[tuple[int, int]] = []

    def sink(rows, batch_id):
        seen.append((batch_id, len(rows)))
        if len(seen) == 1:
            source.add([{"at": None, "key": "z", "value": 0}])
            raise OSError("full")

    source.add(rows(1, 2))
    query = sn.stream(source).query(sink=sink, checkpoint=tmp_path)
    with pytest.raises(sn.QueryError, match="full"):
        query.step()
    query.run()
    assert seen == [(0, 2), (0, 2), (1, 1)]


def test_a_copy_of_the_folder_tells_the_same(source, tmp_path):
    source.add(rows(*range(1, 50, 3)))
    first = windowed(source).query("update", checkpoint=tmp_path / "a").run()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    again = windowed(source).query("update", checkpoint=tmp_path / "b")
    assert again.state.sort_values("window_start", ignore_index=True).equals(
        first.state.sort_values("window_start", ignore_index=True)
    )


def test_old_logs_and_state_are_pruned(source, tmp_path):
    query = windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False)
    for second in range(250):
        source.add([{"at": f"2026-01-01 00:{second // 60:02d}:{second % 60:02d}", "key": "a", "value": 1}])
        if second == 99:
            checkpoint = query.run()._journal.checkpoint
            assert checkpoint is not None
            checkpoint.state.wait()  # or the snapshot of batch 100 finds the thread at work
    query.run()
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"1", "2"}
    assert len(list((tmp_path / "state" / "0").iterdir())) <= 3
    query.stop()
    assert list(sn.recover(tmp_path).batches["batch_id"]) == [*range(100, 250)]
    again = windowed(source).query("update", checkpoint=tmp_path, no_data_batches=False)
    assert again.state["n"].sum() == query.state["n"].sum()
    assert again.run().progress == []
