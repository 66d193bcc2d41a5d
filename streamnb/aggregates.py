"""Aggregates: one small class each that says how it is made from rows, merged, and finished."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import Expression, native, outcome, plain_column
from streamnb.schema import polars_type

Parts = Mapping[str, pl.Expr]


@dataclass(frozen=True, eq=False)
class Fold(ABC):
    """A value per group, kept in state as a few columns (its parts) that can be merged. All three methods are columnar."""

    value: Expression | None = None
    spark: ClassVar[str] = ""

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        """Return the expressions that are aggregated."""
        if self.value is None:
            raise PlanError(
                f"{verb}: {self.name}() has nothing to aggregate; write sn.{self.name}('column').",
                code="AGGREGATE_INVALID",
            )
        return (native(self.value),)

    @abstractmethod
    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        """Return the parts of one batch's rows of a group; ``nulls=False``: the columns hold none in this batch."""

    @abstractmethod
    def merge(self, old: Parts, new: Parts) -> Parts:
        """Return the parts of all rows, from those held and those of this batch."""

    def finish(self, parts: Parts) -> pl.Expr:
        """Return the value of a group."""
        return parts[""]

    @property
    def name(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()

    def __str__(self) -> str:
        column = "" if self.value is None else plain_column(native(self.value)) or "…"
        return f"{self.name}({column})"


@dataclass(frozen=True, eq=False)
class Count(Fold):
    spark = "count"

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        return () if self.value is None else (native(self.value),)

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        count = columns[0].count() if columns and nulls else pl.len()
        return {"": count.cast(pl.Int64)}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": old[""] + new[""]}


@dataclass(frozen=True, eq=False)
class Sum(Fold):
    spark = "sum"

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        (value,) = super().columns(verb, schema)
        (dtype,) = outcome(verb, [value], schema).dtypes()
        if not (dtype.is_numeric() or isinstance(dtype, pl.Duration)):
            raise PlanError(
                f"{verb}: {self} sums {dtype}, which are not numbers; use sn.count() to count rows.",
                code="AGGREGATE_INVALID",
            )
        return (value.cast(_wide(dtype)) if _wide(dtype) != dtype else value,)

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        (value,) = columns
        return {"": pl.when(value.count() > 0).then(value.sum()) if nulls else value.sum()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.coalesce(old[""] + new[""], old[""], new[""])}


def _wide(dtype: pl.DataType) -> pl.DataType:
    """Return the type that Spark sums in: 64 bits."""
    if dtype.is_integer():
        return pl.Int64()
    return pl.Float64() if dtype.is_float() else dtype


@dataclass(frozen=True, eq=False)
class Min(Fold):
    spark = "min"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].min()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.min_horizontal(old[""], new[""])}


@dataclass(frozen=True, eq=False)
class Max(Fold):
    """NaN is larger than any number, as in Spark."""

    spark = "max"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].nan_max()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.concat_list(old[""], new[""]).list.eval(pl.element().nan_max()).list.first()}


@dataclass(frozen=True, eq=False)
class Mean(Fold):
    spark = "avg"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        (value,) = columns
        return {"sum": value.cast(pl.Float64).sum(), "n": value.count().cast(pl.Int64)}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {part: old[part] + new[part] for part in ("sum", "n")}

    def finish(self, parts: Parts) -> pl.Expr:
        return pl.when(parts["n"] > 0).then(parts["sum"] / parts["n"])


@dataclass(frozen=True, eq=False)
class Var(Fold):
    """The sample variance, held as count, mean and sum of squared distances, merged after Chan et al. (1983)."""

    spark = "var_samp"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        value = columns[0].cast(pl.Float64)
        n = value.count().cast(pl.Int64)
        return {"n": n, "mean": value.mean().fill_null(0.0), "m2": (value.var(ddof=0) * n).fill_null(0.0)}

    def merge(self, old: Parts, new: Parts) -> Parts:
        n, gap = old["n"] + new["n"], new["mean"] - old["mean"]
        share = new["n"] / pl.max_horizontal(n, pl.lit(1))
        return {
            "n": n,
            "mean": old["mean"] + gap * share,
            "m2": old["m2"] + new["m2"] + gap * gap * old["n"] * share,
        }

    def finish(self, parts: Parts) -> pl.Expr:
        return pl.when(parts["n"] > 1).then(parts["m2"] / (parts["n"] - 1))


