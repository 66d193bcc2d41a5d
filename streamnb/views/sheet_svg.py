"""A sheet without a browser: its figures as one SVG, its tables as HTML, every word escaped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from html import escape
from typing import Any
from zlib import crc32

from streamnb.views.plane_svg import safe
from streamnb.views.shapes import WIDTH, Figure, Grid, Remedies, Shape, Sheet, Words, table
from streamnb.views.theme import FONT, PALETTE

_LIGHT = PALETTE["light"]
_TITLE, _LINE, _WRAP = 34, 19, 108
_HATCH = "\x00hatch"


def sheet_svg(sheet: Sheet) -> str:
    """Return title, words and figures of a sheet as one ``<svg>`` element, which says itself to a screen reader."""
    below: list[str] = []
    top = float(_TITLE)
    below.append(_text({"x": 2, "y": 22, "text": sheet.title, "role": "ink", "size": 18, "bold": True}))
    for words in (sheet.lead, *(part for part in sheet.parts if isinstance(part, Figure | Words))):
        drawn, height = _block(words, top)
        below += drawn
        top += height
    body = "\n".join(below)
    name = f"sn-{crc32(body.encode()):08x}"
    hatches = "".join(_pattern(name, role) for role in _LIGHT if f"{_HATCH}-{role}" in body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:.0f}" width="{WIDTH}" role="img"'
        f' aria-label="{safe(sheet.spoken or sheet.title)}" font-family="{safe(FONT)}"'
        f' style="max-width: 100%; height: auto">\n<defs>{hatches}</defs>\n'
        f'<rect width="{WIDTH}" height="{top:.0f}" fill="{_LIGHT["ground"]}"/>\n{body.replace(_HATCH, name)}\n</svg>'
    )


def sheet_html(sheet: Sheet) -> str:
    """Return the tables of a sheet, those behind its figures too, as HTML."""
    behind = (part.table for part in sheet.parts if isinstance(part, Figure) and part.table)
    found = (_found(part) for part in sheet.parts if isinstance(part, Remedies))
    return "\n".join(map(table_html, (*(p for p in sheet.parts if isinstance(p, Grid)), *found, *behind)))


def _found(part: Remedies) -> Grid:
    rows = [(r.what, r.why, r.way_out, r.lesson) for r in part.remedies]
    return table("Findings", ("what", "why", "way out", "lesson"), rows, longest=400)


def _pattern(name: str, role: str) -> str:
    return (
        f'<pattern id="{name}-{role}" width="5.5" height="5.5" patternUnits="userSpaceOnUse"'
        f' patternTransform="rotate(30)"><path d="M0 0V5.5" stroke="{_LIGHT[role]}" stroke-opacity="0.45"/></pattern>'
    )


def _block(part: str | Figure | Words, top: float) -> tuple[list[str], float]:
    if isinstance(part, Figure):
        inside = "\n".join(map(paint_shape, part.shapes))
        return [f'<g transform="translate(0 {top:.0f})">\n{inside}\n</g>'], part.height + 8
    words, role = (part, "muted") if isinstance(part, str) else (part.text, part.role)
    lines = [line for paragraph in words.split("\n") for line in textwrap.wrap(paragraph, _WRAP)]
    drawn = [
        _text({"x": 2, "y": top + 13 + _LINE * i, "text": line, "role": role, "size": 13})
        for i, line in enumerate(lines)
    ]
    return drawn, _LINE * len(lines) + (8 if lines else 0)


def paint_shape(shape: Shape) -> str:
    """Return one shape as an SVG element, in the colours of the light theme."""
    element = _PAINTERS[shape["kind"]](shape)
    if "tip" not in shape:
        return element
    return f"<g><title>{safe(shape['tip'])}</title>{element}</g>"


def _tag(name: str, inside: str | None = None, **attributes: Any) -> str:
    told = (f'{k.replace("_", "-")}="{safe(str(v))}"' for k, v in attributes.items() if v is not None)
    return f"<{name} {' '.join(told)}" + ("/>" if inside is None else f">{inside}</{name}>")


def _paint(role: str | None) -> str:
    return "none" if role is None else _LIGHT[role]


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def _line(s: Shape) -> str:
    return _tag("path", d=_path(s["points"]), fill="none", stroke=_paint(s["role"]), stroke_width=s["width"],
                stroke_dasharray=s.get("dash"))  # fmt: skip


def _area(s: Shape) -> str:
    fill = f"url(#{_HATCH}-{s['role']})" if s.get("hatch") else _paint(s["role"])
    element = _tag("path", d=_path(s["points"]) + "Z", fill_opacity=s["alpha"])
    return element.replace("<path ", f'<path fill="{fill}" ', 1)


def _rect(s: Shape) -> str:
    place = {"x": s["x"], "y": s["y"], "width": max(s["w"], 0), "height": max(s["h"], 0), "rx": s.get("r")}
    box = _tag("rect", **place, fill=_paint(s.get("fill")), fill_opacity=s.get("alpha"), stroke=_paint(s.get("line")),
               stroke_width=s.get("stroke"), stroke_dasharray=s.get("dash"))  # fmt: skip
    if "hatch" not in s:
        return box
    return box + _tag("rect", **place).replace("<rect ", f'<rect fill="url(#{_HATCH}-{s["hatch"]})" ', 1)


def _dot(s: Shape) -> str:
    return _tag("circle", cx=s["x"], cy=s["y"], r=s["r"], fill=_paint(s.get("fill")), fill_opacity=s.get("alpha"),
                stroke=_paint(s.get("line")), stroke_width=s.get("stroke"))  # fmt: skip


def _diamond(s: Shape) -> str:
    x, y, r = s["x"], s["y"], s["r"]
    return _tag("path", d=f"M{x} {y - r}l{r} {r}l{-r} {r}l{-r} {-r}Z", fill=_paint(s["fill"]))


def _cross(s: Shape) -> str:
    x, y, r = s["x"], s["y"], s["r"]
    return _tag("path", d=f"M{x - r} {y - r}l{2 * r} {2 * r}m0 {-2 * r}l{-2 * r} {2 * r}", fill="none",
                stroke=_paint(s["role"]), stroke_width=s.get("width", 2.6))  # fmt: skip


def _text(s: Shape) -> str:
    turn = f"rotate({s['turn']} {s['x']} {s['y']})" if "turn" in s else None
    return _tag("text", safe(s["text"]), x=s["x"], y=s["y"], fill=_paint(s["role"]), font_size=s["size"],
                text_anchor=s.get("anchor"), font_weight=700 if s.get("bold") else None,
                font_style="italic" if s.get("italic") else None, transform=turn)  # fmt: skip


_PAINTERS = {
    "line": _line, "area": _area, "rect": _rect, "dot": _dot, "diamond": _diamond, "cross": _cross, "text": _text,
}  # fmt: skip


def table_html(grid: Grid) -> str:
    """Return a table as HTML that needs no script."""
    head = "".join(f"<th>{escape(' '.join(filter(None, (c.name, c.note))))}</th>" for c in grid.columns)
    body = "".join(f"<tr>{''.join(_cells(row.cells, grid))}</tr>" for row in grid.rows)
    caption = escape(" ".join(filter(None, (grid.title, grid.note))))
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cells(cells: Iterable[str], grid: Grid) -> Iterator[str]:
    for text, column in zip(cells, grid.columns, strict=True):
        yield f'<td style="text-align: {"right" if column.numeric else "left"}">{escape(text)}</td>'
