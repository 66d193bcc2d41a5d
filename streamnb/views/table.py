"""Table: the result of a query as rows of text, with what the last batch changed."""

from __future__ import annotations

import html as markup
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from streamnb.views.theme import css_variables
from streamnb.views.widget import Widget, synced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIMIT = 200
"""Rows shown at most; a row that the batch touched is never the one left out before an untouched one."""
DECIMALS = 3
LONGEST = 80

_HERE = Path(__file__).parent


class Column(NamedTuple):
    """The head of a column: its name, the day of its times when they share one, and whether it is aligned right."""

    name: str
    note: str
    numeric: bool


class Cell(NamedTuple):
    """A value as text, and the text of the value that this batch replaced."""

    text: str
    was: str | None = None


class Row(NamedTuple):
    """A row: ``mark`` is ``"new"``, ``"changed"`` or empty."""

    mark: str
    cells: tuple[Cell, ...]


def columns(now: pd.DataFrame) -> list[Column]:
    """Return the head of every column."""
    return [Column(str(name), _shared_day(now[name]), _is_numeric(now[name])) for name in now.columns]


def rows(before: pd.DataFrame | None, now: pd.DataFrame, key: Sequence[str], limit: int = LIMIT) -> list[Row]:
    """Return the rows of ``now`` as text, marked against ``before``; without ``before`` nothing is marked.

    Rows are the same when their ``key`` columns are; without a key, when they stand at the same place. Of more than
    ``limit`` rows the marked ones are kept first, then the last ones.
    """
    earlier, is_new = _align(before, now, [name for name in key if name in now.columns])
    changed = {name: _differs(earlier[name], now[name]) & ~is_new for name in now.columns if name in earlier}
    is_changed = np.logical_or.reduce([*changed.values(), np.zeros(len(now), dtype=bool)])
    write = [_writer(now[name]) for name in now.columns]

    def cell(at: int, column: int, name: str) -> Cell:
        was = write[column](earlier[name].iat[at]) if name in changed and changed[name][at] else None
        return Cell(write[column](now[name].iat[at]), was)

    return [
        Row(
            "new" if is_new[at] else "changed" if is_changed[at] else "",
            tuple(cell(at, column, name) for column, name in enumerate(now.columns)),
        )
        for at in _kept(is_new | is_changed, limit)
    ]


def _align(before: pd.DataFrame | None, now: pd.DataFrame, key: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the earlier rows beside those of ``now``, and which of ``now`` had none."""
    if before is None:
        return pd.DataFrame(index=now.index), np.zeros(len(now), dtype=bool)
    if not key or before.empty:
        place = np.arange(len(now))
        return before.reset_index(drop=True).reindex(place), place >= len(before)
    earlier = before.drop_duplicates(key, keep="last").set_index(key, drop=False)
    keys = now.set_index(key).index
    return earlier.reindex(keys).reset_index(drop=True), ~keys.isin(earlier.index)


def _differs(earlier: pd.Series[Any], now: pd.Series[Any]) -> np.ndarray:
    old, new = (_comparable(series).reset_index(drop=True) for series in (earlier, now))
    return np.asarray((old.isna() != new.isna()) | ((old != new).fillna(value=False) & new.notna()), dtype=bool)


def _comparable(series: pd.Series[Any]) -> pd.Series[Any]:
    """Return lists and other objects as text, which compares to one answer a row."""
    return series.map(str, na_action="ignore") if series.dtype == object else series


def _kept(marked: np.ndarray, limit: int) -> list[int]:
    first, rest = np.flatnonzero(marked)[-limit:], np.flatnonzero(~marked)
    room = limit - len(first)
    return sorted([*first.tolist(), *(rest[-room:].tolist() if room else [])])


def _is_numeric(series: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)


def _is_time(series: pd.Series[Any]) -> bool:
    return pd.api.types.is_datetime64_any_dtype(series)


def _shared_day(series: pd.Series[Any]) -> str:
    days = series.dropna().dt.date.unique() if _is_time(series) else ()
    return f"{days[0]:%b} {days[0].day}" if len(days) == 1 else ""


def _writer(series: pd.Series[Any]) -> Callable[[Any], str]:
    """Return how the values of a column are written, all of them alike."""
    if _is_time(series):
        return _time_writer(series)
    if pd.api.types.is_float_dtype(series):
        places = max((_places(value) for value in series.dropna().tail(LIMIT)), default=0)
        return lambda value: _or_null(value, f"{value:,.{places}f}")
    if _is_numeric(series):
        return lambda value: _or_null(value, f"{value:,}".removesuffix(".0"))
    return lambda value: _or_null(value, _shortened(str(value)))


def _time_writer(series: pd.Series[Any]) -> Callable[[Any], str]:
    times = series.dropna()
    clock = "%H:%M:%S" if (times.dt.second != 0).any() else "%H:%M"
    if _shared_day(series):
        return lambda value: _or_null(value, value.strftime(clock))
    return lambda value: _or_null(value, f"{value.strftime('%b')} {value.day} {value.strftime(clock)}")


def _or_null(value: Any, text: str) -> str:
    return "null" if pd.api.types.is_scalar(value) and pd.isna(value) else text


def _places(value: float) -> int:
    return len(f"{value:.{DECIMALS}f}".rstrip("0").partition(".")[2])


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def html(now: pd.DataFrame, title: str, limit: int = LIMIT) -> str:
    """Return a table for a reader without a kernel, every text escaped."""
    head = "".join(_tag("th", " ".join(filter(None, (c.name, c.note))), c.numeric) for c in columns(now))
    numeric = [c.numeric for c in columns(now)]
    body = "".join(
        "<tr>" + "".join(_tag("td", cell.text, right) for cell, right in zip(row.cells, numeric, strict=True)) + "</tr>"
        for row in rows(None, now, (), limit)
    )
    caption = markup.escape(title + _more(len(now) - limit))
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _tag(tag: str, text: str, right: bool) -> str:  # noqa: FBT001
    align = "right" if right else "left"
    return f'<{tag} style="text-align: {align}">{markup.escape(text)}</{tag}>'


def _more(count: int) -> str:
    return f" ({count:,} more not shown)" if count > 0 else ""


class Table(Widget):
    """A table of text. A message is sent only when what it shows has changed."""

    _esm = _HERE / "table.js"
    _css = css_variables() + (_HERE / "table.css").read_text(encoding="utf-8")

    shown = synced(traitlets.Dict())

    def __init__(self) -> None:
        super().__init__(layout=ipywidgets.Layout(width="100%", min_width="0"))

    def show(self, before: pd.DataFrame | None, now: pd.DataFrame, key: Sequence[str], title: str) -> None:
        """Show ``now`` with its changes since ``before``, under a line of text."""
        self.shown = {
            "title": title + _more(len(now) - LIMIT),
            "columns": columns(now),
            "rows": rows(before, now, key),
        }
