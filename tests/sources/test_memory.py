"""MemorySource: what can be given to it, and what it refuses."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError

SCHEMA = {"at": "datetime", "k": "string", "v": "int64", "x": "float64"}
TIMES = ["2026-01-01 00:00:07", "2026-01-01 00:00:08"]
COLUMNS: dict[str, list[Any]] = {
    "at": [dt.datetime(2026, 1, 1, 0, 0, 7), dt.datetime(2026, 1, 1, 0, 0, 8)],
    "k": ["a", None],
    "v": [1, 2],
}
ROWS = [(COLUMNS["at"][0], "a", 1, None), (COLUMNS["at"][1], None, 2, None)]


def added(rows: object, schema: dict[str, str] | None = None) -> pl.DataFrame:
    source = sn.MemorySource(schema or SCHEMA)
    source.add(rows)
    return source.read(None, 1)


@pytest.mark.parametrize(
    "rows",
    [
        [{"at": TIMES[0], "k": "a", "v": 1}, {"at": TIMES[1], "v": 2}],
        {"at": TIMES, "k": ["a", None], "v": [1, 2]},
        {"at": pd.to_datetime(TIMES), "k": np.array(["a", None]), "v": np.array([1, 2])},
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).astype({"at": "datetime64[ns]", "v": "Int64"}),
        pd.DataFrame({"v": [1, 2], "k": ["a", None], "at": TIMES}, index=[5, 5]),
        pl.DataFrame(COLUMNS),
        pl.DataFrame(COLUMNS).cast({"at": pl.Datetime("ms")}),
        pa.table(COLUMNS),
        pa.table(COLUMNS).slice(0, 2),
        tuple({"at": at, "k": k, "v": v} for at, k, v, _ in ROWS),
    ],
)
def test_rows_come_in_many_forms(rows: object) -> None:
    assert added(rows).rows() == ROWS


@pytest.mark.parametrize("nothing", [[], {}, (), {"v": []}, pd.DataFrame(), pl.DataFrame({"v": []}), None])
def test_nothing_is_a_unit_too(nothing: object) -> None:
    source = sn.MemorySource(SCHEMA)
    source.add() if nothing is None else source.add(nothing)
    assert (source.latest(), len(source.read(0, 1))) == (1, 0)
    assert source.read(0, 1).schema == source.schema


def test_one_add_is_one_unit() -> None:
    source = sn.MemorySource({"v": "int64"})
    source.add([{"v": 1}, {"v": 2}])
    source.add([{"v": 3}])
    query = sn.stream(source).query()
    query.step()
    assert list(query.result["v"]) == [1, 2]
    query.step()
    assert (list(query.result["v"]), query.step()) == ([1, 2, 3], None)


def test_two_queries_read_one_source_each_at_its_own_pace() -> None:
    source = sn.MemorySource({"v": "int64"})
    source.add([{"v": 1}])
    first, second = sn.stream(source).query(), sn.stream(source).query()
    first.run()
    source.add([{"v": 2}])
    assert [list(query.run().result["v"]) for query in (first, second)] == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("dtype", "given", "kept"),
    [
        ("int64", True, 1),
        ("int64", 2.0, 2),
        ("float64", 1, 1.0),
        ("float64", math.nan, math.nan),
        ("datetime", "2026-01-01", dt.datetime(2026, 1, 1)),
        ("datetime", "2026-01-01T00:00:00Z", dt.datetime(2026, 1, 1)),
        ("datetime", dt.date(2026, 1, 1), dt.datetime(2026, 1, 1)),
        ("datetime[UTC]", "2026-01-01 01:00+01:00", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("datetime[UTC]", "2026-01-01", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (
            "datetime[Europe/Berlin]",
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        ),
        ("date", "2026-01-01", dt.date(2026, 1, 1)),
        ("date", dt.datetime(2026, 1, 1), dt.date(2026, 1, 1)),
        ("list[int64]", [1, None], [1, None]),
        ("string", "日本", "日本"),
        ("bool", None, None),
    ],
)
def test_values_are_made_to_fit(dtype: str, given: object, kept: object) -> None:
    for rows in ([{"it": given}], {"it": [given]}):
        (value,) = added(rows, {"it": dtype})["it"].to_list()
        assert value == kept or (isinstance(kept, float) and math.isnan(value))


def test_changing_a_table_afterwards_changes_nothing() -> None:
    source, table = sn.MemorySource({"v": "int64"}), pd.DataFrame({"v": [1]})
    for v in (1, 2, 3):
        table.loc[:, "v"] = v
        source.add(table)
    assert source.read(0, 3)["v"].to_list() == [1, 2, 3]


def test_missing_numbers_of_pandas_are_null() -> None:
    table = pd.DataFrame({"v": [1, None], "x": [1.0, None]})
    assert added(table)["v"].to_list() == [1, None]
    assert added(table)["x"].to_list() == [1.0, None]


def test_half_a_microsecond_is_cut() -> None:
    assert added(pd.DataFrame({"at": [pd.Timestamp("2026-01-01 00:00:00.000000999")]}))["at"][0] == dt.datetime(
        2026, 1, 1
    )


@pytest.mark.parametrize(
    ("dtype", "given"),
    [
        ("int64", 1.5),
        ("int64", math.nan),
        ("int64", "one"),
        ("int64", 2**70),
        ("int8", 300),
        ("uint8", -1),
        ("bool", 5),
        ("float64", "1,5"),
        ("datetime", "soon"),
        ("datetime", "2026-02-30"),
        ("datetime", "2026-01-01T00:00:00+01:00"),
        ("datetime", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("datetime", 1_767_225_600),
        ("date", dt.datetime(2026, 1, 1, 12)),
        ("date", "tomorrow"),
        ("date", 5),
        ("int64", dt.datetime(2026, 1, 1)),
        ("list[int64]", 5),
        ("list[int64]", ["a"]),
        ("string", ["a"]),
    ],
)
@pytest.mark.parametrize("form", ["dicts", "columns", "polars", "pandas"])
def test_a_value_that_does_not_fit_is_refused_and_nothing_of_it_stays(dtype: str, given: object, form: str) -> None:
    if isinstance(given, int) and given > 2**64:
        form = "dicts"
    if form == "pandas" and isinstance(given, float) and math.isnan(given):
        form = "polars"  # to pandas NaN is null, which fits
    source = sn.MemorySource({"it": dtype})
    rows = {
        "dicts": lambda: [{"it": given}],
        "columns": lambda: {"it": [given]},
        "polars": lambda: pl.DataFrame({"it": [given]}),
        "pandas": lambda: pd.DataFrame({"it": [given]}),
    }[form]()
    with pytest.raises(DataError, match=r"MemorySource.add: .*'it'|MemorySource.add: the rows do not fit") as error:
        source.add(rows)
    assert "; " in str(error.value)
    assert source.latest() == 0


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"k": "a", "w": 1}],
            "MemorySource.add: columns ['w'] are not in the schema ['at', 'k', 'v', 'x']; declare or drop them.",
        ),
        ([("a", 1)], "MemorySource.add: a row is a dict of column to value, not ('a', 1); write {'column': value}."),
        ("k", "MemorySource.add: cannot take rows from str; give dicts or a DataFrame."),
        (5, "MemorySource.add: cannot take rows from int; give dicts or a DataFrame."),
        ({"k": "ab"}, "MemorySource.add: column 'k' is 'ab', not a list of values; give one row as [{…}]."),
        ({"v": 5}, "MemorySource.add: column 'v' is 5, not a list of values; give one row as [{…}]."),
        ({"k": ["a"], "v": [1, 2]}, "MemorySource.add: the rows do not fit: "),
        (pd.DataFrame([[1, 2]], columns=["v", "v"]), "MemorySource.add: cannot read the DataFrame: "),
        (pd.DataFrame({"v": [1, "a"]}), "MemorySource.add: cannot read the DataFrame: "),
        (pl.LazyFrame({"v": [1]}), "MemorySource.add: cannot take rows from LazyFrame; "),
    ],
)
def test_rows_that_are_not_rows(rows: object, words: str) -> None:
    with pytest.raises(DataError) as error:
        added(rows)
    assert str(error.value).startswith(words)


def test_a_failed_add_together_adds_nothing_anywhere() -> None:
    left, right = sn.MemorySource({"v": "int64"}), sn.MemorySource({"v": "int64"})
    with pytest.raises(DataError, match=r"add: "):
        sn.add({left: [{"v": 1}], right: [{"v": "one"}]})
    assert (left.latest(), right.latest()) == (0, 0)


@pytest.mark.parametrize("dtype", ["integer", "list", "list[", 5, dict])
def test_a_type_that_does_not_exist(dtype: object) -> None:
    with pytest.raises(PlanError, match=r"MemorySource: the type .* is not known; use 'datetime', ") as error:
        sn.MemorySource({"v": dtype})
    assert error.value.code == "SCHEMA_INVALID"


def test_its_text_says_how_much_there_is() -> None:
    source = sn.MemorySource({"v": "int64"})
    source.add({"v": [1, 2]})
    assert repr(source) == "MemorySource(1 unit, 2 rows)"


def test_a_unit_that_an_interrupt_kept_from_coming_leaves_nothing() -> None:
    source = sn.MemorySource({"v": "int64"})
    source.add([{"v": 1}])
    source._rows.append(2)  # as far as an interrupted add came
    assert repr(source) == "MemorySource(1 unit, 1 row)"
    source.add([{"v": n} for n in (2, 3, 4)])
    source.add([{"v": 5}])
    assert sn.stream(source).query().run().result["v"].tolist() == [1, 2, 3, 4, 5]
    assert source.waiting(1) == 4
