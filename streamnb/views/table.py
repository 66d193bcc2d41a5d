"""Table: the result of a query as rows of text, with what the last batch changed."""

from __future__ import annotations

import html as markup
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import traitlets

from streamnb.views.theme import css_variables
from streamnb.views.widget import Widget, synced

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

LIMIT = 200
"""Rows shown at most; a row that the batch touched is never the one left out before an untouched one."""
DECIMALS = 3
LONGEST = 80

_HERE = Path(__file__).parent
_PLACE = "__place"

Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]
Places = np.ndarray[tuple[int], np.dtype[np.int64]]


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


class Content(NamedTuple):
    """All the words of a table; ``more`` rows are not among them."""

    columns: list[Column]
    rows: list[Row]
    more: int


def content(before: pd.DataFrame | None, now: pd.DataFrame, key: Sequence[str], limit: int = LIMIT) -> Content:
    """Return ``now`` as text, its rows marked against ``before``; without ``before`` nothing is marked.

    Rows are the same when their ``key`` columns are; without a key, when they stand at the same place. Of more than
    ``limit`` rows the marked ones are kept first, then the last ones.
    """
    earlier = now if before is None else before
    places = np.arange(len(now)) if before is None else _places(before, now, [k for k in key if k in now.columns])
    is_new = places < 0
    changed = {name: _differs(earlier[name], now[name], places) for name in now.columns if name in earlier}
    is_changed = np.logical_or.reduce([*changed.values(), np.zeros(len(now), dtype=bool)])
    kept = _kept(is_new | is_changed, limit)
    marks = ["new" if is_new[at] else "changed" if is_changed[at] else "" for at in kept]
    cells = [_cells(now[name].iloc[kept], earlier.get(name), changed.get(name), places, kept) for name in now.columns]
    rows = [Row(mark, tuple(values)) for mark, *values in zip(marks, *cells, strict=True)]
    return Content([_column(now[name].iloc[kept]) for name in now.columns], rows, len(now) - len(kept))


def _places(before: pd.DataFrame, now: pd.DataFrame, key: list[str]) -> Places:
    """Return where each row of ``now`` stood in ``before``; -1: nowhere."""
    if not key:
        place = np.arange(len(now))
        return np.where(place < len(before), place, -1)
    try:
        last = before[key].assign(**{_PLACE: np.arange(len(before))}).drop_duplicates(key, keep="last")
        return now[key].merge(last, on=key, how="left")[_PLACE].fillna(-1).to_numpy(dtype=np.int64)
    except (TypeError, ValueError):  # lists and the like, or columns of two types
        where = {k: at for at, k in enumerate(_keys(before, key))}
        return np.array([where.get(k, -1) for k in _keys(now, key)], dtype=np.int64)


def _keys(frame: pd.DataFrame, key: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(map(str, frame[name].tolist()) for name in key), strict=True)


def _differs(earlier: pd.Series[Any], now: pd.Series[Any], places: Places) -> Flags:
    had = places >= 0
    old, new = earlier.to_numpy()[places[had]], now.to_numpy()[had]
    both_null = pd.isna(old) & pd.isna(new)
    if object in (old.dtype, new.dtype):  # lists and the like, which compare to more than one answer
        old, new = (np.array([str(value) for value in values], dtype=object) for values in (old, new))
    differs = np.zeros(len(now), dtype=bool)
    differs[had] = (old != new) & ~both_null
    return differs


def _kept(marked: Flags, limit: int) -> list[int]:
    first, rest = np.flatnonzero(marked)[-limit:], np.flatnonzero(~marked)
    room = limit - len(first)
    return sorted([*first.tolist(), *(rest[-room:].tolist() if room else [])])


def _cells(
    now: pd.Series[Any], earlier: pd.Series[Any] | None, changed: Flags | None, places: Places, kept: list[int]
) -> list[Cell]:
    write = _writer(now)
    texts = [write(value) for value in now.tolist()]
    if earlier is None or changed is None:
        return [Cell(text) for text in texts]
    return [
        Cell(text, write(earlier.iloc[places[at]]) if changed[at] else None)
        for text, at in zip(texts, kept, strict=True)
    ]


def _column(series: pd.Series[Any]) -> Column:
    return Column(str(series.name), _shared_day(series), _is_numeric(series))


def _is_numeric(series: pd.Series[Any]) -> bool:
    return pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series)


def _is_time(series: pd.Series[Any]) -> bool:
    return pd.api.types.is_datetime64_any_dtype(series)


def _shared_day(series: pd.Series[Any]) -> str:
    days = {value.date() for value in series.dropna().tolist()} if _is_time(series) else set()
    return _day(days.pop()) if len(days) == 1 else ""


def _day(time: dt.date) -> str:
    return f"{time:%b} {time.day}"


def _writer(series: pd.Series[Any]) -> Callable[[Any], str]:
    """Return how the values of a column are written, all of them alike."""
    write = _time_writer(series) if _is_time(series) else _number_writer(series) if _is_numeric(series) else _shortened
    return lambda value: "null" if _is_null(value) else write(value)


def _time_writer(series: pd.Series[Any]) -> Callable[[Any], str]:
    clock = "%H:%M:%S" if any(value.second for value in series.dropna().tolist()) else "%H:%M"
    if _shared_day(series):
        return lambda value: f"{value:{clock}}"
    return lambda value: f"{_day(value)} {value:{clock}}"


def _number_writer(series: pd.Series[Any]) -> Callable[[Any], str]:
    places = max((_decimals(value) for value in series.dropna().tolist()), default=0)
    return lambda value: f"{value:,.{places}f}"


def _decimals(value: float) -> int:
    return 0 if isinstance(value, int) else len(f"{value:.{DECIMALS}f}".rstrip("0").partition(".")[2])


def _is_null(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _shortened(value: Any) -> str:
    text = str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def html(now: pd.DataFrame, title: str, limit: int = LIMIT) -> str:
    """Return a table for a reader without a kernel, every text escaped."""
    columns, rows, more = content(None, now, (), limit)
    head = "".join(_tag("th", " ".join(filter(None, (c.name, c.note))), c) for c in columns)
    body = "".join(
        "<tr>" + "".join(_tag("td", cell.text, c) for cell, c in zip(row.cells, columns, strict=True)) + "</tr>"
        for row in rows
    )
    caption = markup.escape(title + _more(more))
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _tag(tag: str, text: str, column: Column) -> str:
    align = "right" if column.numeric else "left"
    return f'<{tag} style="text-align: {align}">{markup.escape(text)}</{tag}>'


def _more(count: int) -> str:
    return f" ({count:,} more not shown)" if count > 0 else ""


class Table(Widget):
    """A table of text. A message is sent only when what it shows has changed."""

    _esm = _HERE / "table.js"
    _css = css_variables() + (_HERE / "table.css").read_text(encoding="utf-8")

    shown = synced(traitlets.Dict())

    def show(self, before: pd.DataFrame | None, now: pd.DataFrame, key: Sequence[str], title: str) -> None:
        """Show ``now`` with its changes since ``before``, under a line of text."""
        columns, rows, more = content(before, now, key)
        self.shown = {"title": title + _more(more), "columns": columns, "rows": rows}

    def clear(self) -> None:
        """Show nothing."""
        self.shown = {}
