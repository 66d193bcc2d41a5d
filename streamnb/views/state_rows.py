"""The rows of state as a reader asks for them; they are found, sorted and cut where the state is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from streamnb.answers.kept import StatePage
from streamnb.views.plane_tips import in_words

PAGE = 30
"""Keys on a page: all that travels to the browser."""
EXPIRES = "expires_at"
MARK, LEAVING, OLD = "__mark", "__leaving", "__old_"
_MANY = 10_000


@dataclass(frozen=True)
class Asked:
    """What the reader chose.

    An operator, a page, a column to sort by (``-`` before it: downward), words to find in the keys, and which rows:
    ``"all"``, what ``"changed"``, what is ``"leaving"``.
    """

    operator: str = ""
    page: int = 0
    sort: str = ""
    find: str = ""
    only: str = "all"

    def order(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the same for ``q.state_page``."""
        sort = self.sort or next(iter(keys), "")
        return {
            "sort": sort.removeprefix("-") or None,
            "descending": sort.startswith("-"),
            "filter": holds(self.find, keys) if self.find else None,
            "touched": self.only == "changed",
            "ending": self.only == "leaving",
            "offset": self.page * PAGE,
            "limit": PAGE,
        }


@dataclass(frozen=True, eq=False)
class Page:
    """The rows asked for, with ``__mark`` and, for changed ones, their values before as ``__old_…``; and how many."""

    rows: pl.DataFrame
    keys: tuple[str, ...]
    found: int
    total: int
    new: int
    changed: int
    leaving: int
    removed: int
    gone: pl.DataFrame


def holds(words: str, keys: Sequence[str]) -> Callable[[pl.DataFrame], pl.Series]:
    """Return what says which rows have words in their keys, whatever the case."""

    def found(rows: pl.DataFrame) -> pl.Series:
        told = [in_words(rows.get_column(n)).str.to_lowercase() for n in keys or rows.columns if n in rows.columns]
        return rows.select(pl.any_horizontal(c.str.contains(words.lower(), literal=True) for c in told)).to_series()

    return found


def page_of(told: StatePage) -> Page:
    """Return a page as it is shown: what is told beside the rows stands in columns of its own."""
    keys = told.keys or tuple(told.rows.columns)
    values = [name for name in told.rows.columns if name not in keys]
    olds = [_olds(name, told) for name in values if any(told.before)]
    ends = pl.Series(EXPIRES, [None if end is None else end.to_pydatetime() for end in told.ends])
    beside = (pl.Series(MARK, told.signs, pl.String), pl.Series(LEAVING, told.ends_next, pl.Boolean), ends)
    return Page(
        told.rows.with_columns(*beside, *olds), keys, told.matched, told.total, told.new, told.changed, told.ending,
        told.removed, told.gone,
    )  # fmt: skip


def _olds(name: str, told: StatePage) -> pl.Series:
    values = [None if before is None else before.get(name) for before in told.before]
    return pl.Series(OLD + name, values, told.rows.schema[name], strict=False)


def touched(page: Page, changes: Sequence[pl.DataFrame]) -> list[str]:
    """Return for every row of a page which of some batches touched it, oldest first: ``▫`` and ``▪``."""
    strips = [""] * page.rows.height
    numbered = page.rows.select(page.keys).with_row_index("__at")
    for frame in changes:
        hit: set[int] = set()
        if frame.height and set(page.keys) <= set(frame.columns):
            near = _near(frame.select(pl.col(n).cast(numbered.schema[n]) for n in page.keys), numbered)
            hit = set(numbered.join(near, on=page.keys, how="semi", nulls_equal=True).get_column("__at").to_list())
        strips = [strip + ("▪" if i in hit else "▫") for i, strip in enumerate(strips)]
    return strips


def _near(frame: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
    """Leave out most of the rows that no wanted one is like, where there are many."""
    plain = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
    if frame.height < _MANY or not plain:
        return frame
    return frame.filter(pl.col(plain[-1]).is_in(wanted.get_column(plain[-1]).implode(), nulls_equal=True))
