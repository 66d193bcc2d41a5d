"""Aggregates: the functions that name one, and Aggregate, to write your own."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression
from streamnb.folds import (
    ApproxCountDistinct,
    CollectList,
    CollectSet,
    Count,
    CountDistinct,
    First,
    Fold,
    Last,
    Max,
    MaxBy,
    Mean,
    Min,
    MinBy,
    Parts,
    Quantile,
    Std,
    Sum,
    Var,
)
from streamnb.schema import polars_type


@dataclass(frozen=True, eq=False)
class Aggregate(ABC):
    """An aggregate of your own, one value at a time. State is kept as JSON: numbers, strings, lists, dicts, None.

    >>> class Longest(sn.Aggregate):
    ...     returns = "string"
    ...     def init(self): return ""
    ...     def update(self, state, value): return self.merge(state, value or "")
    ...     def merge(self, a, b): return b if len(b) > len(a) else a
    ...     def finish(self, state): return state

    ``returns`` is the type of the result. Nulls are passed on as None. Runs in Python, row by row: for small batches.
    """

    value: Expression | None = None
    returns: ClassVar[str] = "float64"

    @abstractmethod
    def init(self) -> Any:
        """Return the state of a group without rows."""

    @abstractmethod
    def update(self, state: Any, value: Any) -> Any:
        """Return the state after one more value."""

    @abstractmethod
    def merge(self, a: Any, b: Any) -> Any:
        """Return the state of two groups together, ``a`` the earlier."""

    @abstractmethod
    def finish(self, state: Any) -> Any:
        """Return the result."""


@dataclass(frozen=True, eq=False)
class Custom(Fold):
    """A user's Aggregate as a Fold."""

    own: Aggregate | None = None

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].implode().map_elements(self._fold, return_dtype=pl.String)}

    def _fold(self, values: pl.Series) -> str:
        own = self._own
        state = own.init()
        for value in values:
            state = own.update(state, value)
        return json.dumps(state)

    def merge(self, old: Parts, new: Parts) -> Parts:
        def one(pair: Mapping[str, str]) -> str:
            return json.dumps(self._own.merge(json.loads(pair["old"]), json.loads(pair["new"])))

        both = pl.struct(old[""].alias("old"), new[""].alias("new"))
        return {"": both.map_elements(one, return_dtype=pl.String)}

    def finish(self, parts: Parts) -> pl.Expr:
        def one(state: str) -> Any:
            return self._own.finish(json.loads(state))

        return parts[""].map_elements(one, return_dtype=polars_type("agg", self._own.returns))

    @property
    def _own(self) -> Aggregate:
        assert self.own is not None  # noqa: S101  set by as_fold
        return self.own

    @property
    def name(self) -> str:
        return type(self.own).__name__


def as_fold(verb: str, name: str, value: object) -> Fold:
    """Return what ``agg(name=value)`` means."""
    if isinstance(value, Fold):
        return value
    if isinstance(value, Aggregate):
        return Custom(value.value, own=value)
    raise PlanError(
        f"{verb}: {name}={value!r} is not an aggregate; write {name}=sn.count(), sn.sum('column') or the like.",
        code="AGGREGATE_INVALID",
    )


def count(value: Expression | None = None) -> Fold:
    """Return the number of rows; of a column, the number of its non-null values. Spark: ``count``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.count()).collect()["x"].item()
    2
    """
    return Count(value)


def sum(value: Expression) -> Fold:
    """Return the sum of the non-null values, null where there are none. Spark: ``sum``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.sum("arr_delay")).collect()["x"].item()
    -37.0
    """
    return Sum(value)


def mean(value: Expression) -> Fold:
    """Return the mean of the non-null values as float64. Keeps a sum and a count. Spark: ``avg``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.mean("arr_delay")).collect()["x"].item()
    -18.5
    """
    return Mean(value)


def min(value: Expression) -> Fold:
    """Return the smallest non-null value. Spark: ``min``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.min("arr_delay")).collect()["x"].item()
    -28.0
    """
    return Min(value)


def max(value: Expression) -> Fold:
    """Return the largest non-null value; NaN is the largest number. Spark: ``max``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.max("arr_delay")).collect()["x"].item()
    -9.0
    """
    return Max(value)


def var(value: Expression) -> Fold:
    """Return the sample variance (divided by n - 1), null for fewer than two values. Spark: ``var_samp``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.var("arr_delay")).collect()["x"].item()
    180.5
    """
    return Var(value)


def std(value: Expression) -> Fold:
    """Return the sample standard deviation. Spark: ``stddev_samp``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.std("arr_delay")).collect()["x"].item()
    13.435028842544403
    """
    return Std(value)


def first(value: Expression, *, ignore_nulls: bool = False) -> Fold:
    """Return the first value in order of arrival. Spark: ``first``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.first("arr_delay")).collect()["x"].item()
    -28.0
    """
    return First(value, ignore_nulls)


def last(value: Expression, *, ignore_nulls: bool = False) -> Fold:
    """Return the last value in order of arrival. Spark: ``last``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.last("arr_delay")).collect()["x"].item()
    -9.0
    """
    return Last(value, ignore_nulls)


def count_distinct(value: Expression) -> Fold:
    """Return the exact number of distinct non-null values; state holds them all. Spark refuses it on streams.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.count_distinct("arr_delay")).collect()["x"].item()
    2
    """
    return CountDistinct(value)


def approx_count_distinct(value: Expression) -> Fold:
    """Return about how many distinct non-null values there are: exact below 1,024, then within some 3 %.

    State holds at most 1,024 hashes a group. Spark: ``approx_count_distinct`` (another sketch, other small errors).

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.approx_count_distinct("arr_delay")).collect()["x"].item()
    2
    """
    return ApproxCountDistinct(value)


def collect_list(value: Expression) -> Fold:
    """Return the non-null values in order of arrival; state holds them all. Spark: ``collect_list``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.collect_list("arr_delay")).collect()["x"].item()
    array([-28.,  -9.])
    """
    return CollectList(value)


def collect_set(value: Expression) -> Fold:
    """Return the distinct non-null values; state holds them all. Spark: ``collect_set``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.collect_set("arr_delay")).collect()["x"].item()
    array([-28.,  -9.])
    """
    return CollectSet(value)


def min_by(value: Expression, by: Expression) -> Fold:
    """Return ``value`` where ``by`` is smallest, the first such row. Spark: ``min_by``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.min_by("dest", "arr_delay")).collect()["x"].item()
    'SEA'
    """
    return MinBy(value, by)


def max_by(value: Expression, by: Expression) -> Fold:
    """Return ``value`` where ``by`` is largest, the first such row. Spark: ``max_by``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.max_by("dest", "arr_delay")).collect()["x"].item()
    'SEA'
    """
    return MaxBy(value, by)


def quantile(value: Expression, q: float) -> Fold:
    """Return the exact ``q`` quantile (0 to 1), on a line between neighbours; state holds all values.

    Spark: ``percentile``.

    >>> seattle = flights.filter(sn.col("dest") == "SEA").group_by()
    >>> seattle.agg(x=sn.quantile("arr_delay", 0.5)).collect()["x"].item()
    -18.5
    """
    if not 0 <= q <= 1:
        raise PlanError(f"quantile: q={q!r} is outside 0 to 1; the median is 0.5.", code="OPTION_INVALID")
    return Quantile(value, q)
