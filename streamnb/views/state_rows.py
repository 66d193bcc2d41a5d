"""The rows of state as a reader asks for them: found, sorted, paged, and compared with the batch before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from streamnb.progress import Outline
from streamnb.views.plane_tips import in_words

PAGE = 30
"""Keys on a page: all that travels to the browser."""
EXPIRES, OPERATOR = "expires_at", "operator"
MARK, _OLD = "__mark", "__old_"


@dataclass(frozen=True)
class Asked:
    """What the reader chose: a page, a column to sort by (``-`` before it: downward), words to find, changes only."""

    page: int = 0
    sort: str = ""
    find: str = ""
    only: str = "all"


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


def keys_of(state: pl.DataFrame, outline: Outline) -> tuple[str, ...]:
    """Return the columns that name a row; all that it holds where the outline does not tell."""
    wanted = [*(("window_start", "window_end") if outline.window else ()), *outline.keys]
    found = tuple(name for name in wanted if name in state.columns)
    if not found:
        found = tuple(name for name in state.columns if name not in {OPERATOR, EXPIRES, *outline.values})
    return (OPERATOR, *found)


def page_of(now: pl.DataFrame, before: pl.DataFrame, outline: Outline, watermark: object, asked: Asked) -> Page:
    """Return a page of ``now``; ``watermark`` is the one that the next batch evicts by.

    A row is new where ``before`` has no row of its keys, changed where a value differs, leaving where the watermark
    has reached its end.
    """
    keys = keys_of(now, outline)
    marked = _marked(now, before, keys, watermark)
    counts = dict(marked.group_by(MARK).len().iter_rows())
    leaving = marked.get_column("__leaving").sum() if marked.height else 0
    shown = marked.filter(pl.col(MARK) != "") if asked.only == "changed" else marked
    if asked.only == "leaving":
        shown = marked.filter(pl.col("__leaving"))
    shown = _sorted(_found(shown, keys, asked.find), asked.sort or next(iter(keys[1:]), ""))
    page = shown.slice(asked.page * PAGE, PAGE)
    return Page(page, keys, shown.height, now.height, counts.get("new", 0), counts.get("changed", 0), int(leaving))


def _marked(now: pl.DataFrame, before: pl.DataFrame, keys: Sequence[str], watermark: object) -> pl.DataFrame:
    values = [name for name in now.columns if name not in {*keys, EXPIRES}]
    shared = [name for name in values if name in before.columns]
    known = (
        before.select(*keys, *(pl.col(n).alias(_OLD + n) for n in shared)) if set(keys) <= set(before.columns) else None
    )
    ends = pl.col(EXPIRES) <= pl.lit(watermark) if watermark is not None and now.height else pl.lit(value=False)
    if known is None or not known.height:
        mark = pl.lit("new" if now.height else "")
        return now.with_columns(mark.alias(MARK), ends.fill_null(value=False).alias("__leaving"))
    known = known.unique(keys, keep="first").with_columns(pl.lit(value=True).alias("__known"))
    joined = now.join(known, on=list(keys), how="left", nulls_equal=True, maintain_order="left")
    differs = pl.any_horizontal(pl.lit(value=False), *(pl.col(n).ne_missing(pl.col(_OLD + n)) for n in shared))
    mark = pl.when(pl.col("__known").is_null()).then(pl.lit("new")).when(differs).then(pl.lit("changed"))
    return joined.with_columns(
        mark.otherwise(pl.lit("")).alias(MARK), ends.fill_null(value=False).alias("__leaving")
    ).drop("__known")


def _found(rows: pl.DataFrame, keys: Sequence[str], words: str) -> pl.DataFrame:
    if not words:
        return rows
    hits = (in_words(rows.get_column(n)).str.to_lowercase().str.contains(words.lower(), literal=True) for n in keys)
    return rows.filter(pl.any_horizontal(*hits))


def _sorted(rows: pl.DataFrame, sort: str) -> pl.DataFrame:
    name = sort.removeprefix("-")
    if name not in rows.columns or rows.schema[name].is_nested():
        return rows
    return rows.sort(name, descending=sort.startswith("-"), nulls_last=True, maintain_order=True)


def touched(page: Page, changes: Sequence[pl.DataFrame]) -> list[str]:
    """Return for every row of a page which of some batches touched it, oldest first: ``▫`` and ``▪``."""
    on = [name for name in page.keys if name != OPERATOR]
    strips = [""] * page.rows.height
    numbered = page.rows.select(on).with_row_index("__at") if on else None
    for frame in changes:
        hit: set[int] = set()
        if numbered is not None and frame.height and set(on) <= set(frame.columns):
            same = frame.select(pl.col(n).cast(numbered.schema[n]) for n in on).unique()
            hit = set(numbered.join(same, on=on, how="semi", nulls_equal=True).get_column("__at").to_list())
        strips = [strip + ("▪" if i in hit else "▫") for i, strip in enumerate(strips)]
    return strips
