"""Folds: what an aggregate keeps per group; a small class each says how it is made, merged and finished."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from streamnb.bins import Bins
from streamnb.errors import PlanError
from streamnb.expressions import Expression, native, outcome, plain_column

Parts = Mapping[str, pl.Expr]


@dataclass(frozen=True, eq=False)
class Fold(ABC):
    """A value per group, kept in state as a few columns, its parts, that can be merged. All methods are columnar."""

    value: Expression | None = None
    spark: ClassVar[str] = ""
    adds: ClassVar[bool] = False
    """Whether parts without nulls are merged by adding them."""

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

    def binned(self, bins: Bins, *columns: pl.Series) -> Mapping[str, pl.Series] | None:
        """Return what ``init`` would, of columns without nulls, in order of the groups; None: by ``init`` only."""
        return None

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
    adds = True

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        return () if self.value is None else (native(self.value),)

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        count = columns[0].count() if columns and nulls else pl.len()
        return {"": count.cast(pl.Int64)}

    def binned(self, bins: Bins, *columns: pl.Series) -> Mapping[str, pl.Series]:
        return {"": bins.sizes}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {"": old[""] + new[""]}


class _OfNumbers(Fold):
    takes: ClassVar[type[pl.DataType]] = pl.Boolean

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        (value,) = super().columns(verb, schema)
        (dtype,) = outcome(verb, [value], schema).dtypes()
        if not (dtype.is_numeric() or isinstance(dtype, self.takes)):
            raise PlanError(
                f"{verb}: {self} is of {dtype}, which are not numbers; use sn.count() to count rows.",
                code="AGGREGATE_INVALID",
            )
        return (value,)


@dataclass(frozen=True, eq=False)
class Sum(_OfNumbers):
    spark = "sum"
    adds = True
    takes = pl.Duration

    def columns(self, verb: str, schema: pl.Schema) -> tuple[pl.Expr, ...]:
        (value,) = super().columns(verb, schema)
        (dtype,) = outcome(verb, [value], schema).dtypes()
        return (value.cast(_wide(dtype)) if _wide(dtype) != dtype else value,)

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        (value,) = columns
        return {"": pl.when(value.count() > 0).then(value.sum()) if nulls else value.sum()}

    def binned(self, bins: Bins, *columns: pl.Series) -> Mapping[str, pl.Series] | None:
        return {"": bins.sums(columns[0])} if columns[0].dtype in {pl.Float64, pl.Int64} else None

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
class Mean(_OfNumbers):
    spark = "avg"
    adds = True

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        (value,) = columns
        return {"sum": value.cast(pl.Float64).sum(), "n": value.count().cast(pl.Int64)}

    def binned(self, bins: Bins, *columns: pl.Series) -> Mapping[str, pl.Series]:
        return {"sum": bins.sums(columns[0].cast(pl.Float64)), "n": bins.sizes}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {part: old[part] + new[part] for part in ("sum", "n")}

    def finish(self, parts: Parts) -> pl.Expr:
        return pl.when(parts["n"] > 0).then(parts["sum"] / parts["n"])


@dataclass(frozen=True, eq=False)
class Var(_OfNumbers):
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
    """``seen`` tells a null that came first from no row at all."""

    spark = "first"
    ignore_nulls: bool = False

    def init(self, *columns: pl.Expr, nulls: bool = True) -> Parts:
        value = columns[0].drop_nulls() if self.ignore_nulls else columns[0]
        return {"": self._pick(value), "seen": value.len() > 0}

    def merge(self, old: Parts, new: Parts) -> Parts:
        return {
            "": pl.when(old["seen"]).then(old[""]).otherwise(new[""]),
            "seen": old["seen"] | new["seen"],
        }

    def _pick(self, value: pl.Expr) -> pl.Expr:
        return value.first()


@dataclass(frozen=True, eq=False)
class Last(First):
    spark = "last"

    def merge(self, old: Parts, new: Parts) -> Parts:
        return super().merge(new, old)

    def _pick(self, value: pl.Expr) -> pl.Expr:
        return value.last()


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
        return {"": pl.concat_list(old[""], new[""]).list.unique(maintain_order=True)}


@dataclass(frozen=True, eq=False)
class CountDistinct(CollectSet):
    """Exact: every distinct value of a group is kept."""

    spark = "count_distinct"

    def finish(self, parts: Parts) -> pl.Expr:
        return parts[""].list.len().cast(pl.Int64)


@dataclass(frozen=True, eq=False)
class ApproxCountDistinct(Fold):
    """The k smallest hashes of a group (Bar-Yossef et al., 2002): exact below k, then within about 1/sqrt(k)."""

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
class Quantile(_OfNumbers, CollectList):
    """Exact, between neighbours on a line: every value of a group is kept."""

    spark = "percentile"
    q: float = 0.5

    def finish(self, parts: Parts) -> pl.Expr:
        middle = pl.element().cast(pl.Float64).quantile(self.q, interpolation="linear")
        return parts[""].list.eval(middle).list.first()
