"""Fields: a user's values made to fit a declared schema, so that they come back as they went in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl

from streamnb.ddl import schema_of
from streamnb.errors import PlanError
from streamnb.schema import Schema

Values = tuple[Any, ...]


class Fields:
    """The columns of one state variable, and the way of a value into them."""

    def __init__(self, verb: str, schema: Schema | str) -> None:
        self.schema = schema_of(verb, schema)
        self._fit = [_converter(verb, name, dtype) for name, dtype in self.schema.items()]
        self._lists = any(isinstance(dtype, pl.List) for dtype in self.schema.dtypes())

    def fit(self, value: Any) -> Values:
        """Return a tuple of plain Python values, one a column.

        Takes a tuple, a list, a dict by column name or, for one column, the value itself. Raises ValueError for a value
        that the schema cannot hold as it is.
        """
        given = self._as_sequence(value)
        if len(given) != len(self._fit):
            raise ValueError(f"state: {value!r} has {len(given)} values for the columns {self.schema.names()}.")
        return tuple(fit(v) for fit, v in zip(self._fit, given, strict=True))

    def _as_sequence(self, value: Any) -> Sequence[Any]:
        if value is None:
            raise ValueError("state: None is no value; clear the state, or write (None,).")
        if isinstance(value, Mapping):
            unknown = set(value) - set(self.schema)
            if unknown:
                raise ValueError(f"state: {sorted(unknown)} are not among the columns {self.schema.names()}.")
            return [value.get(name) for name in self.schema]
        if isinstance(value, tuple) or (isinstance(value, list) and not self._one_list):
            return value
        return (value,)

    @property
    def _one_list(self) -> bool:
        return self._lists and len(self._fit) == 1

    def copied(self, values: Values) -> Values:
        """Return values that may be changed without changing the state."""
        return tuple(list(v) if isinstance(v, list) else v for v in values) if self._lists else values


def frozen(values: Values) -> Values:
    """Return values fit to be looked up by: lists as tuples, every NaN the same."""
    return tuple(frozen(tuple(v)) if isinstance(v, list) else _NAN if v != v else v for v in values)  # noqa: PLR0124


_NAN = float("nan")


def _converter(verb: str, name: str, dtype: pl.DataType) -> Callable[[Any], Any]:
    make = _maker(dtype)
    if make is None:
        raise PlanError(
            f"{verb}: state {name!r} of type {dtype} is not supported; use numbers, strings, booleans, times or lists.",
            code="SCHEMA_INVALID",
        )

    def fit(value: Any) -> Any:
        plain = _plain(value, dtype)
        try:
            return None if plain is None else make(plain)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"state: {name!r} is {dtype} and cannot hold {value!r}: {error}") from None

    return fit


def _maker(dtype: pl.DataType) -> Callable[[Any], Any] | None:
    if isinstance(dtype, pl.List):
        assert isinstance(dtype.inner, pl.DataType)  # noqa: S101  made by polars_type
        inner, one = _maker(dtype.inner), dtype.inner
        return None if inner is None else lambda values: [_or_none(inner, _plain(v, one)) for v in values]
    if isinstance(dtype, pl.Datetime):
        return lambda value: _time(value, dtype.time_zone)
    if dtype.is_integer():
        low, high = pl.select(low=dtype.min(), high=dtype.max()).row(0)  # type: ignore[attr-defined]
        return lambda value: _integer(value, low, high)
    return _MAKERS.get(type(dtype))


def _or_none(make: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else make(value)


def _plain(value: Any, dtype: pl.DataType) -> Any:
    """Return a Python value for one of NumPy or pandas; None for what is missing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.datetime64 | np.timedelta64):
        return (pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)).floor("us")
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and np.isnan(value) and not dtype.is_float():
        return None
    return value


def _integer(value: Any, low: int, high: int) -> int:
    if not isinstance(value, int | float) or value != int(value):
        raise TypeError("it is no whole number")
    if not low <= value <= high:
        raise OverflowError("it is too large")
    return int(value)


def _time(value: Any, zone: str | None) -> dt.datetime:
    if isinstance(value, pd.Timestamp):
        value = value.floor("us").to_pydatetime()
    if not isinstance(value, dt.datetime):
        raise TypeError("it is no time")
    if (value.tzinfo is None) != (zone is None):
        raise TypeError("declare 'datetime[UTC]' for times with a time zone, 'timestamp' for times without")
    return value if zone is None else value.astimezone(ZoneInfo(zone))


def _exactly(kind: type[Any]) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        if not isinstance(value, kind):
            raise TypeError(f"it is no {kind.__name__}")
        return value

    return make


def _float(value: Any) -> float:
    if not isinstance(value, int | float):
        raise TypeError("it is no number")
    return float(value)


def _date(value: Any) -> dt.date:
    day: dt.date = value.date() if isinstance(value, dt.datetime) else _exactly(dt.date)(value)
    return day


def _timedelta(value: Any) -> dt.timedelta:
    span: dt.timedelta = _exactly(dt.timedelta)(value)
    return span.to_pytimedelta() if isinstance(span, pd.Timedelta) else span


_MAKERS: dict[type[pl.DataType], Callable[[Any], Any]] = {
    pl.String: _exactly(str),
    pl.Boolean: _exactly(bool),
    pl.Binary: _exactly(bytes),
    pl.Float64: _float,
    pl.Float32: lambda value: float(np.float32(_float(value))),
    pl.Date: _date,
    pl.Duration: _timedelta,
}
