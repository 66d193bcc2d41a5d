"""Tips: the columns of a row as lines of words."""

from __future__ import annotations

import polars as pl

NESTED = (pl.List, pl.Array, pl.Struct, pl.Object, pl.Binary)
_COLUMNS_TOLD, _LETTERS_TOLD = 12, 60


def tips(rows: pl.DataFrame) -> list[str]:
    """Return every row as lines ``column: value``."""
    if not rows.height or not rows.columns:
        return [""] * rows.height
    lines = [
        pl.concat_str(pl.lit(f"{name}: "), in_words(rows.get_column(name)).str.slice(0, _LETTERS_TOLD))
        for name in rows.columns[:_COLUMNS_TOLD]
    ]
    return rows.select(pl.concat_str(lines, separator="\n")).to_series().to_list()


def in_words(column: pl.Series) -> pl.Series:
    """Return the values of a column as words."""
    if isinstance(column.dtype, NESTED):
        return pl.Series([str(v) for v in column.to_list()], dtype=pl.String)
    if isinstance(column.dtype, pl.Datetime):
        return column.dt.to_string("%Y-%m-%d %H:%M:%S").fill_null("null")
    return column.cast(pl.String).fill_null("null")
