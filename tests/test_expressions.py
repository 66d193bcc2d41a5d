"""expressions: what is used of Narwhals that it does not promise, and what is asked of an expression."""

from __future__ import annotations

import datetime as dt

import narwhals as nw
import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from streamnb.expressions import (
    all_of,
    as_expr,
    conjuncts,
    mask,
    native,
    outcome,
    plain_column,
    spelled,
    window_time,
)

SCHEMA = {"a": pl.Int64(), "b": pl.Int64(), "t": pl.Datetime("us"), "window_end": pl.Datetime("us")}
FRAME = pl.DataFrame({"a": [1, 2, None], "b": [3, None, 5]})


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        (sn.col("a") + 1, pl.col("a") + 1),
        ((sn.col("a") > 1) & ~sn.col("b").is_null(), (pl.col("a") > 1) & ~pl.col("b").is_null()),
        (
            sn.when(sn.col("a") > 1).then(sn.lit("x")).otherwise(sn.lit("y")),
            pl.when(pl.col("a") > 1).then(pl.lit("x")).otherwise(pl.lit("y")),
        ),
        (sn.lit(5), pl.lit(5)),
        (nw.coalesce("a", "b"), pl.coalesce("a", "b")),
        (sn.col("a").alias("c"), pl.col("a").alias("c")),
    ],
)
def test_narwhals_still_hands_out_the_polars_expression(expression: nw.Expr, meant: pl.Expr) -> None:
    assert FRAME.select(native(expression)).equals(FRAME.select(meant), null_equal=True)


def test_ours_are_narwhals_own() -> None:
    assert (sn.col, sn.lit, sn.when) == (nw.col, nw.lit, nw.when)


def test_a_name_is_a_column() -> None:
    assert FRAME.select(native("a")).equals(FRAME.select("a"), null_equal=True)


@pytest.mark.parametrize("wrong", [5, None, pl.col("a"), ["a"]])
def test_anything_else_is_no_expression(wrong: object) -> None:
    with pytest.raises(PlanError, match=r"expression: .* is not one; write sn.col.'name'. or sn.lit.value..") as error:
        as_expr(wrong)  # type: ignore[arg-type]
    assert error.value.code == "EXPRESSION_INVALID"


def test_the_outcome_is_known_without_data() -> None:
    assert outcome("select", [native(sn.col("a") / 2), native(sn.col("t"))], SCHEMA) == {
        "a": pl.Float64(),
        "t": pl.Datetime("us"),
    }


def test_a_missing_column_is_named_with_its_neighbour() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"select: no column 'aa'; did you mean 'a'?"):
        outcome("select", [native(sn.col("aa") + sn.col("b"))], SCHEMA)


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        (sn.col("a"), "a"),
        (sn.col("a").alias("b"), "a"),
        (sn.col("a") + 0, None),
        (sn.lit(1), None),
        (sn.col("a").cast(nw.Int64), None),
    ],
)
def test_a_column_that_is_handed_on_untouched_is_recognised(expression: nw.Expr, column: str | None) -> None:
    assert plain_column(native(expression)) == column


def test_conditions_joined_by_and_are_taken_apart_and_put_together() -> None:
    a, b, c = sn.col("a") > 1, sn.col("b") > 2, sn.col("a") < sn.col("b")
    assert len(conjuncts(a & b & c)) == len(conjuncts(a & (b & c))) == 3
    assert [len(conjuncts(whole)) for whole in (a, a | b, ~(a & b), (a | b) & c)] == [1, 1, 1, 2]
    whole = a & (b | c)
    assert FRAME.filter(native(all_of(conjuncts(whole)))).equals(FRAME.filter(native(whole)), null_equal=True)


VALUES = pl.DataFrame(
    {
        "f": [0.5, -0.0, None, float("nan"), float("inf"), 1.0],
        "n": [0, None, -1, 2**62, 1, 5],
        "s": ["a", "", None, "é", "b", "a"],
    }
)


@pytest.mark.parametrize(
    "condition",
    [
        sn.col("f") >= 0.5,
        sn.col("f") < 1e300,
        sn.col("f") > 0,
        sn.col("n") < 1,
        sn.col("n") != 0,
        sn.col("s") == "a",
        (sn.col("f") >= 0) & (sn.col("n") > 0) & (sn.col("s") != ""),
    ],
)
def test_columns_compared_with_values_directly_keep_the_rows_that_an_expression_keeps(condition: nw.Expr) -> None:
    found = mask(condition, VALUES.schema)
    assert found is not None
    assert VALUES.filter(found(VALUES)).equals(VALUES.filter(native(condition)), null_equal=True)


@pytest.mark.parametrize(
    "condition",
    [
        sn.col("n") > 0.5,
        sn.col("n") > 2**60,
        sn.col("f") > sn.col("n"),
        (sn.col("f") > 0) | (sn.col("n") > 0),
        sn.col("f").is_null(),
        sn.col("n") + 1 > 0,
    ],
)
def test_what_is_no_plain_comparison_is_left_to_polars(condition: nw.Expr) -> None:
    assert mask(condition, VALUES.schema) is None


def test_the_time_of_a_window_is_its_last_microsecond() -> None:
    assert outcome("select", [native(window_time())], SCHEMA) == {"window_end": pl.Datetime("us")}


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ((nw.col("v") > 1) & ~(nw.col("k") == "a"), "(v > 1) & ~(k == 'a')"),
        (nw.col("a").str.contains("b") | nw.col("x").is_null(), "a.str.contains('b') | x.is_null()"),
        (1 + nw.col("a"), "a + 1"),
        (nw.col("at") < nw.lit(dt.datetime(2024, 1, 1)), "at < 2024-01-01 00:00:00"),
    ],
)
def test_an_expression_is_spelled_as_people_write_it(expression, text):
    assert spelled(expression) == text
