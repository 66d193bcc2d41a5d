"""Files: only what the log names is there; formats; what a killed writer leaves; the folder as a source."""

from __future__ import annotations

import os

import polars as pl
import pytest

import streamnb as sn
from streamnb.sinks.file_log import FileLog
from tests.sinks.odd import odd

PLAIN = ["id", "at", "seoul", "day", "hour", "text", "empty", "money", "big", "small", "tiny", "inf", "zero", "yes"]
COLUMNS = {"parquet": odd().columns, "csv": [*PLAIN, "kind"], "json": [*(set(PLAIN) - {"inf"}), "list", "struct"]}


def filled(path, batches=3, mode="append", format="parquet"):
    sink = sn.sinks.Files(path, format)
    sink.open("q", 0)
    for batch in range(batches):
        sink.write_polars(batch, pl.DataFrame({"n": [batch]}), mode)
    return sink


def numbers(sink):
    return sink.read_polars()["n"].to_list()


@pytest.mark.parametrize("format", COLUMNS)
def test_odd_values_come_back_as_they_went(tmp_path, format):
    sink, rows = sn.sinks.Files(tmp_path, format), odd().select(COLUMNS[format])
    sink.write_polars(0, rows, "append")
    back = sn.sinks.Files(tmp_path).read_polars()
    assert back.schema == rows.schema
    assert back.equals(rows, null_equal=True)


@pytest.mark.parametrize(("format", "column"), [("csv", "list"), ("csv", "bytes"), ("json", "bytes"), ("json", "gap")])
def test_what_a_format_cannot_say_is_refused(tmp_path, format, column):
    with pytest.raises(sn.QueryError, match=rf"format='{format}' has no way to write column '{column}' of"):
        sn.sinks.Files(tmp_path, format).write_polars(0, odd().select(column), "append")


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(sn.PlanError, match=r"Files: format='orc' is not known; use 'parquet' | 'csv' | 'json'"):
        sn.sinks.Files(tmp_path, "orc")


def test_a_folder_without_a_batch_says_so(tmp_path):
    with pytest.raises(sn.QueryError, match=r"holds no batch yet"):
        sn.sinks.Files(tmp_path).read()


def test_read_is_pandas(tmp_path):
    assert filled(tmp_path).read()["n"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["part-00000002-dead.parquet", ".part-00000003-dead.parquet.tmp", "part-9.parquet"])
def test_what_the_log_does_not_name_is_not_there(tmp_path, name):
    filled(tmp_path)
    (tmp_path / name).write_bytes(b"half a file")
    assert numbers(sn.sinks.Files(tmp_path)) == [0, 1, 2]
    assert sn.from_files(f"{tmp_path}/*.parquet").collect()["n"].tolist() == [0, 1, 2]


def test_what_a_killed_writer_left_goes_with_the_next_batch(tmp_path):
    sink = filled(tmp_path)
    for left in ("part-00000002-dead.parquet", ".part-00000003-dead.parquet.tmp", "part-00000003-dead.parquet"):
        (tmp_path / left).write_bytes(b"half a file")
    sink.write_polars(3, pl.DataFrame({"n": [3]}), "append")
    assert sorted(tmp_path.glob("*part*")) == sorted(sink.files())
    assert numbers(sink) == [0, 1, 2, 3]


def test_a_folder_is_a_source_that_follows_its_log(tmp_path):
    sink = filled(tmp_path)
    query = sn.from_files(f"{tmp_path}/*.parquet").query().run()
    sink.write_polars(3, pl.DataFrame({"n": [3]}), "append")
    assert query.run().result["n"].tolist() == [0, 1, 2, 3]


def test_a_long_log_is_read_from_its_last_whole_entry(tmp_path):
    sink = filled(tmp_path, 120)
    assert numbers(sink) == list(range(120))
    entries = {int(path.name) for path in (tmp_path / "_streamnb").iterdir()}
    assert entries == set(range(49, 120))
    for number in range(49, 99):
        (tmp_path / "_streamnb" / str(number)).unlink()
    again = sn.sinks.Files(tmp_path)
    again.open("q", 1)
    again.write_polars(120, pl.DataFrame({"n": [120]}), "append")
    assert numbers(again) == list(range(121))


def test_complete_mode_leaves_a_reader_time_and_then_removes(tmp_path):
    sink = filled(tmp_path, 10, "complete")
    assert numbers(sink) == [9]
    assert len(list(tmp_path.glob("part-*"))) == 2
    assert len(list((tmp_path / "_streamnb").iterdir())) == 2


def test_a_reader_whose_file_is_replaced_reads_again(tmp_path, monkeypatch):
    sink, reader = filled(tmp_path, 2, "complete"), sn.sinks.Files(tmp_path)
    real = FileLog.latest
    states = [reader._log.latest()]
    for batch in (2, 3):
        sink.write_polars(batch, pl.DataFrame({"n": [batch]}), "complete")
    monkeypatch.setattr(FileLog, "latest", lambda log: states.pop() if states else real(log))
    assert numbers(reader) == [3]


def test_a_file_that_is_gone_is_named(tmp_path):
    sink = filled(tmp_path)
    sink.files()[1].unlink()
    with pytest.raises(sn.QueryError, match=r"a file that .* names is gone; put it back"):
        sink.read()


@pytest.mark.parametrize("damage", ["flip", "truncate", "swap"])
def test_a_damaged_entry_is_named(tmp_path, damage):
    filled(tmp_path)
    entry = tmp_path / "_streamnb" / "1"
    content = entry.read_bytes()
    other = (tmp_path / "_streamnb" / "0").read_bytes()
    entry.write_bytes(
        {"flip": content[:-1] + bytes([content[-1] ^ 1]), "truncate": content[:-3], "swap": other}[damage]
    )
    with pytest.raises(sn.QueryError, match=r"_streamnb/1 is damaged"):
        sn.sinks.Files(tmp_path).read()


def test_of_two_writers_of_one_number_the_second_judges_again(tmp_path, monkeypatch):
    first, second = filled(tmp_path, 1), sn.sinks.Files(tmp_path)
    second.open("other", 0)
    real = os.link

    def overtaken(old, new):
        monkeypatch.setattr(os, "link", real)
        first.write_polars(1, pl.DataFrame({"n": [1]}), "append")
        real(old, new)

    monkeypatch.setattr(os, "link", overtaken)
    second.write_polars(0, pl.DataFrame({"n": [7]}), "append")
    assert numbers(first) == [0, 1, 7]
    assert len(list(tmp_path.glob("*part*"))) == 3


def test_a_writer_that_slept_while_the_log_moved_on_writes_nothing(tmp_path):
    sleeper = filled(tmp_path, 1)
    stale = sleeper._log.latest()
    filled_on = sn.sinks.Files(tmp_path)
    filled_on.open("q", 1)
    for batch in range(1, 120):
        filled_on.write_polars(batch, pl.DataFrame({"n": [batch]}), "append")
    sleeper._log.latest = lambda: stale
    assert sleeper._written(1, pl.DataFrame({"n": [99]}), "append") is False
    assert numbers(filled_on) == list(range(120))
