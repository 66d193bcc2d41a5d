"""Ahead: the next Parquet file is decoded while a batch is computed, and nobody can tell."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import DataError
from streamnb.sources import ahead

LONG = 30
"""Seconds that nobody waits unless something hangs."""


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{n}.parquet" for n in range(4)]
    for n, path in enumerate(paths):
        pl.DataFrame({"n": [n, n + 10]}).write_parquet(path)
        os.utime(path, ns=(n * 10**9, n * 10**9))
    return paths


def numbers(files: list[Path]) -> sn.StreamFrame:
    return sn.from_files(f"{files[0].parent}/*.parquet", files_per_batch=1)


def test_the_next_file_is_read_while_a_batch_is_computed(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    decode, decoded = ahead._decoded, threading.Semaphore(0)

    def told(piece):
        rows = decode(piece)
        decoded.release()
        return rows

    monkeypatch.setattr(ahead, "_decoded", told)

    def waits(rows):
        if rows["n"][0] < 3:  # one more is there
            assert decoded.acquire(timeout=LONG)
        return rows

    query = numbers(files).map_batches(waits, schema={"n": "int64"}).query().run()
    assert query.result["n"].tolist() == [0, 10, 1, 11, 2, 12, 3, 13]
    assert not decoded.acquire(blocking=False)


def test_a_step_reads_nothing_ahead(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "meanwhile", lambda *_: pytest.fail("a thread was started"))
    query = numbers(files).query()
    while query.step():
        pass
    assert len(query.result) == 8


def test_rewound_batches_have_the_same_rows(files: list[Path]) -> None:
    query = numbers(files).query().run()
    query.rewind(to=0).run()
    assert query.result["n"].tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


def test_columns_from_folders_come_too(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        folder = tmp_path / f"day={day}"
        folder.mkdir()
        pl.DataFrame({"n": [day * 10]}).write_parquet(folder / "a.parquet")
    query = sn.from_files(f"{tmp_path}/*/*.parquet", files_per_batch=1).query().run()
    assert sorted(query.result.itertuples(index=False, name=None)) == [(10, 1), (20, 2), (30, 3)]


def test_a_file_that_spoils_before_its_batch_is_that_batch_s_error_and_can_be_mended(files: list[Path]) -> None:
    whole, changed = files[2].read_bytes(), files[2].stat()

    def spoils(rows):
        if rows["n"][0] == 0:
            files[2].write_bytes(b"x" * len(whole))
            os.utime(files[2], ns=(changed.st_atime_ns, changed.st_mtime_ns))
        return rows

    query = numbers(files).map_batches(spoils, schema={"n": "int64"}).query()
    with pytest.raises(DataError, match=r"2\.parquet"):
        query.run()
    assert query.progress[-1].batch_id == 1
    files[2].write_bytes(whole)
    os.utime(files[2], ns=(changed.st_atime_ns, changed.st_mtime_ns))
    assert query.run().result["n"].tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


def test_a_batch_that_fails_is_done_again_with_its_rows(files: list[Path]) -> None:
    fails = iter([True])

    def once(rows):
        if rows["n"][0] == 1 and next(fails, False):
            raise ValueError("not now")
        return rows

    query = numbers(files).map_batches(once, schema={"n": "int64"}).query()
    with pytest.raises(sn.StreamnbError, match="not now"):
        query.run()
    assert query.run().result["n"].tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


def test_what_an_earlier_run_took_is_compared_byte_by_byte(files: list[Path], tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    with numbers(files).query(checkpoint=checkpoint) as query:
        query.run().rewind(to=0)
    content, at = files[1].read_bytes(), files[1].stat()
    other = content.replace((11).to_bytes(8, "little"), (12).to_bytes(8, "little"))
    assert other != content
    files[1].write_bytes(other)
    os.utime(files[1], ns=(at.st_atime_ns, at.st_mtime_ns))
    with numbers(files).query(checkpoint=checkpoint) as query, pytest.raises(DataError, match="has changed since"):
        query.run()


def test_a_file_that_changes_after_it_was_read_ahead_is_an_error(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = ahead._decoded

    def changes(piece):
        rows = decode(piece)
        if rows["n"][0] == 2:
            files[2].write_bytes(files[3].read_bytes() + b"more")
        return rows

    monkeypatch.setattr(ahead, "_decoded", changes)
    query = numbers(files).query()
    with pytest.raises(DataError, match="has changed since it was taken"):
        query.run()
    assert query.result["n"].tolist() == [0, 10, 1, 11]
