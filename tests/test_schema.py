"""schema: the types a user may write. How rows are made to fit them: tests/sources/test_memory.py."""

from __future__ import annotations

import narwhals as nw
import pandas as pd
import polars as pl
import pytest

from streamnb.errors import PlanError
from streamnb.schema import as_rows, microseconds, polars_schema, polars_type


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("datetime", pl.Datetime("us")),
        ("timestamp", pl.Datetime("us")),
        ("datetime[UTC]", pl.Datetime("us", "UTC")),
        ("datetime[us, Europe/Berlin]", pl.Datetime("us", "Europe/Berlin")),
        ("datetime[ns]", pl.Datetime("us")),
        (" Int64 ", pl.Int64()),
        ("double", pl.Float64()),
        ("list[string]", pl.List(pl.String())),
        ("list[list[datetime[UTC]]]", pl.List(pl.List(pl.Datetime("us", "UTC")))),
        (pl.Int8, pl.Int8()),
        (pl.Datetime("ns", "UTC"), pl.Datetime("us", "UTC")),
        (nw.Int32, pl.Int32()),
        (nw.Datetime("ms"), pl.Datetime("us")),
        (nw.List(nw.Float64), pl.List(pl.Float64())),
        (pl.Struct({"a": pl.Int64()}), pl.Struct({"a": pl.Int64()})),
    ],
)
def test_a_type_is_written_in_many_ways(written: object, meant: pl.DataType) -> None:
    assert polars_type("schema", written) == meant


@pytest.mark.parametrize("written", ["", "text", "list[text]", "datetime[Atlantis/Main]", 5, None, int])
def test_a_type_that_does_not_exist(written: object) -> None:
    with pytest.raises(PlanError, match=r"schema: the .* is not known; ") as error:
        polars_type("schema", written)
    assert error.value.code == "SCHEMA_INVALID"


def test_a_schema_keeps_its_order() -> None:
    assert polars_schema("schema", {"b": "int64", "a": "string"}).names() == ["b", "a"]


def test_all_times_are_in_microseconds() -> None:
    frame = pl.DataFrame({"t": pd.to_datetime(["2026-01-01"]).astype("datetime64[ns]")}).with_columns(
        z=pl.col("t").dt.replace_time_zone("UTC").dt.cast_time_unit("ms")
    )
    assert microseconds(frame).dtypes == [pl.Datetime("us"), pl.Datetime("us", "UTC")]


def test_without_a_schema_rows_keep_their_types() -> None:
    frame = as_rows("read", [{"a": 1}, {"b": "x"}])
    assert dict(frame.schema) == {"a": pl.Int64(), "b": pl.String()}
    assert frame.rows() == [(1, None), (None, "x")]
