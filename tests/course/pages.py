"""A lesson that was run, as one HTML page: no kernel, no network, nothing beside the file itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from nbconvert.filters import Highlight2HTML, markdown2html
from pygments.formatters import HtmlFormatter

from streamnb.learn.check import exercise
from streamnb.views.theme import PALETTE

HERE = Path(__file__).parent
NAME = "streamnb: the course"
_code = Highlight2HTML()
_SHOWN = ("text/html", "image/svg+xml", "text/plain")


def lesson_page(notebook: Any, figures: dict[int, str], path: list[tuple[str, str]], own: str) -> str:
    """Return the page of a lesson; ``figures`` are the recorded ones, ``path`` all lessons as file and title."""
    title = title_of(notebook)
    body = "\n".join(_cell(cell, figures) for cell in notebook.cells)
    return page(f"{title} · {NAME}", f"<article>{body}</article>{_onward(path, own)}", _back())


def index_page(readme: str) -> str:
    """Return the page of the path."""
    return page(NAME, f"<article>{_markdown(readme)}</article>", "")


def page(title: str, body: str, top: str) -> str:
    """Return a page around a body."""
    css, script = (HERE.joinpath(name).read_text(encoding="utf-8") for name in ("course.css", "course.js"))
    return _PAGE.format(title=escape(title), css=_palette() + css, script=script, top=top, body=body)


def title_of(notebook: Any) -> str:
    """Return the heading of a lesson."""
    heading: str = notebook.cells[0].source.splitlines()[0].removeprefix("# ")
    return heading


def _cell(cell: Any, figures: dict[int, str]) -> str:
    if cell.cell_type == "markdown":
        return f'<section id="{cell.id}">{_markdown(cell.source)}</section>'
    if re.fullmatch(r"\d\d-check-[a-z]", cell.id):
        return f'<section id="{cell.id}">{_code(cell.source)}{_help(cell.id)}</section>'
    shown = "".join(_output(output, figures) for output in cell.outputs)
    return f'<section id="{cell.id}">{_code(cell.source)}<div class="outputs">{shown}</div></section>'


def _markdown(source: str) -> str:
    """Return Markdown as HTML; links lead to pages instead of notebooks, and headings need no mark of their own."""
    html = markdown2html(source)
    return re.sub(r'<a class="anchor-link".*?</a>', "", html).replace('.ipynb"', '.html"')


def _output(output: Any, figures: dict[int, str]) -> str:
    if output.output_type == "stream":
        return f"<pre>{escape(output.text)}</pre>"
    mime = next(mime for mime in _SHOWN if mime in output.data)
    told = str(output.data[mime])
    if place := re.search(r'data-figure="(\d+)" data-at="(\d*)"', told):
        number = int(place[1])
        begin = f'title="Figure {number + 1}" data-at="{place[2]}"'
        before = told[: told.index("<div data-figure")]
        return f'{before}<iframe {begin} loading="lazy" srcdoc="{escape(figures[number])}"></iframe>'
    return f"<pre>{escape(told)}</pre>" if mime == "text/plain" else told


def _help(name: str) -> str:
    """Return hints and solution of an exercise, each folded away."""
    number, _, letter = name.partition("-check-")
    found = exercise(f"{number}.{letter.upper()}")
    hints = "".join(f"<li>{escape(hint)}</li>" for hint in found.hints)
    return (
        f"<details><summary>Three hints</summary><ol>{hints}</ol></details>"
        f"<details><summary>One way</summary>{_code(found.source())}</details>"
    )


def _back() -> str:
    return '<a href="index.html">The path</a>'


def _onward(path: list[tuple[str, str]], own: str) -> str:
    """Return links to the lessons before and after; nothing for a page that is no part of the path."""
    if own not in dict(path):
        return ""
    at = [file for file, _ in path].index(own)
    ends = [(at - 1, "←", "prev"), (at + 1, "→", "next")]
    links = [f'<a rel="{rel}" href="{path[n][0]}.html">{arrow} {escape(path[n][1])}</a>'
             for n, arrow, rel in ends if 0 <= n < len(path)]  # fmt: skip
    return f"<nav>{''.join(links)}</nav>"


def _palette() -> str:
    light, dark = ("; ".join(_declared(theme)) for theme in ("light", "dark"))
    codes = {theme: HtmlFormatter(style=style) for theme, style in (("light", "default"), ("dark", "github-dark"))}
    coloured = {theme: _styles(code) for theme, code in codes.items()}
    return (
        f"body {{ {light} }} body[data-jp-theme-light='false'] {{ {dark} }}\n"
        f"{coloured['light']}\nbody[data-jp-theme-light='false'] {{\n{coloured['dark']}\n}}\n"
    )


def _declared(theme: str) -> Iterator[str]:
    return (f"--{role.replace('_', '-')}: {colour}" for role, colour in PALETTE[theme].items())


def _styles(formatter: Any) -> str:
    lines = formatter.get_style_defs(".highlight").splitlines()
    return "\n".join(line for line in lines if line.startswith(".highlight ."))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}
</style>
</head>
<body>
<header>{top}<button id="theme" type="button" title="Light or dark" aria-label="Light or dark">◐</button></header>
<main>
{body}
</main>
<script>
{script}
</script>
</body>
</html>
"""
