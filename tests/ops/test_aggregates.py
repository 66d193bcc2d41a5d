"""Every aggregate: what pandas says of the same values, nulls, nothing at all, and values of every type."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError, QueryError
from tests.laws import FOLDS, Span
from tests.play import cell

SCHEMA = {
    "k": "string", "v": "int64", "x": "float64", "s": "string", "b": "bool", "t": "datetime", "d": "date",
    "z": "datetime[Europe/Berlin]", "l": "list[int64]", "u": "uint8",
}  # fmt: skip


def answer(aggregate: Any, *batches: list[dict[str, Any]], keys: tuple[str, ...] = ()) -> Any:
    """Return the aggregate over all batches, each its own."""
    source = sn.MemorySource(SCHEMA)
    query = sn.stream(source).group_by(*keys).agg(it=aggregate).query("update")
    for batch in batches:
        source.add(batch)
    return query.run().trace[-1].emitted["it"][0]


def column(name: str, *batches: Any) -> list[list[dict[str, Any]]]:
    return [[{name: value} for value in batch] for batch in batches]


NUMBERS: list[list[Any]] = [[4, None, 1], [], [1, 9], [None], [7]]
FLAT = pd.Series([value for batch in NUMBERS for value in batch if value is not None])
FLOATS: list[list[Any]] = [[0.5, None], [2.25, -1.0], [1.0]]


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (sn.count(), 7),
        (sn.count("v"), FLAT.count()),
        (sn.sum("v"), FLAT.sum()),
        (sn.mean("v"), FLAT.mean()),
        (sn.min("v"), FLAT.min()),
        (sn.max("v"), FLAT.max()),
        (sn.var("v"), FLAT.var()),
        (sn.std("v"), FLAT.std()),
        (sn.count_distinct("v"), FLAT.nunique()),
        (sn.approx_count_distinct("v"), FLAT.nunique()),
        (sn.quantile("v", 0.5), FLAT.median()),
        (sn.quantile("v", 0.1), FLAT.quantile(0.1)),
        (sn.quantile("v", 0), FLAT.min()),
        (sn.quantile("v", 1), FLAT.max()),
        (Span("v"), 8.0),
    ],
)
def test_it_is_what_pandas_says_of_all_values(aggregate: Any, expected: float) -> None:
    assert answer(aggregate, *column("v", *NUMBERS)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("aggregate", "expected"),
    [
        (sn.first("v"), 4),
        (sn.last("v"), 7),
        (sn.collect_list("v"), [4, 1, 1, 9, 7]),
        (sn.collect_set("v"), [4, 1, 9, 7]),
    ],
)
def test_order_of_arrival_is_kept(aggregate: Any, expected: Any) -> None:
    got = answer(aggregate, *column("v", *NUMBERS))
    assert (got if isinstance(got, int) else list(got)) == expected


def test_first_and_last_are_null_where_a_null_was() -> None:
    batches = column("v", [None, 1], [2, None])
    assert answer(sn.first("v"), *batches) is None
    assert answer(sn.last("v"), *batches) is None
    assert answer(sn.first("v", ignore_nulls=True), *batches) == 1
    assert answer(sn.last("v", ignore_nulls=True), *batches) == 2


NOTHING: list[tuple[Any, Any]] = [
    (sn.count(), 0), (sn.count("v"), 0), (sn.sum("v"), None), (sn.mean("v"), None), (sn.min("v"), None),
    (sn.max("v"), None), (sn.var("v"), None), (sn.std("v"), None), (sn.first("v"), None), (sn.last("v"), None),
    (sn.count_distinct("v"), 0), (sn.approx_count_distinct("v"), 0), (sn.collect_list("v"), []),
    (sn.collect_set("v"), []), (sn.min_by("v", "x"), None), (sn.max_by("v", "x"), None), (sn.quantile("v", 0.5), None),
    (Span("v"), None), (sn.sum("x"), None), (sn.sum(sn.col("v") + 1), None),
]  # fmt: skip


@pytest.mark.parametrize(("aggregate", "expected"), NOTHING)
def test_of_no_row_at_all(aggregate: Any, expected: Any) -> None:
    got = answer(aggregate, [])
    assert (list(got) if isinstance(expected, list) else got) == expected


@pytest.mark.parametrize(("aggregate", "expected"), NOTHING[1:])
def test_of_nothing_but_nulls(aggregate: Any, expected: Any) -> None:
    got = answer(aggregate, *column("v", [None], [None, None], []))
    assert (list(got) if isinstance(expected, list) else got) == expected


@pytest.mark.parametrize("aggregate", [aggregate for aggregate, _ in NOTHING])
def test_nothing_at_first_spoils_nothing_later(aggregate: Any) -> None:
    late, early = answer(aggregate, [], [{"v": 2, "x": 1.0}], []), answer(aggregate, [{"v": 2, "x": 1.0}])
    assert cell(late) == cell(early)


@pytest.mark.parametrize("aggregate", [sn.var, sn.std])
def test_one_value_has_no_spread(aggregate: Callable[[str], Any]) -> None:
    assert answer(aggregate("v"), *column("v", [3])) is None
    assert answer(aggregate("v"), *column("v", [3], [3])) == 0


def test_variance_is_steady_far_from_zero() -> None:
    values = [1e9 + value for value in (4.0, 7.0, 13.0, 16.0)]
    assert answer(sn.var("x"), *column("x", values[:1], values[1:3], values[3:])) == pytest.approx(30.0)


def test_sums_of_small_integers_do_not_overflow() -> None:
    assert answer(sn.sum("u"), *column("u", [200, 200], [200])) == 600


def test_nan_is_the_largest_number() -> None:
    batches = column("x", [1.0, math.nan], [2.0])
    assert math.isnan(answer(sn.max("x"), *batches))
    assert math.isnan(answer(sn.max("x"), *reversed(batches)))
    assert answer(sn.min("x"), *batches) == 1.0
    assert math.isnan(answer(sn.sum("x"), *batches))


DAY, ZONED = dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
OF_ALL_TYPES: dict[str, list[list[Any]]] = {
    "s": [["b", None], ["a"], ["c"]],
    "b": [[True], [False, None], [True]],
    "t": [[DAY + HOUR], [DAY, None], [DAY + 2 * HOUR]],
    "d": [[dt.date(2026, 1, 2)], [dt.date(2026, 1, 1), None], [dt.date(2026, 1, 3)]],
    "z": [[ZONED + HOUR], [ZONED, None], [ZONED + 2 * HOUR]],
    "x": FLOATS,
}


@pytest.mark.parametrize("name", OF_ALL_TYPES)
def test_values_of_every_type_are_compared_counted_and_collected(name: str) -> None:
    batches = column(name, *OF_ALL_TYPES[name])
    values = [value for batch in OF_ALL_TYPES[name] for value in batch if value is not None]
    assert answer(sn.min(name), *batches) == min(values)
    assert answer(sn.max(name), *batches) == max(values)
    assert answer(sn.first(name), *batches) == values[0]
    assert answer(sn.last(name), *batches) == values[-1]
    assert answer(sn.count(name), *batches) == len(values)
    assert answer(sn.count_distinct(name), *batches) == len(set(values))
    assert answer(sn.approx_count_distinct(name), *batches) == len(set(values))
    assert list(answer(sn.collect_list(name), *batches)) == values
    assert set(answer(sn.collect_set(name), *batches)) == set(values)


def test_lists_are_collected_into_lists_of_lists() -> None:
    got = answer(sn.collect_list("l"), *column("l", [[1], None], [[]]))
    assert [list(item) for item in got] == [[1], []]


def test_min_by_and_max_by_take_the_first_of_equals_and_skip_nulls() -> None:
    batches: list[list[dict[str, Any]]] = [
        [{"s": "none", "v": None}, {"s": "two", "v": 2}, {"s": "one", "v": 1}],
        [{"s": "also one", "v": 1}, {"s": "three", "v": 3}],
        [{"s": "also three", "v": 3}, {"s": None, "v": None}],
    ]
    assert answer(sn.min_by("s", "v"), *batches) == "one"
    assert answer(sn.max_by("s", "v"), *batches) == "three"


def test_the_value_of_min_by_may_be_null() -> None:
    assert answer(sn.min_by("s", "v"), [{"s": None, "v": 1}], [{"s": "two", "v": 2}]) is None


def test_the_approximate_count_is_exact_below_1024_and_close_above() -> None:
    few, many = (column("v", list(range(0, n, 2)), list(range(n))) for n in (1000, 50_000))
    assert answer(sn.approx_count_distinct("v"), *few) == 1000
    assert answer(sn.approx_count_distinct("v"), *many) == pytest.approx(50_000, rel=0.1)


def test_the_state_of_an_approximate_count_has_a_bound() -> None:
    source = sn.MemorySource({"v": "int64"})
    query = sn.stream(source).group_by().agg(n=sn.approx_count_distinct("v")).query("update")
    for i in range(20):
        source.add({"v": range(10_000 * i, 10_000 * i + 10_000)})
    query.run()
    assert query.last_progress is not None
    assert query.last_progress.state_operators[0].memory_used_bytes < 2**21


def test_an_expression_is_aggregated() -> None:
    assert answer(sn.sum(sn.col("v") * 2), *column("v", [1, None], [3])) == 8
    assert answer(sn.mean(sn.when(sn.col("v") > 1).then(sn.lit(1)).otherwise(sn.lit(0))), *column("v", [1], [3])) == 0.5
    assert answer(sn.mean("b"), *column("b", [True, False], [True, True])) == 0.75


def test_one_column_is_aggregated_in_many_ways_at_once() -> None:
    source = sn.MemorySource(SCHEMA)
    query = sn.stream(source).group_by().agg(v=sn.sum("v"), w=sn.mean("v"), x=sn.first("v")).query("update")
    source.add({"v": [1, 2, 3]})
    assert query.run().result.to_dict("records") == [{"v": 6, "w": 2.0, "x": 1}]


# -- one's own


class Joined(sn.Aggregate):
    returns = "string"

    def init(self) -> list[str]:
        return []

    def update(self, state: list[str], value: Any) -> list[str]:
        return [*state, str(value)]

    def merge(self, a: list[str], b: list[str]) -> list[str]:
        return a + b

    def finish(self, state: list[str]) -> str:
        return "+".join(state)


def test_ones_own_aggregate_sees_every_value_in_order_nulls_too() -> None:
    assert answer(Joined("v"), *column("v", [1, None], [3])) == "1+None+3"


def test_ones_own_aggregate_by_key() -> None:
    source = sn.MemorySource(SCHEMA)
    query = sn.stream(source).group_by("k").agg(all=Joined("v")).query("complete")
    source.add([{"k": "a", "v": 1}, {"k": "b", "v": 2}])
    source.add([{"k": "a", "v": 3}])
    assert dict(query.run().result.to_records(index=False).tolist()) == {"a": "1+3", "b": "2"}


def test_ones_own_aggregate_that_fails_is_named() -> None:
    class Broken(Joined):
        def update(self, state: list[str], value: Any) -> list[str]:
            raise ZeroDivisionError("oh")

    with pytest.raises(QueryError, match=r"group_by \(node 2\) failed on batch 0, 1 rows: .*oh"):
        answer(Broken("v"), *column("v", [1]))


# -- refused


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "quantile"])
@pytest.mark.parametrize("of", ["s", "t", "l"])
def test_what_is_not_a_number_has_no_sum(name: str, of: str) -> None:
    with pytest.raises(PlanError, match=rf"agg: {name}\({of}\) .*not numbers; ") as error:
        sn.stream(sn.MemorySource(SCHEMA)).group_by("k").agg(it=FOLDS.get(name, getattr(sn, name))(of))
    assert error.value.code == "AGGREGATE_INVALID"


@pytest.mark.parametrize("name", ["sum", "mean", "min", "first", "collect_set"])
def test_a_column_that_is_not_there(name: str) -> None:
    with pytest.raises(ColumnNotFoundError, match=r"agg: no column 'vv'; did you mean 'v'?"):
        sn.stream(sn.MemorySource(SCHEMA)).group_by("k").agg(it=getattr(sn, name)("vv"))


@pytest.mark.parametrize("q", [-0.1, 1.1, 50, math.nan])
def test_a_quantile_outside_of_0_to_1(q: float) -> None:
    with pytest.raises(PlanError, match=rf"quantile: q={q} is outside 0 to 1; ") as error:
        sn.quantile("v", q)
    assert error.value.code == "OPTION_INVALID"


def test_an_aggregate_of_nothing() -> None:
    with pytest.raises(PlanError, match=r"agg: sum.* has nothing to aggregate; ") as error:
        sn.stream(sn.MemorySource(SCHEMA)).group_by("k").agg(it=sn.sum(None))  # type: ignore[arg-type]
    assert error.value.code == "AGGREGATE_INVALID"


def test_ones_own_aggregate_of_an_unknown_type() -> None:
    class Odd(Joined):
        returns = "text"

    with pytest.raises(PlanError, match=r"agg: the type 'text' is not known; ") as error:
        sn.stream(sn.MemorySource(SCHEMA)).group_by("k").agg(it=Odd("v"))
    assert error.value.code == "SCHEMA_INVALID"