@dataclass(frozen=True, eq=False)
class Std(Var):
    spark = "stddev_samp"

    def finish(self, parts: Parts) -> pl.Expr:
        return super().finish(parts).sqrt()


@dataclass(frozen=True, eq=False)
class First(Fold):
    spark = "first"
    ignore_nulls: bool = False

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": (columns[0].drop_nulls() if self.ignore_nulls else columns[0]).first()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.coalesce(old[""], new[""]) if self.ignore_nulls else old[""]}


@dataclass(frozen=True, eq=False)
class Last(Fold):
    spark = "last"
    ignore_nulls: bool = False

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": (columns[0].drop_nulls() if self.ignore_nulls else columns[0]).last()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.coalesce(new[""], old[""]) if self.ignore_nulls else new[""]}


@dataclass(frozen=True, eq=False)
class CollectList(Fold):
    spark = "collect_list"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].drop_nulls().implode()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": pl.concat_list(old[""], new[""])}


@dataclass(frozen=True, eq=False)
class CollectSet(Fold):
    spark = "collect_set"

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].drop_nulls().unique(maintain_order=True).implode()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": old[""].list.set_union(new[""])}


@dataclass(frozen=True, eq=False)
class CountDistinct(CollectSet):
    """Exact: every distinct value of a group is kept."""

    spark = "count_distinct"

    def finish(self, parts: Parts) -> pl.Expr:
        return parts[""].list.len().cast(pl.Int64)


@dataclass(frozen=True, eq=False)
class Approx_CountDistinct(Fold):
    """The k smallest hashes of a group (Bar-Yossef et al., 2002): exact below k, then within about 1/sqrt(k) of the truth."""

    spark = "approx_count_distinct"
    k: ClassVar[int] = 1024

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        return {"": columns[0].drop_nulls().hash(7).unique().bottom_k(self.k).implode()}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": old[""].list.set_union(new[""]).list.sort().list.head(self.k)}

    def finish(self, parts: Parts) -> pl.Expr:
        held, kth = parts[""].list.len(), parts[""].list.max()
        estimate = ((self.k - 1) * 2.0**64 / kth).round().cast(pl.Int64)
        return pl.when(held < self.k).then(held.cast(pl.Int64)).otherwise(estimate)


@dataclass(frozen=True, eq=False)
class _By(Fold):
    by: Expression | None = None

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        if self.by is None:
            raise PlanError(f"{verb}: {self.name}() needs a column to compare; write sn.{self.name}('v', 'by').",
                            code="AGGREGATE_INVALID")  # fmt: skip
        return (*super().columns(verb, schema), native(self.by))

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        value, by = columns
        best = self._best(by)
        return {"": value.get(best), "by": by.get(best)}

    def merge(self, old: Parts, new: Parts) -> Parts:
        newer = self._beats(new["by"], old["by"]) | old["by"].is_null()
        return {part: pl.when(newer).then(new[part]).otherwise(old[part]) for part in ("", "by")}

    @abstractmethod
    def _best(self, by: pl.Expr) -> pl.Expr: ...

    @abstractmethod
    def _beats(self, new: pl.Expr, old: pl.Expr) -> pl.Expr: ...


@dataclass(frozen=True, eq=False)
class MinBy(_By):
    spark = "min_by"

    def _best(self, by: pl.Expr) -> pl.Expr:
        return by.arg_min()

    def _beats(self, new: pl.Expr, old: pl.Expr) -> pl.Expr:
        return (new < old).fill_null(value=False)


@dataclass(frozen=True, eq=False)
class MaxBy(_By):
    spark = "max_by"

    def _best(self, by: pl.Expr) -> pl.Expr:
        return by.arg_max()

    def _beats(self, new: pl.Expr, old: pl.Expr) -> pl.Expr:
        return (new > old).fill_null(value=False)


