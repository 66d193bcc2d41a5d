"""from_files: which files are read, when, and what is said of those that do not fit."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError

SCHEMA = {"at": "datetime", "k": "string", "v": "int64"}
HEADER = "at,k,v\n"
NOW = pd.Timestamp("2026-01-01 12:00")


@pytest.fixture
def clock() -> sn.ManualClock:
    return sn.ManualClock(NOW.to_pydatetime())


class Folder:
    """Files that are written at a time of ours."""

    def __init__(self, path: Path, clock: sn.ManualClock) -> None:
        self.path, self.clock, self._written = path, clock, 0

    def write(self, name: str, content: str | bytes | pl.DataFrame, age: float | None = None) -> Path:
        """Write a file so many seconds ago; without ``age``, long ago and after all before it."""
        path = self.path / name
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self._written += 1
        at = self.clock.now() / 1e6 - (1000 - self._written if age is None else age)
        os.utime(path, (at, at))
        return path

    def stream(self, pattern: str = "*.csv", schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
        return sn.from_files(str(self.path / pattern), schema, clock=self.clock, **options)


@pytest.fixture
def folder(tmp_path: Path, clock: sn.ManualClock) -> Folder:
    return Folder(tmp_path, clock)


def line(v: int, k: str = "a") -> str:
    return f"2026-01-01 00:00:{v:02},{k},{v}\n"


def values(query: sn.Query) -> list[list[int]]:
    return [list(rows["v"]) for rows in query.run().emitted]


PARQUET = pl.DataFrame(
    {"at": [None], "k": ["a"], "v": [1]}, schema={"at": pl.Datetime("us"), "k": pl.String(), "v": pl.Int64()}
)


# -- reading


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", HEADER + line(1) + line(2)),
        (
            "a.jsonl",
            '{"at": "2026-01-01 00:00:01", "k": "a", "v": 1}\n{"at": "2026-01-01T00:00:02", "k": "a", "v": 2}\n',
        ),
        (
            "a.ndjson",
            '{"v": 1, "k": "a", "at": "2026-01-01 00:00:01"}\n{"at": "2026-01-01 00:00:02", "k": "a", "v": 2}\n',
        ),
        ("a.csv.gz", gzip.compress((HEADER + line(1) + line(2)).encode(), mtime=0)),
        (
            "a.parquet",
            pl.DataFrame(
                {"at": pd.to_datetime(["2026-01-01 00:00:01", "2026-01-01 00:00:02"]), "k": ["a", "a"], "v": [1, 2]}
            ),
        ),
    ],
)
def test_formats_are_told_by_their_ending(folder: Folder, name: str, content: Any) -> None:
    folder.write(name, content)
    result = folder.stream("a*").query().run().result
    assert list(result["v"]) == [1, 2]
    assert [time.second for time in result["at"]] == [1, 2]
    assert set(result["k"]) == {"a"}


def test_new_files_are_new_input_in_order_of_time_then_name(folder: Folder) -> None:
    folder.write("b.csv", HEADER + line(2), age=50)
    folder.write("c.csv", HEADER + line(1), age=60)
    folder.write("a.csv", HEADER + line(3), age=50)
    query = folder.stream(files_per_batch=1).query()
    assert values(query) == [[1], [3], [2]]
    folder.write("0.csv", HEADER + line(4))
    assert values(query) == [[1], [3], [2], [4]]


def test_all_that_is_new_is_one_batch_unless_told_otherwise(folder: Folder) -> None:
    for i in range(5):
        folder.write(f"{i}.csv", HEADER + line(i))
    assert values(folder.stream().query()) == [[0, 1, 2, 3, 4]]
    assert values(folder.stream(files_per_batch=2).query()) == [[0, 1], [2, 3], [4]]


def test_files_are_read_again_after_rewinding(folder: Folder) -> None:
    folder.write("a.csv", HEADER + line(1))
    folder.write("b.csv", HEADER + line(2))
    query = folder.stream(files_per_batch=1).query().run()
    assert values(query.rewind(0)) == [[1], [2]]


def test_folders_below_are_searched_if_the_pattern_says_so(folder: Folder) -> None:
    (folder.path / "deep").mkdir()
    folder.write("deep/a.csv", HEADER + line(1))
    assert values(folder.stream("**/*.csv").query()) == [[1]]


def test_no_file_yet_is_no_input_yet(folder: Folder) -> None:
    query = folder.stream().query()
    assert query.step() is None
    folder.write("a.csv", HEADER + line(1))
    assert values(query) == [[1]]


def test_a_file_without_rows_is_read(folder: Folder) -> None:
    folder.write("a.csv", HEADER)
    folder.write("b.csv", HEADER + line(1))
    assert values(folder.stream(files_per_batch=1).query()) == [[], [1]]


def test_collect_sees_all_of_them(folder: Folder) -> None:
    folder.write("a.csv", HEADER + line(1))
    folder.write("b.csv", HEADER + line(2))
    assert list(folder.stream().collect()["v"]) == [1, 2]


def test_missing_values_are_null(folder: Folder) -> None:
    folder.write("a.csv", HEADER + ",,\n")
    folder.write("a.jsonl", '{"k": "b"}\n')
    assert folder.stream().collect().isna().all(axis=None)
    assert list(folder.stream("*.jsonl").collect()["k"]) == ["b"]


def test_a_row_without_time_is_a_row_in_no_window(folder: Folder) -> None:
    folder.write("a.csv", HEADER + ",a,1\n" + line(1))
    frame = folder.stream().with_watermark("at", "0s")
    assert len(frame.query().run().result) == 2
    query = frame.group_by(sn.window("at", "10s")).agg(n=sn.count()).query("update").run()
    assert (list(query.result["n"]), len(query.late)) == ([1], 0)


# -- without a schema


def test_the_first_file_gives_the_columns(folder: Folder) -> None:
    folder.write("a.csv", HEADER + line(1))
    folder.write("b.csv", HEADER + line(2))
    frame = folder.stream(schema=None)
    assert {name: str(dtype) for name, dtype in frame.schema.items()} == {
        "at": "Datetime(time_unit='us', time_zone=None)",
        "k": "String",
        "v": "Int64",
    }
    assert values(frame.query()) == [[1, 2]]


def test_columns_that_show_late_in_the_first_file_are_columns(folder: Folder) -> None:
    lines = ['{"v": 1}\n'] * 2000 + ['{"v": 2, "late": "yes"}\n']
    folder.write("a.jsonl", "".join(lines))
    assert list(folder.stream("*.jsonl", schema=None).schema) == ["v", "late"]


def test_a_fraction_that_shows_late_in_the_first_file_is_kept(folder: Folder) -> None:
    folder.write("a.csv", "v\n" + "1\n" * 2000 + "2.5\n")
    assert folder.stream(schema=None).collect()["v"].iloc[-1] == 2.5


def test_without_a_file_and_a_schema_nothing_is_known(folder: Folder) -> None:
    with pytest.raises(
        DataError, match=r"from_files: no file matches .* yet, so its columns are not known; give schema="
    ):
        folder.stream(schema=None)


# -- files that are not whole


def test_a_text_file_without_its_last_line_break_waits_for_two_seconds(folder: Folder) -> None:
    folder.write("a.csv", HEADER + line(1).rstrip("\n"), age=1)
    query = folder.stream().query()
    assert query.step() is None
    folder.clock.advance("2s")
    assert values(query) == [[1]]


def test_a_parquet_file_without_its_end_waits(folder: Folder) -> None:
    whole = folder.write("whole.bin", PARQUET).read_bytes()
    folder.write("a.parquet", whole[: len(whole) // 2])
    query = folder.stream("*.parquet").query()
    assert query.step() is None
    folder.write("a.parquet", whole)
    assert values(query) == [[1]]


def test_a_compressed_file_waits_for_two_seconds(folder: Folder) -> None:
    folder.write("a.csv.gz", gzip.compress((HEADER + line(1)).encode()), age=1)
    query = folder.stream("*.gz").query()
    assert query.step() is None
    folder.clock.advance("2s")
    assert values(query) == [[1]]


def test_an_empty_file_waits(folder: Folder) -> None:
    folder.write("a.csv", "")
    assert folder.stream().query().step() is None


@pytest.mark.parametrize("name", [".a.csv", "_a.csv", "a.csv.tmp", "a.csv.part", "a.csv.crdownload"])
def test_a_file_on_its_way_is_left_alone(folder: Folder, name: str) -> None:
    folder.write(name, HEADER + line(1))
    assert folder.stream("*").query().step() is None
    (folder.path / name).rename(folder.path / "a.csv")
    assert values(folder.stream("*").query()) == [[1]]


def test_half_a_line_of_json_waits_for_its_end(folder: Folder) -> None:
    path = folder.write("a.jsonl", '{"v": 1}\n{"v": 2, "k"')
    query = folder.stream("*.jsonl").query()
    assert values(query) == [[1]]
    with path.open("a") as file:
        file.write(': "a"}\n{"v": 3}\n')
    assert values(query) == [[1], [2, 3]]


def test_a_last_line_of_json_without_its_break_counts_after_two_seconds(folder: Folder) -> None:
    path = folder.write("a.jsonl", '{"v": 1}\n{"v": 2}', age=1)
    query = folder.stream("*.jsonl").query()
    assert values(query) == [[1]]
    folder.clock.advance("2s")
    assert values(query) == [[1], [2]]
    with path.open("a") as file:
        file.write('\n{"v": 3}\n')
    assert values(query) == [[1], [2], [3]]


# -- files that change


@pytest.mark.parametrize("when", ["before it is read", "afterwards"])
def test_a_file_that_grows_after_it_was_taken_is_an_error(folder: Folder, when: str) -> None:
    folder.write("a.csv", HEADER + line(1))
    query = folder.stream().query()
    if when == "afterwards":
        query.run()
    else:
        assert query._inputs.latest() == {0: 1}
    folder.write("a.csv", HEADER + line(1) + line(2))
    with pytest.raises(
        DataError, match=r"from_files: .*a.csv has changed since it was taken; write elsewhere and move "
    ):
        query.step()


def test_a_file_that_is_gone_before_it_is_read_is_an_error(folder: Folder) -> None:
    path = folder.write("a.csv", HEADER + line(1))
    query = folder.stream().query()
    assert query._inputs.latest() == {0: 1}
    path.unlink()
    with pytest.raises(DataError, match=r"from_files: .*a.csv is gone and was part of the stream; put it back."):
        query.step()


def test_a_file_that_was_read_may_go(folder: Folder) -> None:
    path = folder.write("a.csv", HEADER + line(1))
    query = folder.stream().query().run()
    path.unlink()
    folder.write("b.csv", HEADER + line(2))
    assert values(query) == [[1], [2]]
    with pytest.raises(DataError, match=r"is gone and was part of the stream"):
        query.rewind(-1).step()


# -- files that do not fit


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("b.csv", "at,k,v,w\n2026-01-01,a,1,2\n", "columns ['w'] are not in the schema ['at', 'k', 'v']; "),
        ("b.csv", "at,k\n2026-01-01,a\n", "lacks the columns ['v'] that other files have; "),
        ("b.csv.gz", b"no gzip", "cannot read "),
        ("b.parquet", b"PAR1 no parquet PAR1", "cannot read "),
        ("b.parquet", PARQUET.with_columns(w=pl.lit(1)), "columns ['w'] are not in the schema "),
        ("b.parquet", PARQUET.drop("v"), "lacks the columns ['v'] that other files have; "),
        ("b.parquet", PARQUET.with_columns(v=pl.lit(1.5)), "column 'v' should be Int64 and is Float64"),
        ("b.parquet", PARQUET.with_columns(at=pl.lit(1)), "column 'at' should be Datetime("),
        ("b.parquet", PARQUET.with_columns(at=pl.col("at").dt.replace_time_zone("UTC")), "mixes times with and "),
        ("b.txt", "hello\n", "is none of "),
    ],
)  # fmt: skip
def test_a_file_that_differs_is_named_and_waits(folder: Folder, name: str, content: Any, words: str) -> None:
    folder.write("a.parquet", PARQUET)
    frame = folder.stream("*", files_per_batch=1)
    query = frame.query()
    query.step()
    folder.write(name, content)
    with pytest.raises(DataError) as error:
        query.step()
    assert words in str(error.value)
    assert name in str(error.value)
    assert str(error.value).startswith("from_files: ")
    (folder.path / name).unlink()
    assert query.step() is None
    assert len(query.dead_letters) == 0


BAD = [
    ("b.csv", HEADER, "soon,a,1\n", "column 'at' holds 'soon', which is not a time"),
    ("b.csv", HEADER, "2026-01-01,a,many\n", "many"),
    ("b.csv", HEADER, "2026-01-01,a,1.5\n", "1.5"),
    ("b.csv", HEADER, "2026-01-01,a,1,2,3\n", "found more fields"),
    ("b.csv", HEADER, b"2026-01-01,\xff,1\n", "invalid utf-8"),
    ("b.csv", HEADER, '2026-01-01,"a\nb",many\n', "many"),
    ("b.jsonl", "", '{"at": "2026-01-01", "k": "a", "v": 1, "w": 2}\n', "columns ['w'] are not in the schema "),
    ("b.jsonl", "", '{"at": "2026-01-01", "k": "a", "v": "many"}\n', "column 'v' should be Int64 and is String"),
    ("b.jsonl", "", '{"at": 17, "k": "a", "v": 1}\n', "'at'"),
    ("b.jsonl", "", "[1, 2]\n", "it is JSON but no object: list"),
    ("b.jsonl", "", "{'v': 1}\n", "it is not JSON: "),
    ("b.jsonl", "", '{"v": 1}{"v": 2}\n', "it is not JSON: "),
    ("b.jsonl", "", '{"at": NaN}\n', "NaN is no number of JSON"),
    ("b.jsonl", "", '{"at": -Infinity}\n', "-Infinity is no number of JSON"),
    ("b.jsonl", "", b'{"k": "\xff"}\n', "byte 7 is not UTF-8"),
    ("b.jsonl", "", '{"k": "\\ud800"}\n', "it holds half a surrogate pair"),
    ("b.jsonl", "", '{"at": "9999999-01-01"}\n', "which is not a time"),
    ("b.jsonl", "", '{"v": 12345678901234567890}\n', "'v'"),
    ("b.jsonl", "", "[" * 100_000 + "\n", "it is not JSON: "),
    ("b.json.gz", "", "{]\n", "it is not JSON: "),
]


@pytest.mark.parametrize(("name", "header", "record", "reason"), BAD)
def test_a_record_that_is_no_row_is_set_aside_with_its_place_and_its_neighbours_are_read(
    folder: Folder, name: str, header: str, record: str | bytes, reason: str
) -> None:
    record = record.encode() if isinstance(record, str) else record
    before, after = (good(name, v) for v in ([1, 2], [3]))
    content = header.encode() + before + record + after
    folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
    query = folder.stream("b.*").query().run()
    assert list(query.result["v"]) == [1, 2, 3]
    (dead,) = query.dead_letters.to_dict("records")
    where = f"line {4 if header else 3}" if "csv" in name else f"byte {len(before)}"
    assert (dead["batch_id"], dead["offset"]) == (0, f"{folder.path / name} {where}")
    assert reason in dead["reason"]
    assert dead["raw"] == record.decode(errors="backslashreplace").rstrip("\n")
    assert query.progress[0].num_dead_letters == 1
    assert query.trace[0].dead_letters is not None
    assert query.trace[0].dead_letters["raw"].to_list() == [dead["raw"]]
    assert query.progress[0].num_input_rows == 3


def good(name: str, numbers: list[int]) -> bytes:
    lines = [line(v) if "csv" in name else f'{{"at": "2026-01-01", "v": {v}}}\n' for v in numbers]
    return "".join(lines).encode()


def test_a_good_row_is_the_same_whether_its_neighbours_are_good_or_not(folder: Folder) -> None:
    rows = [
        '{"v": 1.0}',
        '{"v": "7"}',
        '{"k": "\\ud83d\\ude00"}',
        '{"v": 2, "v": 3}',
        "",
        '  {"k": "é"}\r',
        '{"v": null}',
    ]
    folder.write("a.jsonl", "\n".join(rows) + "\n")
    folder.write("b.jsonl", "\n".join([*rows, "{", '{"v": "x"}']) + "\n")
    alone, among = folder.stream("a.jsonl").query().run(), folder.stream("b.jsonl").query().run()
    pd.testing.assert_frame_equal(alone.result, among.result)
    assert (len(alone.dead_letters), len(among.dead_letters)) == (0, 2)


def test_a_quote_that_never_closes_costs_one_line(folder: Folder) -> None:
    folder.write("a.csv", HEADER + line(1) + '2026-01-01,"a,2\n' + line(3) + line(4))
    query = folder.stream().query().run()
    assert list(query.result["v"]) == [1, 3, 4]
    assert list(query.dead_letters["raw"]) == ['2026-01-01,"a,2']


def test_many_bad_records_among_good_ones(folder: Folder) -> None:
    lines = [
        "{nonsense}" if v % 100 == 7 else f'{{"v": "x{v}"}}' if v % 100 == 8 else f'{{"v": {v}}}' for v in range(5000)
    ]
    folder.write("a.jsonl", "\n".join(lines) + "\n")
    query = folder.stream("*.jsonl").query().run()
    assert (len(query.result), len(query.dead_letters)) == (4900, 100)
    assert list(query.dead_letters["raw"]) == [line for line in lines if line.startswith("{n") or "x" in line]


def test_whoever_prefers_it_gets_an_error_and_may_mend_the_file(folder: Folder) -> None:
    path = folder.write("a.jsonl", '{"v": 1}\n{"v": "x"}\n')
    query = folder.stream("*.jsonl").query(on_bad_record="fail")
    with pytest.raises(DataError, match=r"a.jsonl byte 9: column 'v' .*; leave it out, or set it aside with "):
        query.step()
    folder.write("a.jsonl", '{"v": 1}\n{"v": 2}\n')
    assert values(query) == [[1, 2]]
    assert path.exists()


def test_collect_has_nowhere_to_set_a_record_aside(folder: Folder) -> None:
    folder.write("a.jsonl", "{\n")
    with pytest.raises(DataError, match=r"a.jsonl byte 0: it is not JSON"):
        folder.stream("*.jsonl").collect()


def test_the_first_file_gives_the_columns_though_it_has_bad_lines(folder: Folder) -> None:
    folder.write("a.jsonl", '{"v": 1}\n{"v"\n')
    assert list(folder.stream("*.jsonl", schema=None).schema) == ["v"]


def test_columns_may_stand_in_any_order(folder: Folder) -> None:
    folder.write("a.csv", "v,at,k\n1,2026-01-01,a\n")
    folder.write("b.csv", HEADER + line(2))
    assert values(folder.stream().query()) == [[1, 2]]


def test_whole_numbers_fit_a_column_of_fractions(folder: Folder) -> None:
    folder.write("a.parquet", PARQUET)
    result = folder.stream("*.parquet", schema={"at": "datetime", "k": "string", "v": "float64"}).collect()
    assert list(result["v"]) == [1.0]


@pytest.mark.parametrize("count", [0, -1])
def test_no_files_in_a_batch(folder: Folder, count: int) -> None:
    with pytest.raises(
        PlanError, match=rf"from_files: files_per_batch={count} reads nothing; give 1 or more."
    ) as error:
        folder.stream(files_per_batch=count)
    assert error.value.code == "OPTION_INVALID"


def test_a_path_is_as_good_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"n": 1}\n')
    assert sn.from_files(tmp_path / "*.jsonl").collect()["n"].tolist() == [1]


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"k": "' + "x" * 10_000_000 + '"}\n{"k": "y"}\n')
    query = sn.from_files(tmp_path / "*.jsonl", {"k": "string"}, max_bytes_per_batch=1_000_000).query().run()
    assert [rows["k"].str.len().tolist() for rows in query.emitted] == [[10_000_000], [1]]
