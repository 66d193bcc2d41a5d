"""How a learner's result differs from the right one, in words."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from streamnb.ops.group_by import Grouped

Row = tuple[str, ...]


def unlike(given: Any, wanted: Any) -> str | None:
    """Say why a result cannot be compared with the right one at all, None if it can."""
    if isinstance(wanted, pd.DataFrame):
        return _no_table(as_table(given), wanted)
    if isinstance(wanted, Mapping) and not isinstance(given, Mapping):
        return f"give a dict with {', '.join(map(repr, wanted))}, not {briefly(given)}"
    if isinstance(wanted, pd.Timestamp) and as_time(given) is None:
        return f"give a time, such as pd.Timestamp('2013-02-09 06:00'), not {briefly(given)}"
    return None


def difference(given: Any, wanted: Any) -> str | None:
    """Say what differs first, None if nothing does; the order of rows is none of it."""
    if fault := unlike(given, wanted):
        return fault
    if isinstance(wanted, pd.DataFrame):
        return _table_difference(as_table(given), wanted)
    if isinstance(wanted, Mapping):
        wrong = [key for key in wanted if not _same(given.get(key), wanted[key])]
        return f"{wrong[0]} is not {_said(given.get(wrong[0]))}" if wrong else None
    return None if _same(given, wanted) else f"it is not {_said(given)}"


def as_table(found: Any) -> Any:
    """Return what holds a table, such as a Series, a Polars frame or a list of dicts, as pandas; else as it is."""
    if isinstance(found, list) and found and all(isinstance(row, Mapping) for row in found):
        return pd.DataFrame(found)
    if hasattr(found, "to_pandas"):
        found = found.to_pandas()
    if isinstance(found, pd.Series):
        return found.reset_index()
    if isinstance(found, pd.DataFrame) and any(found.index.names) and not {*found.index.names} & {*found.columns}:
        return found.reset_index()
    return found


def as_time(given: Any) -> pd.Timestamp | None:
    """Return a time, also one that is written down; None for anything else."""
    try:
        return pd.Timestamp(given) if isinstance(given, str | dt.date) else None
    except ValueError:
        return None


def only_columns(found: Any, wanted: Any) -> Any:
    """Return of a table only what the right one has; anything else as it is."""
    return as_table(found)[list(wanted.columns)] if isinstance(wanted, pd.DataFrame) else found


def briefly(value: Any) -> str:
    """Return a value as it is written, or its kind where that is long."""
    if isinstance(value, Grouped):
        return "groups; agg(…) says what to compute of each"
    words = repr(value) if isinstance(value, str) else _said(value)
    return words if len(words) <= 60 and "\n" not in words else f"a {type(value).__name__}"


def _no_table(given: Any, wanted: pd.DataFrame) -> str | None:
    if not isinstance(given, pd.DataFrame):
        return f"give a table or a frame, not {briefly(given)}"
    lacking = [name for name in wanted.columns if name not in given.columns]
    return f"there is no column {lacking[0]!r}, only {list(given.columns)}" if lacking else None


def _same(given: Any, wanted: Any) -> bool:
    try:
        if isinstance(wanted, pd.Timestamp):
            return as_time(given) == wanted
        if isinstance(wanted, float):
            return abs(float(given) - wanted) <= 1e-9 * max(1.0, abs(wanted))
        return bool(given == wanted)
    except (TypeError, ValueError):
        return False


def _table_difference(given: pd.DataFrame, wanted: pd.DataFrame) -> str | None:
    names = list(wanted.columns)
    mine, theirs = _rows(given[names]), _rows(wanted)
    extra, missing = _without(mine, theirs), _without(theirs, mine)
    if not extra and not missing:
        return None
    return "the table has no rows" if not mine else _repeated(names, mine, theirs) or _pair(names, extra, missing)


def _rows(table: pd.DataFrame) -> list[Row]:
    """Return the rows as texts, so that types that differ only in width compare as equal."""
    return [tuple(_said(value) for value in row) for row in table.itertuples(index=False, name=None)]


def _without(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    return sorted((Counter(rows) - Counter(others)).elements())


def _repeated(names: Sequence[str], mine: Sequence[Row], theirs: Sequence[Row]) -> str | None:
    """Say so if a key has several rows where each should have one."""
    keys = Counter(row[:-1] for row in mine)
    often = next((key for key, n in keys.items() if n > 1), None)
    if not often or len({row[:-1] for row in theirs}) < len(theirs):
        return None
    return f"{_told(names, often)} has {keys[often]} rows; one is asked"


def _pair(names: Sequence[str], extra: Sequence[Row], missing: Sequence[Row]) -> str:
    if not missing:
        return f"a row is too many: {_told(names, extra[0])}"
    if not extra:
        return f"a row is missing, that of {names[0]} {missing[0][0]}"
    near = next((row for row in extra if row[:-1] == missing[0][:-1]), extra[0])
    return f"you say {_told(names, near)}; that is not so"


def _told(names: Sequence[str], row: Row) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=False))


def _said(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dt.date) and not pd.isna(value):
        return f"{value:%Y-%m-%d %H:%M:%S}".removesuffix(":00")
    return str(value)
