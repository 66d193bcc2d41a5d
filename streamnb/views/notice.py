"""Notice: what will surprise in a query, told once in the cell that makes it; it loads nothing that draws."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from streamnb.views.cell import running_cell
from streamnb.views.still import put

if TYPE_CHECKING:
    from streamnb.answers.findings import Finding
    from streamnb.query import Query

_FOLDERS = (".", "notebooks", "streamnb-course", "..")

_told: dict[tuple[str, str], tuple[str, str]] = {}
"""By code and subject of a finding: the cell that told of it, and that cell's run."""


def show_findings(query: Query) -> None:
    """Display what is found in the plan of a query; what another cell has told already is not told again."""
    cell = running_cell()
    if cell is None:
        return
    findings = [finding for finding in query.findings if _is_new(finding, cell)]
    if findings:
        put({"text/html": strip(findings), "text/plain": "\n".join(f"! {finding}" for finding in findings)})


def _is_new(finding: Finding, cell: tuple[str, str]) -> bool:
    before = _told.setdefault((finding.code, finding.what), cell)
    is_new = before is cell or (before[0] == cell[0] and before != cell)
    if is_new:
        _told[finding.code, finding.what] = cell
    return is_new


def strip(findings: Iterable[Finding]) -> str:
    """Return findings as HTML: one line each, to be opened, in the colours of the page."""
    return f'<div class="streamnb-findings" role="note">{"".join(map(_folded, findings))}</div>'


def _folded(finding: Finding) -> str:
    lesson, link = escape(finding.title), lesson_file(finding.lesson)
    if link:
        lesson = f'<a href="{escape(link)}" target="_blank" rel="noopener">{lesson}</a>'
    way_out = f"{finding.way_out[0].upper()}{finding.way_out[1:]}."
    return (
        f"<details><summary><strong>! {escape(finding.what)}</strong>: {escape(finding.why)}</summary>"
        f'<div style="padding:.2em 0 .5em 1.1em">{escape(way_out)}<br>Lesson {lesson}</div></details>'
    )


def lesson_file(number: str) -> str:
    """Return where a lesson lies, seen from the folder of the notebook; empty if it is not near."""
    found = (path for folder in _FOLDERS for path in sorted(Path(folder).glob(f"{number}_*.ipynb")))
    path = next(found, None)
    return "" if path is None else path.as_posix()
