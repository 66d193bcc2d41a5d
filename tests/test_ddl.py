"""Schemas in Spark's words, and values made to fit them."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.ddl import schema_of
from streamnb.fields import Fields


@pytest.mark.parametrize(
    ("words", "schema"),
    [
        ("user string, n bigint", {"user": pl.String(), "n": pl.Int64()}),
        ("`a b` INT, x: double , f float", {"a b": pl.Int64(), "x": pl.Float64(), "f": pl.Float64()}),
        ("t timestamp NOT NULL, ok boolean", {"t": pl.Datetime("us"), "ok": pl.Boolean()}),
        ("l array<array<long>>, d date", {"l": pl.List(pl.List(pl.Int64())), "d": pl.Date()}),
        ("struct<n:bigint,l:array<int>>", {"n": pl.Int64(), "l": pl.List(pl.Int64())}),
        ("bigint", {"value": pl.Int64()}),
        ({"n": "int64", "t": "datetime[UTC]"}, {"n": pl.Int64(), "t": pl.Datetime("us", "UTC")}),
    ],
)
def test_a_schema_is_a_dict_or_sparks_words(words, schema):
    assert dict(schema_of("test", words)) == schema


def test_a_type_of_pyspark_says_its_own_words():
    class StructType:
        def simpleString(self):  # noqa: N802
            return "struct<user:string,n:bigint>"

    assert schema_of("test", StructType()).names() == ["user", "n"]


@pytest.mark.parametrize("words", ["n money", "n bigint, n bigint", "", 5, "l array<money>"])
def test_a_schema_that_says_nothing_is_refused(words):
    with pytest.raises(sn.PlanError) as caught:
        schema_of("test", words)
    assert caught.value.code == "SCHEMA_INVALID"


UTC_NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("dtype", "value", "kept"),
    [
        ("bigint", np.int32(5), 5),
        ("bigint", 5.0, 5),
        ("bigint", float("nan"), None),
        ("double", 1, 1.0),
        ("double", float("inf"), float("inf")),
        ("boolean", np.True_, True),
        ("string", None, None),
        ("timestamp", pd.Timestamp("2026-01-01 00:00:00.123456789"), dt.datetime(2026, 1, 1, 0, 0, 0, 123456)),
        ("timestamp", np.datetime64("2026-01-01"), dt.datetime(2026, 1, 1)),
        ("timestamp", pd.NaT, None),
        ("datetime[UTC]", pd.Timestamp(UTC_NOON), UTC_NOON),
        ("date", dt.datetime(2026, 1, 1, 5), dt.date(2026, 1, 1)),
        ("duration", pd.Timedelta("1s"), dt.timedelta(seconds=1)),
        ("array<double>", np.array([1.5, 2.5]), [1.5, 2.5]),
        ("binary", b"\0", b"\0"),
    ],
)
def test_a_value_comes_back_as_the_table_will_give_it(dtype, value, kept):
    fields = Fields("test", {"v": dtype} if "[" in dtype else f"v {dtype}")
    (got,) = fields.fit((value,))
    assert got == kept
    assert type(got) is type(kept)
    assert pl.DataFrame([[got]], schema=fields.schema, orient="row").row(0) == (got,)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [("bigint", 2**63), ("bigint", "5"), ("tinyint", 128), ("string", 5), ("boolean", 1), ("timestamp", UTC_NOON),
     ("double", "x"), ("array<bigint>", [1.5])],
)  # fmt: skip
def test_a_value_that_would_change_is_refused(dtype, value):
    with pytest.raises(ValueError, match="cannot hold"):
        Fields("test", f"v {dtype}").fit((value,))