@dataclass(frozen=True, eq=False)
class Quantile(CollectList):
    """Exact, between neighbours on a line: every value of a group is kept."""

    spark = "percentile"
    q: float = 0.5

    def finish(self, parts: Parts) -> pl.Expr:
        middle = pl.element().cast(pl.Float64).quantile(self.q, interpolation="linear")
        return parts[""].list.eval(middle).list.first()


@dataclass(frozen=True, eq=False)
class Aggregate(ABC):
    """An aggregate of your own, one value at a time. State is kept as JSON: numbers, strings, lists, dicts, None.

    >>> class Range(Aggregate):
    ...     def init(self): return None
    ...     def update(self, state, value): return [value, value] if state is None else [min(state[0], value), max(state[1], value)]
    ...     def merge(self, a, b): return [min(a[0], b[0]), max(a[1], b[1])] if a and b else a or b
    ...     def finish(self, state): return state and state[1] - state[0]

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
        return {"": columns[0].implode().map_elements(self._fold, return_dtype=pl.String, returns_scalar=True)}

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
    """Return the number of rows; of a column, the number of its non-null values. Spark: ``count``."""
    return Count(value)


def sum(value: Expression) -> Fold:  # noqa: A001
    """Return the sum of the non-null values, null where there are none. Spark: ``sum``."""
    return Sum(value)


def mean(value: Expression) -> Fold:
    """Return the mean of the non-null values as float64. Keeps a sum and a count. Spark: ``avg``."""
    return Mean(value)


def min(value: Expression) -> Fold:  # noqa: A001
    """Return the smallest non-null value. Spark: ``min``."""
    return Min(value)


def max(value: Expression) -> Fold:  # noqa: A001
    """Return the largest non-null value; NaN is the largest number. Spark: ``max``."""
    return Max(value)


def var(value: Expression) -> Fold:
    """Return the sample variance (divided by n - 1), null for fewer than two values. Spark: ``var_samp``."""
    return Var(value)


def std(value: Expression) -> Fold:
    """Return the sample standard deviation. Spark: ``stddev_samp``."""
    return Std(value)


def first(value: Expression, *, ignore_nulls: bool = False) -> Fold:
    """Return the first value in order of arrival. Spark: ``first``."""
    return First(value, ignore_nulls)


def last(value: Expression, *, ignore_nulls: bool = False) -> Fold:
    """Return the last value in order of arrival. Spark: ``last``."""
    return Last(value, ignore_nulls)


def count_distinct(value: Expression) -> Fold:
    """Return the exact number of distinct non-null values; state holds them all. Spark refuses it on streams."""
    return CountDistinct(value)


def approx_count_distinct(value: Expression) -> Fold:
    """Return about how many distinct non-null values there are: exact below 1,024, then within some 3 %.

    State holds at most 1,024 hashes a group. Spark: ``approx_count_distinct`` (another sketch, other small errors).
    """
    return Approx_CountDistinct(value)


def collect_list(value: Expression) -> Fold:
    """Return the non-null values in order of arrival; state holds them all. Spark: ``collect_list``."""
    return CollectList(value)


def collect_set(value: Expression) -> Fold:
    """Return the distinct non-null values; state holds them all. Spark: ``collect_set``."""
    return CollectSet(value)


def min_by(value: Expression, by: Expression) -> Fold:
    """Return ``value`` where ``by`` is smallest, the first such row. Spark: ``min_by``."""
    return MinBy(value, by)


def max_by(value: Expression, by: Expression) -> Fold:
    """Return ``value`` where ``by`` is largest, the first such row. Spark: ``max_by``."""
    return MaxBy(value, by)


def quantile(value: Expression, q: float) -> Fold:
    """Return the exact ``q`` quantile (0 to 1), on a line between neighbours; state holds all values. Spark: ``percentile``."""
    if not 0 <= q <= 1:
        raise PlanError(f"quantile: q={q!r} is outside 0 to 1; the median is 0.5.", code="OPTION_INVALID")
    return Quantile(value, q)
