"""from_files: folders called name=value are columns, in the types that Spark would guess, or as the schema says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import DataError
from streamnb.sources.partitions import inferred


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "day=2013-02-08/hour=05", "v\n1\n2\n")
    write(tmp_path, "day=2013-02-09/hour=17", "v\n3\n")
    return tmp_path


def write(top: Path, folders: str, content: str, name: str = "a.csv") -> None:
    (top / folders).mkdir(parents=True, exist_ok=True)
    (top / folders / name).write_text(content)


def typed(*values: str | None) -> Any:
    return inferred([(Path(str(n)), {"c": value}) for n, value in enumerate(values)])["c"]


@pytest.mark.parametrize("pattern", ["", "/", "/**/*.csv", "/*/*/*.csv", "/day=*/hour=*/a.csv"])
def test_folders_are_columns_behind_those_of_the_files(folder, pattern):
    frame = sn.from_files(f"{folder}{pattern}")
    assert [str(dtype) for dtype in frame.schema.dtypes()] == ["Int64", "Date", "Int64"]
    rows = frame.collect()
    assert list(rows.columns) == ["v", "day", "hour"]
    assert sorted(rows.itertuples(index=False, name=None)) == [
        (1, pd_date(8), 5), (2, pd_date(8), 5), (3, pd_date(9), 17)
    ]  # fmt: skip


def pd_date(day: int) -> Any:
    return pl.Series([dt.date(2013, 2, day)]).to_pandas()[0]


def test_folders_that_the_pattern_names_are_none(folder):
    assert list(sn.from_files(f"{folder}/day=2013-02-08/hour=05/*.csv").schema) == ["v"]
    assert list(sn.from_files(f"{folder}/day=2013-02-08/*/*.csv").schema) == ["v", "hour"]


def test_a_schema_says_which_folders_are_columns_and_of_what_type(folder):
    rows = sn.from_files(f"{folder}/", {"hour": "string", "v": "int64"}).collect()
    assert sorted(rows.itertuples(index=False, name=None)) == [("05", 1), ("05", 2), ("17", 3)]
    day = sn.from_files(f"{folder}/", {"v": "int64", "day": "datetime"}).collect()["day"]
    assert sorted(set(map(str, day))) == ["2013-02-08 00:00:00", "2013-02-09 00:00:00"]


def test_new_folders_are_new_input_and_are_read_again_after_a_rewind(folder, tmp_path):
    query = sn.from_files(f"{folder}/").query(checkpoint=tmp_path.parent / f"{tmp_path.name}-checkpoint").run()
    write(folder, "day=2013-02-10/hour=0", "v\n4\n")
    query.run()
    last = query.emitted[-1].to_dict("records")
    assert last == [{"v": 4, "day": pd_date(10), "hour": 0}]
    query.rewind(0).run()
    assert query.emitted[-1].to_dict("records") == last
    query.stop()


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"v": 1}\n'), ("a.parquet", None)],
)
def test_of_every_format(tmp_path, name, content):
    if content is None:  # this one holds the column too; the folder counts
        (tmp_path / "day=2013-02-08").mkdir()
        pl.DataFrame({"v": [1], "day": ["other"]}).write_parquet(tmp_path / "day=2013-02-08" / name)
    else:
        write(tmp_path, "day=2013-02-08", content, name)
    rows = sn.from_files(f"{tmp_path}/*/{name}").collect()
    assert rows.to_dict("records") == [{"v": 1, "day": pd_date(8)}]


def test_names_and_values_are_unescaped_and_null_has_a_name_of_its_own(tmp_path):
    for value in ("a%2Fb%3D%20c", "__HIVE_DEFAULT_PARTITION__", "grüße"):
        write(tmp_path, f"my%20key={value}", "v\n1\n")
    keys = sn.from_files(f"{tmp_path}/").collect()["my key"]
    assert sorted(map(str, keys.fillna("null"))) == ["a/b= c", "grüße", "null"]


def test_hidden_folders_are_left_alone_and_partitions_by_a_hidden_name_are_not(tmp_path):
    for folders in ("_delta_log", ".git/day=1", "_day=3"):
        write(tmp_path, folders, "v\n1\n")
    assert sn.from_files(f"{tmp_path}/").collect().to_dict("records") == [{"v": 1, "_day": 3}]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["1", "02", None], pl.Int64()),
        (["1", "99999999999"], pl.Int64()),
        (["1", "1.5"], pl.Float64()),
        (["1e3", "-2"], pl.Float64()),
        (["2013-02-08", "2013-02-09"], pl.Date()),
        (["2013-02-08", "2013-2-9"], pl.String()),
        (["2013-02-08", "2013-02-08 17:00:00"], pl.Datetime("us")),
        (["2013-02-08", "1"], pl.String()),
        (["1", "x"], pl.String()),
        (["true"], pl.String()),
        (["2013-02-31"], pl.String()),
        ([None], pl.String()),
        ([""], pl.String()),
    ],
)
def test_types_are_guessed_as_spark_guesses_them(values, dtype):
    assert typed(*values) == dtype


def test_folders_of_different_names_are_refused(folder):
    write(folder, "day=2013-02-10", "v\n4\n")
    with pytest.raises(DataError, match=r"name \['day'.*\], and those of .* name \['day'.*\]; give schema="):
        sn.from_files(f"{folder}/")


def test_a_value_that_does_not_fit_is_named_and_waits(folder):
    query = sn.from_files(f"{folder}/").query().run()
    write(folder, "day=soon/hour=1", "v\n4\n")
    with pytest.raises(DataError, match=r"the folder day=soon of .*a\.csv is no Date; rename it"):
        query.step()
    (folder / "day=soon").rename(folder / "day=2013-02-11")
    assert query.run().result["v"].tolist()[-1] == 4
    query.stop()
