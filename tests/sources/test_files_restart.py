"""from_files across restarts: the same bytes again, what grew since, and what is said of files that are others now."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb import checkpoint, points
from streamnb.batch_log import Kind
from streamnb.errors import DataError
from streamnb.log_file import LogReader, head_of, record

SCHEMA = {"at": "datetime", "v": "int64"}


class Crash(BaseException):
    """The end of a process, in-process."""


class Folder:
    """Files, and a query that reads them with a checkpoint beside them."""

    def __init__(self, path: Path) -> None:
        self.path, self._clock = path / "in", 0
        self.path.mkdir()
        self.checkpoint = path / "checkpoint"
        self.query: sn.Query | None = None

    def write(self, name: str, *values: int, more: bool = False, raw: str = "") -> Path:
        path = self.path / name
        body = "".join(f'{{"v": {v}}}\n' if "json" in name else f",{v}\n" for v in values) + raw
        with path.open("a" if more else "w") as file:
            file.write(body if "json" in name or more else "at,v\n" + body)
        self._clock += 1
        os.utime(path, (self._clock, self._clock))
        return path

    def open(self, pattern: str = "*", **options: Any) -> sn.Query:
        """Start the query anew, as another process would."""
        self.close()
        frame = sn.from_files(str(self.path / pattern), SCHEMA, **options)
        self.query = frame.query(checkpoint=self.checkpoint)
        return self.query

    def close(self) -> None:
        if self.query is not None:
            self.query.stop()

    def crash(self, query: sn.Query, at: str, batch: int = 0) -> None:
        """Let the next batches happen up to a point, and nothing after it."""
        seen = 0

        def die(point: str) -> None:
            nonlocal seen
            if point == at:
                seen += 1
                if seen > batch:
                    raise Crash

        points.listen(die)
        try:
            with pytest.raises(Crash):
                query.run()
        finally:
            points.listen(None)


def bodies(log: Path, kind: Kind) -> list[dict[str, Any]]:
    with LogReader(log) as reader:
        return [json.loads(reader.read(found)) for found in reader.records() if found.kind == kind]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def values(query: sn.Query) -> list[list[int]]:
    return [list(rows["v"]) for rows in query.run().emitted]


def test_a_restart_goes_on_in_the_middle_of_a_growing_file(folder: Folder) -> None:
    folder.write("a.jsonl", 1, 2, raw='{"v": 3')
    assert values(folder.open()) == [[1, 2]]
    folder.write("a.jsonl", more=True, raw='}\n{"v": 4}\n')
    folder.write("b.csv", 5)
    assert values(folder.open()) == [[3, 4, 5]]
    assert values(folder.open()) == []


@pytest.mark.parametrize(
    "at", ["offsets.begun", "offsets.done", "batch.read", "batch.computed", "sink.end", "batch.end"]
)
def test_a_batch_that_died_is_done_again_with_the_very_same_bytes(folder: Folder, at: str) -> None:
    folder.write("a.jsonl", 1, 2)
    folder.crash(folder.open(), at)
    folder.write("a.jsonl", 3, more=True)
    folder.write("b.csv", 4)
    again = folder.open()
    if at == "batch.end":
        assert values(again) == [[3, 4]]
    elif at == "offsets.begun":
        assert values(again) == [[1, 2, 3, 4]]
    else:
        assert values(again) == [[1, 2], [3, 4]]


def test_which_file_was_taken_in_which_batch_is_on_disk_before_the_batch_runs(folder: Folder) -> None:
    folder.write("a.jsonl", 1)
    query = folder.open()
    query.run()
    folder.write("b.csv", 2)
    folder.crash(query, "batch.read")
    told = bodies(folder.checkpoint / "log" / "0", Kind.BEGIN)[1]["notes"]["0"]
    (piece,) = told["note"]["pieces"]
    assert (told["start"], told["end"]) == (1, 2)
    assert piece[:3] == [str(folder.path / "b.csv"), 0, len("at,v\n,2\n")]


def test_files_that_are_done_may_go(folder: Folder) -> None:
    files = [folder.write("a.jsonl", 1), folder.write("b.csv", 2)]
    folder.open().run()
    for file in files:
        file.unlink()
    folder.write("c.csv", 3)
    assert values(folder.open()) == [[3]]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_file_of_a_batch_that_died_must_be_there(folder: Folder, name: str) -> None:
    path = folder.write(name, 1)
    folder.crash(folder.open(), "batch.read")
    path.unlink()
    query = folder.open()
    for _ in range(2):
        with pytest.raises(DataError, match=rf"from_files: .*{name} is gone and was part of the stream; put it back"):
            query.step()
    folder.write(name, 1)
    os.utime(path, (1, 1))
    assert values(query) == [[1]]


@pytest.mark.parametrize(
    ("values_now", "words"),
    [((1,), "was read up to byte 19 and has 9 now"), ((8, 9, 10), "its lines before that are others now")],
)
def test_a_growing_file_that_is_truncated_or_replaced_is_named(
    folder: Folder, values_now: tuple[int, ...], words: str
) -> None:
    folder.write("a.jsonl", 1, 23)
    folder.open().run()
    folder.write("a.jsonl", *values_now)
    with pytest.raises(DataError, match=rf"from_files: .*a.jsonl.*{words}"):
        folder.open().step()


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_other_bytes_of_the_same_length_are_found_when_a_batch_is_done_again(folder: Folder, name: str) -> None:
    path = folder.write(name, *range(1000, 2000))
    folder.crash(folder.open(), "batch.computed")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1001", b"1002"))
    os.utime(path, (1, 1))
    with pytest.raises(DataError, match=rf"{name} has changed since it was taken"):
        folder.open().step()


def test_the_same_bytes_with_another_time_are_the_same_file(folder: Folder) -> None:
    paths = [folder.write("a.jsonl", 1), folder.write("b.csv", 2)]
    folder.crash(folder.open(), "batch.computed")
    for path in paths:
        os.utime(path, (77, 77))
    assert values(folder.open()) == [[1, 2]]


def test_a_backlog_is_read_in_pieces_that_end_with_lines(folder: Folder) -> None:
    folder.write("a.jsonl", *range(10, 30))
    sizes = [len(batch) for batch in values(folder.open(max_bytes_per_batch=35))]
    assert sizes == [3] * 6 + [2]
    folder.write("b.jsonl", raw='{"v": 1}' + " " * 100 + "\n" + '{"v": 2}\n')
    assert values(folder.open(max_bytes_per_batch=35)) == [[1], [2]]


def test_whole_files_share_a_batch_up_to_the_limit(folder: Folder) -> None:
    for n in range(5):
        folder.write(f"{n}.csv", *range(n))
    assert [len(batch) for batch in values(folder.open(max_bytes_per_batch=20))] == [1, 2, 3, 4]


def test_pruned_logs_still_know_every_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "RETAIN", 4)
    query = folder.open()
    for n in range(20):
        folder.write("a.jsonl", n, more=True)
        folder.write(f"{n}.csv", 100 + n)
        query.run()
    assert len(list((folder.checkpoint / "log").iterdir())) <= 3
    folder.write("a.jsonl", 20, more=True)
    assert values(folder.open()) == [[20]]
    folder.write("0.csv", 1, 2, 3)
    with pytest.raises(DataError, match=r"0.csv has changed since it was taken"):
        folder.open().step()


@pytest.mark.parametrize("lost", [{1}, {0, 1, 2}])
def test_a_note_that_is_lost_is_named(folder: Folder, lost: set[int]) -> None:
    query = folder.open()
    for n in range(3):
        folder.write("a.jsonl", n, more=True)
        query.run()
    folder.close()
    log, written = folder.checkpoint / "log" / "0", b""
    with LogReader(log) as reader:
        for old in reader.records():
            content = reader.read(old)
            if old.kind == Kind.BEGIN and old.batch in lost:
                content = json.dumps(json.loads(content) | {"notes": {}}).encode()
            written += record("0", head_of(content, old.kind, old.batch, start=len(written)), content)
    log.write_bytes(written)
    with pytest.raises(sn.CheckpointError, match=r"checkpoint: .*log tells what source 0|restore its log"):
        folder.open()


def test_rewinding_and_a_restart_read_the_files_anew(folder: Folder) -> None:
    query = folder.open(files_per_batch=1)
    for n in range(4):
        folder.write(f"{n}.csv", n)
    query.run()
    query.rewind(to=1)
    assert values(folder.open(files_per_batch=1)) == [[2], [3]]


def test_two_queries_of_one_frame_read_each_for_itself(folder: Folder, tmp_path: Path) -> None:
    folder.write("a.jsonl", 1)
    frame = sn.from_files(str(folder.path / "*"), SCHEMA)
    first, second = frame.query(checkpoint=tmp_path / "x"), frame.query(checkpoint=tmp_path / "y")
    assert values(first) == [[1]]
    folder.write("a.jsonl", 2, more=True)
    assert (values(first), values(second)) == ([[1], [2]], [[1, 2]])


# -- dead letters


def test_dead_letters_are_there_once_after_crashes_restarts_and_rewinding(folder: Folder) -> None:
    folder.write("a.jsonl", 1, raw="{bad 1}\n")
    folder.crash(folder.open(), "sink.end")
    query = folder.open()
    assert len(query.dead_letters) == 0
    query.run()
    folder.write("a.jsonl", 2, raw="{bad 2}\n", more=True)
    query.run()
    query.rewind(to=0)
    assert list(query.dead_letters["raw"]) == ["{bad 1}"]
    query = folder.open()
    query.run()
    assert list(query.dead_letters["raw"]) == ["{bad 1}", "{bad 2}"]
    assert list(query.dead_letters["batch_id"]) == [0, 1]


def test_a_file_of_dead_letters_that_is_lost_is_named(folder: Folder) -> None:
    folder.write("a.jsonl", 1, raw="{bad}\n")
    query = folder.open()
    query.run()
    (folder.checkpoint / "dead_letters" / "0").unlink()
    with pytest.raises(sn.CheckpointError, match=r"has 0 of 1 dead letters; restore the others"):
        _ = query.dead_letters


def test_rows_from_the_future_are_set_aside_and_do_not_move_the_watermark(tmp_path: Path) -> None:
    source, clock = sn.MemorySource({"at": "datetime", "v": "int64"}), sn.ManualClock("2026-01-01 12:00")
    frame = sn.stream(source).with_watermark("at", "0s")
    source.add(
        [{"at": at, "v": n} for n, at in enumerate(["2026-01-01 11:00", "2026-01-02 12:00", "9999-01-01", None])]
    )
    source.add([{"at": "2026-01-02 12:00:00.000001", "v": 9}])
    options: dict[str, Any] = {"guard_future": "1 day", "clock": clock, "checkpoint": tmp_path}
    query = frame.query(**options).run()
    assert query.watermark == pd.Timestamp("2026-01-02 12:00")
    assert list(query.result["v"]) == [0, 1, 3]
    assert list(query.dead_letters["batch_id"]) == [0, 1]
    assert query.dead_letters["reason"][0] == "at is 9999-01-01 00:00:00, more than 1 day beyond the clock"
    assert json.loads(query.dead_letters["raw"][0])["v"] == 2
    query.stop()
    assert len(frame.query(**options).run().dead_letters) == 2


def test_a_record_of_a_source_of_ones_own_is_set_aside_too() -> None:
    class Mine:
        schema = {"v": "int64", "k": "string"}  # noqa: RUF012

        def latest(self) -> int:
            return 4

        def read(self, start: int | None, end: int) -> list[dict[str, object]]:
            return [{"v": 1, "k": "a"}, {"v": "x", "k": "b"}, {"v": 2, "k": "\ud800"}, {"v": 3, "k": "c"}]

        def commit(self, end: int) -> None:
            pass

    query = sn.stream(Mine()).query().run()
    assert list(query.result["v"]) == [1, 3]
    assert list(query.dead_letters["offset"]) == ["0–4 record 1", "0–4 record 2"]
