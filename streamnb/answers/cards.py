"""Cards: an answer as text and as HTML that takes its colours from the page."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

YES, NO, NOTE, TODO = "✓", "✕", "·", "→"
SHOWN = 10
"""Rows of a table that a card shows."""


@dataclass(frozen=True)
class Line:
    """One reason: a mark (``✓`` passed, ``✕`` failed, ``→`` to be done, ``·`` told), what it says, and a note on it."""

    mark: str
    text: str
    note: str = ""


class Card:
    """An answer with a title that states the finding, lines that give the reasons, and rows where they help."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What was found, in one sentence."""

    @property
    @abstractmethod
    def lines(self) -> tuple[Line, ...]:
        """The reasons, in order."""

    @property
    def table(self) -> pd.DataFrame | None:
        """The rows that belong to the answer, if any do."""
        return None

    def __repr__(self) -> str:
        parts = [self.title, *map(_as_text, self.lines)]
        if self.table is not None and len(self.table):
            parts.append(self.table.head(SHOWN).to_string(index=False))
            parts += [f"… {len(self.table) - SHOWN:,} more rows"] if len(self.table) > SHOWN else []
        return "\n".join(parts)

    def _repr_html_(self) -> str:
        lines = "".join(map(_as_html, self.lines))
        return (
            f'<div class="streamnb-card"><p><strong>{escape(self.title)}</strong></p>{lines}{_rows(self.table)}</div>'
        )


def _as_text(line: Line) -> str:
    return f"  {line.mark} {line.text}{f' ({line.note})' if line.note else ''}"


def _as_html(line: Line) -> str:
    note = f'<br><span style="opacity:.75">{escape(line.note)}</span>' if line.note else ""
    return (
        '<div style="display:flex;gap:.6em;padding:.25em 0;border-top:1px solid color-mix(in srgb, currentColor 20%, '
        f'transparent)"><span aria-hidden="true">{line.mark}</span><span>{escape(line.text)}{note}</span></div>'
    )


def _rows(table: pd.DataFrame | None) -> str:
    if table is None or not len(table):
        return ""
    more = f"<p>… {len(table) - SHOWN:,} more rows</p>" if len(table) > SHOWN else ""
    return table_html(table.head(SHOWN)) + more


def table_html(table: pd.DataFrame, *, head: bool = True) -> str:
    """Return a table as HTML: words begin at the left, numbers end at the right, every value escaped."""
    sides = ["right" if pd.api.types.is_numeric_dtype(dtype) else "left" for dtype in table.dtypes]
    names = "".join(
        f"<th style='text-align:{side}'>{escape(str(n))}</th>" for n, side in zip(table, sides, strict=True)
    )
    lines = table.to_html(index=False, header=False, border=0, escape=True).split("<tbody>")[1].split("<tr>")
    rows = "<tr>".join(_sided(line, sides) for line in lines)
    return f"<table>{f'<thead><tr>{names}</tr></thead>' if head else ''}<tbody>{rows}"


def _sided(line: str, sides: Sequence[str]) -> str:
    first, *cells = line.split("<td>")
    told = (f"<td style='text-align:{side}'>{cell}" for side, cell in zip(sides, cells, strict=False))
    return first + "".join(told)


def clock(at: Any, beside: Any = None) -> str:
    """Return a time as short as it can be said: without seconds that are zero, without the date of ``beside``."""
    if at is None:
        return "no time"
    at = pd.Timestamp(at)
    same = beside is not None and pd.Timestamp(beside).date() == at.date()
    seconds = "%H:%M" if at == at.floor("min") else "%H:%M:%S" if at == at.floor("s") else "%H:%M:%S.%f"
    text = str(at.strftime(seconds if same else f"%Y-%m-%d {seconds}"))
    return text[:-3].rstrip("0").rstrip(".") if "." in text else text


def named(row: Mapping[str, Any], most: int = 3) -> str:
    """Return a row in short: its first values that are no times."""
    told = {n: v for n, v in row.items() if v is not None and not isinstance(v, dt.datetime | list | dict)}
    return ", ".join(f"{name}={value}" for name, value in list((told or row).items())[:most])


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 row``, ``2,000 rows``."""
    many = f"{noun}es" if noun.endswith(("ch", "s")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
