"""StreamFrame: what people write who come from tables, and what it tells them."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

import streamnb as sn
from streamnb import col
from streamnb.errors import ColumnNotFoundError, PlanError

ROWS = {"origin": ["JFK", "LGA"], "dest": ["LAX", "BOS"], "miles": [2475, 184]}


def rows() -> sn.StreamFrame:
    return sn.from_pandas(ROWS)


@pytest.mark.parametrize(
    ("taken", "way"),
    [
        (lambda: rows()["origin"], r"frame\['origin'\]: a frame holds no rows to take out; write col\('origin'\)\."),
        (lambda: rows()[["origin", "dest"]], r"write frame\.select\(…\)\.$"),
        (lambda: rows()[col("miles") > 200], r"write filter\(…\)\.$"),
        (lambda: rows()[:5], r"write filter\(…\)\.$"),
        (lambda: rows().__setitem__("km", 1), r"a frame does not change; write frame = frame\.with_columns\(km=…\)\."),
    ],
)
def test_a_frame_is_no_table_to_take_from(taken: Callable[[], object], way: str) -> None:
    with pytest.raises(PlanError, match=way) as error:
        taken()
    assert error.value.code == "EXPRESSION_INVALID"


def test_a_column_that_is_not_there_is_named_with_its_neighbour() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"no column 'orign'; did you mean 'origin'\?"):
        rows()["orign"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("dest", r"; the column is col\('dest'\)$"),
        ("groupby", r"; did you mean 'group_by'\?$"),
        ("groupBy", r"; did you mean 'group_by'\?$"),
        ("withColumn", r"; did you mean 'with_columns'\?$"),
        ("withWatermark", r"; did you mean 'with_watermark'\?$"),
        ("xyzzy", r"no attribute 'xyzzy'$"),
        ("__array__", r"no attribute '__array__'$"),
    ],
)
def test_a_name_that_is_no_verb_tells_the_way(name: str, told: str) -> None:
    with pytest.raises(AttributeError, match=told):
        getattr(rows(), name)


def test_a_frame_is_no_sequence() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(rows())  # type: ignore[call-overload]


def test_a_frame_is_copied_as_before() -> None:
    assert copy.copy(rows()).schema == rows().schema


@pytest.mark.parametrize(
    ("listed", "one_by_one"),
    [
        (lambda f: f.select(["dest", "miles"]), lambda f: f.select("dest", "miles")),
        (lambda f: f.drop(["dest", "miles"]), lambda f: f.drop("dest", "miles")),
        (lambda f: f.with_columns([col("miles").alias("m")]), lambda f: f.with_columns(col("miles").alias("m"))),
        (
            lambda f: f.group_by(["origin", "dest"]).agg(n=sn.count()),
            lambda f: f.group_by("origin", "dest").agg(n=sn.count()),
        ),
        (lambda f: f.group_by([]).agg(n=sn.count()), lambda f: f.group_by().agg(n=sn.count())),
    ],
)
def test_columns_may_stand_in_a_list(
    listed: Callable[[sn.StreamFrame], sn.StreamFrame], one_by_one: Callable[[sn.StreamFrame], sn.StreamFrame]
) -> None:
    assert listed(rows()).collect().equals(one_by_one(rows()).collect())


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (sn.sum("miles"), r"agg: sum\(miles\) has no name; name it: agg\(a_name=sn\.sum\(…\)\)\."),
        (sn.count_distinct("dest"), r"agg: count_distinct\(dest\) .* agg\(a_name=sn\.count_distinct\(…\)\)\."),
        ({"miles": "sum"}, r"agg: \{'miles': 'sum'\} has no name; name it: agg\(a_name=sn\.sum\('column'\)\)\."),
    ],
)
def test_an_aggregate_needs_a_name(value: object, told: str) -> None:
    with pytest.raises(PlanError, match=told) as error:
        rows().group_by("origin").agg(value)
    assert error.value.code == "AGGREGATE_INVALID"
