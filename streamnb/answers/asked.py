"""Asked: the rows that a question of the user's means, and what comes near where there are none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
from polars.exceptions import PolarsError

from streamnb.errors import DataError, PlanError, column_not_found
from streamnb.expressions import conjuncts, native, spelled
from streamnb.schema import as_rows

Question = Mapping[str, Any] | pd.Series | nw.Expr | str
OURS = ("batch_id", "operator", "watermark", "late_by", "reason", "set_by", "window_start", "window_end")
"""The columns that ``q.late`` adds to a row."""


@dataclass(frozen=True, eq=False)
class Asked:
    """A question about rows, taken apart: conditions that must all hold, each with the columns it reads.

    ``batch_id`` is the batch that the row must be of, where a row of ``q.late`` names it.
    """

    text: str
    parts: Mapping[str, Any] | tuple[nw.Expr, ...] | str
    batch_id: int | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        if isinstance(self.parts, Mapping):
            return tuple(self.parts)
        if isinstance(self.parts, str):
            return ()
        return tuple(dict.fromkeys(name for part in self.parts for name in native(part).meta.root_names()))

    def fits(self, schema: Mapping[str, pl.DataType]) -> bool:
        """Tell whether all columns asked for are there."""
        return set(self.columns) <= set(schema)

    def within(self, schema: Mapping[str, pl.DataType]) -> Asked:
        """Return the question without the columns that ``q.late`` has added to a row."""
        if not isinstance(self.parts, Mapping):
            return self
        added = {name.rstrip("_"): name for name in self.parts if name.rstrip("_") in OURS and name not in schema}
        own = {name: value for name, value in self.parts.items() if name not in added.values()}
        batch_id = self.parts[added["batch_id"]] if "batch_id" in added else None
        return Asked(self.text, own, batch_id) if own else self

    def conditions(self, schema: Mapping[str, pl.DataType]) -> dict[str, pl.Expr]:
        """Return what a row must meet, by how it is said."""
        if isinstance(self.parts, str):
            return {repr(self.parts): _says(self.parts, schema)}
        if isinstance(self.parts, Mapping):
            return {f"{name}={value}": _equals(name, value, schema[name]) for name, value in self.parts.items()}
        return {spelled(part): native(part).fill_null(value=False) for part in self.parts}

    def matches(self, rows: pl.DataFrame) -> pl.Series:
        """Return for every row whether it is meant."""
        try:
            found = rows.select(pl.all_horizontal(*self.conditions(rows.schema).values()).alias("found"))
        except PolarsError as error:
            raise PlanError(f"why: the filter fails: {error}; check its types.", code="EXPRESSION_INVALID") from error
        return found["found"] if len(found) == len(rows) else pl.Series("found", [False] * len(rows))


def asked(question: Question) -> Asked:
    """Take a question apart: a row (dict, Series), an expression, or words that a row's values say."""
    if isinstance(question, pd.Series):
        question = {str(name): value for name, value in question.items()}
    if isinstance(question, Mapping):
        if not question:
            raise PlanError("why: an empty row names none; give some of its columns.", code="EXPRESSION_INVALID")
        return Asked(", ".join(f"{n}={v}" for n, v in question.items()), dict(question))
    if isinstance(question, str):
        return Asked(question, question)
    if isinstance(question, nw.Expr):
        return Asked(spelled(question), tuple(conjuncts(question)))
    raise PlanError(
        f"why: {type(question).__name__} names no row; give a dict of columns, a row of a DataFrame, "
        "an expression such as sn.col('id') == 7, or words.",
        code="EXPRESSION_INVALID",
    )


def _equals(name: str, value: Any, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if not isinstance(value, list | dict) and pd.isna(value):
        return column.is_null() | column.is_nan() if dtype.is_float() else column.is_null()
    if dtype.is_nested():
        return pl.lit(True)
    try:
        literal = as_rows("why", [{name: value}], pl.Schema({name: dtype}))[name]
    except DataError:
        return pl.lit(False)
    return column.eq_missing(pl.lit(literal[0], dtype))


def _says(words: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """All values of a row as one text hold these words whole."""
    plain = [pl.col(name).cast(pl.String) for name, dtype in schema.items() if not dtype.is_nested()]
    return pl.concat_str(plain, separator=" ", ignore_nulls=True).str.contains(rf"(^|\s){re.escape(words)}(\s|$)")


def unknown(question: Asked, schema: Mapping[str, pl.DataType]) -> Exception:
    """Return the error for a question about a column that is nowhere."""
    name = next(name for name in question.columns if name not in schema)
    return column_not_found("why", name, schema)


def near_misses(question: Asked, rows: pl.DataFrame) -> tuple[str, ...]:
    """Return what comes near a question that no row answers: without one of its conditions, and values like its own."""
    conditions = question.conditions(rows.schema)
    found = []
    for text, condition in conditions.items():
        others = [other for said, other in conditions.items() if said != text]
        left = rows.filter(*others) if others else rows
        alone = len(rows.filter(condition))
        if others and len(left):
            found.append(f"{len(left):,} rows match without {text}")
        if not alone:
            found += [f"no row at all has {text}{_nearest(question, text, left if len(left) else rows)}"]
    return tuple(found)


def _nearest(question: Asked, text: str, rows: pl.DataFrame) -> str:
    if not isinstance(question.parts, Mapping) or not len(rows):
        return ""
    name, value = next((n, v) for n, v in question.parts.items() if f"{n}={v}" == text)
    values = rows[name].drop_nulls()
    if values.dtype == pl.String:
        close = difflib.get_close_matches(str(value), values.unique().to_list(), n=3)
        return f"; there is {', '.join(map(repr, close))}" if close else ""
    return _closest(name, value, values)


def _closest(name: str, value: Any, values: pl.Series) -> str:
    if not len(values) or not (values.dtype.is_numeric() or values.dtype.is_temporal()):
        return ""
    try:
        wanted = as_rows("why", [{name: value}], pl.Schema({name: values.dtype}))[name].to_physical()[0]
    except DataError:
        return f"; {name!r} is {values.dtype}"
    at = (values.to_physical() - wanted).abs().arg_min()
    return "" if at is None else f"; the nearest is {values[at]}"
