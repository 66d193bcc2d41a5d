"""Shapes: what a view draws and says, as plain data that a browser and a still picture paint alike.

Places are pixels of the figure, colours are roles of the palette, and every text is a text: nothing here is markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Shape = dict[str, Any]
"""One mark. ``kind`` is ``line``, ``area``, ``rect``, ``dot``, ``cross``, ``diamond`` or ``text``.

Any may have a ``tip`` (words shown on hovering), a ``pick`` (what a click on it sends), a ``drag`` (what pulling it
sideways sends), a ``group`` (all of a group are lit when one is pointed at) and an ``id``: what has the same one in the
next state goes there instead of jumping, after ``wait`` milliseconds; what is new fades in, or falls from ``drop``.
"""
Point = tuple[float, float]
_PALE = ("late", "second", "watermark")
WIDTH = 760
"""Pixels across, so that a figure fits a cell beside a sidebar."""


def _shape(kind: str, **looks: Any) -> Shape:
    told = {name: _short(value) for name, value in looks.items() if value is not None and value is not False}
    return {"kind": kind, **told}


def _short(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value


def line(points: Iterable[Point], role: str, width: float = 1.5, dash: str | None = None, **more: Any) -> Shape:
    """Draw a line through points."""
    return _shape("line", points=_rounded(points), role=role, width=width, dash=dash, **more)


def area(points: Iterable[Point], role: str, alpha: float = 1.0, *, hatch: bool = False, **more: Any) -> Shape:
    """Fill the inside of a line, or hatch it."""
    return _shape("area", points=_rounded(points), role=role, alpha=alpha, hatch=hatch, **more)


def _rounded(points: Iterable[Point]) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in points]


def rect(x: float, y: float, width: float, height: float, fill: str | None = None, **more: Any) -> Shape:
    """Draw a box: ``fill`` and ``line`` are roles, ``alpha`` that of the fill, ``hatch`` marks it beside its colour."""
    return _shape("rect", x=float(x), y=float(y), w=float(width), h=float(height), fill=fill, **more)


def dot(x: float, y: float, r: float, fill: str | None, line: str | None = None, **more: Any) -> Shape:
    """Draw a circle."""
    return _shape("dot", x=float(x), y=float(y), r=r, fill=fill, line=line, **more)


def diamond(x: float, y: float, r: float, fill: str, **more: Any) -> Shape:
    """Draw the mark of a second stream."""
    return _shape("diamond", x=float(x), y=float(y), r=r, fill=fill, **more)


def cross(x: float, y: float, r: float, role: str = "dropped", **more: Any) -> Shape:
    """Draw the mark of a dropped row."""
    return _shape("cross", x=float(x), y=float(y), r=r, role=role, **more)


def text(x: float, y: float, words: str, role: str = "muted", size: float = 12, **more: Any) -> Shape:
    """Write words; ``anchor`` is ``middle`` or ``end``, ``bold``, ``italic``, and ``turn`` counts degrees."""
    return _shape("text", x=float(x), y=float(y), text=words, role=role, size=size, **more)


def upon(role: str) -> str:
    """Return the role of words that are written on a mark of ``role``, so that they can be read in both themes."""
    return "deep" if role in _PALE else "ground"


@dataclass(frozen=True)
class Column:
    """The head of a column; ``sort`` is what a click on it sends, ``sorted`` ``"up"`` or ``"down"``."""

    name: str
    note: str = ""
    numeric: bool = False
    sort: str = ""
    sorted: str = ""


@dataclass(frozen=True)
class Row:
    """A row of texts: ``mark`` is ``new``, ``changed``, ``leaving``, ``gone``, ``picked`` or empty.

    ``was`` are the texts that this batch replaced, by column number.
    """

    cells: tuple[str, ...]
    mark: str = ""
    pick: str = ""
    was: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Grid:
    """A table; ``note`` says what of it is not shown."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""
    kind: str = "grid"


@dataclass(frozen=True)
class Figure:
    """A drawing with the table behind it, for those who read numbers rather than pictures."""

    label: str
    height: int
    shapes: tuple[Shape, ...]
    table: Grid | None = None
    width: int = WIDTH
    kind: str = "figure"


@dataclass(frozen=True)
class Remedy:
    """One thing found: ``why`` it is so, the ``way_out``, and the ``lesson`` that teaches it, in the file ``link``."""

    code: str
    what: str
    why: str
    way_out: str
    lesson: str
    link: str = ""


@dataclass(frozen=True)
class Remedies:
    """Cards below one another, the gravest first."""

    remedies: tuple[Remedy, ...]
    kind: str = "remedies"


@dataclass(frozen=True)
class Words:
    """A paragraph; ``role`` is ``muted``, ``ink``, ``dropped_text`` and the like."""

    text: str
    role: str = "muted"
    kind: str = "words"


@dataclass(frozen=True)
class Slider:
    """A number that the reader may change; ``shown`` is how it reads."""

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    shown: str
    kind: str = "slider"


@dataclass(frozen=True)
class Search:
    """Words that the reader may look for."""

    name: str
    label: str
    value: str
    kind: str = "search"


@dataclass(frozen=True)
class Choice:
    """One of several settings, or pages."""

    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    value: str
    kind: str = "choice"


Part = Grid | Figure | Remedies | Words | Slider | Search | Choice


@dataclass(frozen=True)
class Sheet:
    """All that a view shows: a title that states the finding, the parts below one another, and the same said aloud."""

    title: str
    parts: tuple[Part, ...]
    spoken: str = ""
    lead: str = ""
    key: tuple[tuple[Shape, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the sheet as dictionaries, lists, numbers and texts."""
        return asdict(self)


def nothing(words: str) -> Sheet:
    """Return the sheet of a view that has nothing to show yet."""
    return Sheet(words, ())


def table(
    title: str, heads: Sequence[str], rows: Iterable[Sequence[Any]], note: str = "", *, longest: int = 80
) -> Grid:
    """Return a plain table; a column is numeric where all that stands in it is a number."""
    listed = [tuple(row) for row in rows]
    numeric = [bool(listed) and all(isinstance(row[i], int | float) for row in listed) for i in range(len(heads))]
    columns = tuple(Column(name, numeric=is_numeric) for name, is_numeric in zip(heads, numeric, strict=True))
    return Grid(title, columns, tuple(_plain(row, longest) for row in listed), note)


def _plain(row: Sequence[Any], longest: int) -> Row:
    return Row(tuple(spell_cell(value, longest) for value in row))


def spell_cell(value: Any, longest: int = 80) -> str:
    """Return a value as a table shows it, at most so many letters."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        words = "null" if value is None else str(value)
        return words if len(words) <= longest else words[: longest - 1] + "…"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")
