"""Spool: what is received can be read again, as it came; what is damaged or gone is said."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError
from tests.sources.spool_kills import play


def fill(spool: sn.Spool, count: int, size: int = 10) -> None:
    for n in range(spool.end, spool.end + count):
        assert spool.append(n, f"t{n}", payload(n, size))


def payload(n: int, size: int = 10) -> bytes:
    return str(n).encode().rjust(size, b".")


def again(path: Path) -> sn.Spool:
    return sn.Spool(path)


def numbers(spool: sn.Spool, start: int, end: int) -> list[int]:
    return [int(record.payload.strip(b".")) for record in spool.read(start, end)]


def test_records_are_read_as_they_came():
    spool = sn.Spool()
    fill(spool, 200)
    records = spool.read(130, 133)
    assert [(r.number, r.at, r.tag, r.payload) for r in records] == [
        (n, n, f"t{n}", payload(n)) for n in (130, 131, 132)
    ]
    assert spool.read(5, 5) == []


def test_bytes_of_any_kind_are_kept():
    spool = sn.Spool()
    odd = [b"", b"\0" * 100, b"\xff\n\r", "🙂".encode(), b"x" * 1_000_000]
    for record in odd:
        assert spool.append(0, "", record)
    assert [r.payload for r in spool.read(0, len(odd))] == odd


def test_a_spool_is_gone_on_from(tmp_path):
    spool = sn.Spool(tmp_path, limit=20_000)
    fill(spool, 300)
    del spool
    spool = sn.Spool(tmp_path, limit=20_000)
    assert (spool.first, spool.end) == (0, 300)
    fill(spool, 1)
    assert numbers(spool, 0, 301) == list(range(301))
    assert len(list(tmp_path.glob("*.log"))) > 1


@pytest.mark.parametrize("torn", range(1, 40))
def test_a_record_that_was_being_written_is_cut_off(tmp_path, torn):
    spool = sn.Spool(tmp_path)
    fill(spool, 3)
    file = tmp_path / f"{0:020}.log"
    del spool
    file.write_bytes(file.read_bytes()[:-torn])
    spool = again(tmp_path)
    kept = 3 - -(-torn // 34)
    assert spool.end == kept
    fill(spool, 1)
    assert numbers(spool, 0, kept + 1) == list(range(kept + 1))


def test_zeros_that_a_file_system_left_are_cut_off(tmp_path):
    spool = sn.Spool(tmp_path)
    fill(spool, 3)
    del spool
    with (tmp_path / f"{0:020}.log").open("ab") as file:
        file.write(b"\0" * 512)
    assert again(tmp_path).end == 3


def test_every_flipped_bit_is_seen(tmp_path):
    spool = sn.Spool(tmp_path)
    fill(spool, 4)
    del spool
    file = tmp_path / f"{0:020}.log"
    good = file.read_bytes()
    for place in range(len(good)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        if place < len(good) * 3 // 4 + 12:
            with pytest.raises(DataError, match="is damaged"):
                again(tmp_path)
        else:
            seen_or_cut_off(tmp_path)


def seen_or_cut_off(path: Path) -> None:
    """The last record may be taken for one that was being written."""
    with contextlib.suppress(DataError):
        spool = again(path)
        assert numbers(spool, 0, spool.end) == list(range(3))


def test_files_in_each_others_place_are_seen(tmp_path):
    spool = sn.Spool(tmp_path, limit=2000)
    fill(spool, 20)
    del spool
    first, second, *_ = sorted(tmp_path.glob("*.log"))
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_bytes)
    second.write_bytes(first_bytes)
    with pytest.raises(DataError, match=r"record 0 in .* is damaged"):
        again(tmp_path)


def test_a_file_that_is_missing_is_seen(tmp_path):
    spool = sn.Spool(tmp_path, limit=2000)
    fill(spool, 20)
    del spool
    sorted(tmp_path.glob("*.log"))[1].unlink()
    with pytest.raises(DataError, match="records are missing between"):
        again(tmp_path)


def test_damage_after_opening_is_seen_when_it_is_read(tmp_path):
    spool = sn.Spool(tmp_path)
    fill(spool, 3)
    file = tmp_path / f"{0:020}.log"
    file.write_bytes(file.read_bytes().replace(b".1", b".7"))
    assert numbers(spool, 0, 1) == [0]
    with pytest.raises(DataError, match=r"record 1 in .* is damaged"):
        spool.read(0, 3)


def test_what_is_committed_goes_when_room_is_needed_and_nothing_else(tmp_path):
    spool = sn.Spool(tmp_path, limit=1000)
    while spool.append(0, "", payload(spool.end)):
        pass
    full = spool.end
    assert spool.first == 0
    assert spool.nbytes <= 1000
    spool.forget(full // 2)
    assert spool.append(0, "", payload(full))
    assert 0 < spool.first <= full // 2
    assert numbers(spool, spool.first, full + 1) == list(range(spool.first, full + 1))
    with pytest.raises(DataError, match=f"record 0 of .* was dropped, {spool.first} is the oldest; rewind less far"):
        spool.read(0, 3)


def test_a_record_beyond_the_limit_is_refused():
    with pytest.raises(DataError, match="a record of 100 bytes is more than limit=50"):
        sn.Spool(limit=50).append(0, "", b"x" * 100)


def test_an_end_that_is_not_there_is_another_spools(tmp_path):
    with pytest.raises(DataError, match="ends at record 0 and 7 was read before"):
        sn.Spool(tmp_path).read(3, 7)


def test_the_newer_of_two_has_the_folder(tmp_path):
    older = sn.Spool(tmp_path)
    fill(older, 2)
    newer = sn.Spool(tmp_path)
    fill(newer, 1)
    with pytest.raises(DataError, match="was taken over by a newer source"):
        fill(older, 1)
    assert numbers(newer, 0, 3) == [0, 1, 2]


def test_another_process_is_kept_out(tmp_path):
    lock = str(tmp_path / "LOCK")
    code = f"import fcntl; f = open({lock!r}, 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(DataError, match="is in use by another process"):
            sn.Spool(tmp_path)
        other.communicate(b"\n")
    assert sn.Spool(tmp_path).end == 0


def test_a_temporary_folder_goes_with_the_spool():
    spool = sn.Spool()
    path = spool.path
    fill(spool, 1)
    del spool
    assert not path.exists()


@pytest.mark.parametrize(("fsync", "waits"), [(True, 1), (False, 0)])
def test_fsync_waits_for_the_disk_once_for_all_records(tmp_path, monkeypatch, fsync, waits):
    spool = sn.Spool(tmp_path, fsync=fsync)
    fill(spool, 5)
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    spool.sync()
    spool.sync()
    assert len(synced) == waits


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(PlanError, match="limit=0 holds no record"):
        sn.Spool(limit=0)


def test_kills_lose_and_double_nothing():
    assert play(kills=2, count=60, seed=3) == (2, [])
