"""Partitions: the columns that the names of folders hold, such as ``day=2013-02-08/hour=5``."""

from __future__ import annotations

import datetime as dt
import glob
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from polars.exceptions import PolarsError

from streamnb.errors import DataError
from streamnb.schema import as_rows

NULL = "__HIVE_DEFAULT_PARTITION__"
_WHOLE, _NUMBER = re.compile(r"[+-]?\d+"), re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")

Values = Mapping[str, str | None]


def pattern_of(path: str) -> str:
    """Return the pattern of all files below a folder; any other pattern as it is."""
    return f"{path.rstrip('/')}/**/*" if path.endswith("/") or Path(path).is_dir() else path


def root_of(pattern: str) -> Path:
    """Return the folder up to which a pattern leaves nothing open."""
    open_at = next((n for n, part in enumerate(Path(pattern).parts) if glob.has_magic(part)), None)
    parts = Path(pattern).parts[:open_at] if open_at is not None else Path(pattern).parent.parts
    return Path(*parts)


def is_open(path: Path, root: Path) -> bool:
    """Tell whether no folder below the root is hidden, by a name that begins with a dot or ``_``."""
    return all(part[0] not in "._" or "=" in part for part in path.relative_to(root).parts[:-1])


def values_of(path: Path, root: Path) -> Values:
    """Return what the folders of a file say, as text."""
    named = [part.partition("=") for part in path.relative_to(root).parts[:-1] if "=" in part]
    return {unquote(name): None if value == NULL else unquote(value) for name, _, value in named if name}


def inferred(found: Sequence[tuple[Path, Values]]) -> dict[str, pl.DataType]:
    """Return the columns with the types that their values look like, as Spark does; whole numbers are 64 bits wide."""
    names = list(found[0][1]) if found else []
    for path, values in found:
        if list(values) != names:
            raise DataError(
                f"from_files: the folders of {path} name {list(values)}, and those of {found[0][0]} name {names}; "
                "give schema=, or narrow the pattern."
            )
    return {name: _type(values[name] for _, values in found) for name in names}


def _type(values: Iterable[str | None]) -> pl.DataType:
    kinds = {_kind(value) for value in values if value is not None}
    for several, one in _TOGETHER:
        if kinds and kinds <= several:
            return one
    return pl.String()


_TOGETHER: tuple[tuple[set[str], pl.DataType], ...] = (
    ({"whole"}, pl.Int64()), ({"whole", "number"}, pl.Float64()), ({"date"}, pl.Date()),
    ({"date", "time"}, pl.Datetime("us")),
)  # fmt: skip


def _kind(value: str) -> str:
    if _WHOLE.fullmatch(value):
        return "whole" if abs(int(value)) < 2**63 else "text"
    if _NUMBER.fullmatch(value):
        return "number"
    try:
        at = _date(value) if _DATE.fullmatch(value) else dt.datetime.fromisoformat(value)
    except ValueError:
        return "text"
    return "time" if isinstance(at, dt.datetime) else "date"


def _date(value: str) -> dt.date:
    return dt.date(*map(int, value.split("-")))


def columns(values: Values, schema: Mapping[str, pl.DataType], path: str) -> list[pl.Expr]:
    """Return the columns that a file's folders give its rows; a value that does not fit is a DataError."""
    return [_column(name, value, schema[name], path) for name, value in values.items() if name in schema]


def _column(name: str, value: str | None, dtype: pl.DataType, path: str) -> pl.Expr:
    if value is None:
        return pl.lit(None, dtype).alias(name)
    try:
        return pl.lit(_read(name, value, dtype)[0], dtype).alias(name)
    except (PolarsError, DataError, ValueError, TypeError):
        raise DataError(
            f"from_files: the folder {name}={value} of {path} is no {dtype}; rename it, or give its type by schema=."
        ) from None


def _read(name: str, value: str, dtype: pl.DataType) -> pl.Series:
    if dtype == pl.Date():
        return pl.Series([_date(value)])
    if dtype.is_numeric():
        return pl.Series([value]).cast(dtype)
    return as_rows("from_files", {name: [value]}, pl.Schema({name: dtype}))[name]
