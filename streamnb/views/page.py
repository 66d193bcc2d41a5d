"""Page: a recorded query as one HTML file that steps, plays and changes its delay with neither Python nor network.

Its script is the painter of the live sheets (``sheet.js``) and one small player over the same plain data: 20 kB, where
Bokeh's own would be a megabyte and would need the layout of every figure in a second language. The data are compressed;
every browser since 2023 unpacks them by itself.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from streamnb.views.shapes import Sheet
from streamnb.views.sheet import SCRIPT, styles
from streamnb.views.view import Choices

_HERE = Path(__file__).parent
_POOLED = ("shapes", "rows", "columns", "key")


class Pool:
    """Shapes and rows, each told once: a batch names them by number."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.letters = 0
        self._numbers: dict[str, int] = {}

    def number(self, thing: Any) -> int:
        """Return the number of a thing."""
        text = json.dumps(thing, ensure_ascii=False, separators=(",", ":"), default=str)
        if text not in self._numbers:
            self._numbers[text] = len(self.texts)
            self.texts.append(text)
            self.letters += len(text)
        return self._numbers[text]

    def frames(self, sheets: Iterable[Sheet]) -> list[dict[str, Any]]:
        """Return sheets as frames: their lists hold only what is not as in the frame before."""
        found: list[dict[str, Any]] = []
        before: list[list[int]] = []
        for sheet in sheets:
            lists: list[list[int]] = []
            told = self._without_lists(sheet.to_json(), lists)
            changes = [_change(before[i] if i < len(before) else [], new) for i, new in enumerate(lists)]
            found.append({"sheet": told, "lists": changes})
            before = lists
        return found

    def _without_lists(self, value: Any, lists: list[list[int]]) -> Any:
        if isinstance(value, dict):
            return {name: self._inner(name, inner, lists) for name, inner in value.items()}
        return [self._without_lists(inner, lists) for inner in value] if isinstance(value, list | tuple) else value

    def _inner(self, name: str, value: Any, lists: list[list[int]]) -> Any:
        if name not in _POOLED:
            return self._without_lists(value, lists)
        lists.append([self.number(thing) for thing in value])
        return {"@": len(lists) - 1}


def _change(old: Sequence[int], new: Sequence[int]) -> tuple[int, Sequence[int], int]:
    """Return how many numbers stay at the beginning, the new ones, and how many stay at the end."""
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    most = min(len(old), len(new)) - start
    end = next((i for i in range(most) if old[-1 - i] != new[-1 - i]), most)
    return start, new[start : len(new) - end], end


@dataclass(frozen=True)
class Run:
    """One recording: what it is called, its batches and their times, and by view a sheet for each batch.

    ``choices`` are, by view, what a reader may choose besides. A figure that follows no query has no batches: its
    sheets have ``settings``, and ``stops`` are by control the values that occur, of the one to step through first.
    """

    label: str
    batches: Sequence[int]
    times: Sequence[float]
    views: Mapping[str, Sequence[Sheet]]
    choices: Mapping[str, Choices]
    settings: Sequence[Mapping[str, Any]] = ()
    stops: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def page(title: str, runs: Sequence[Run], start: int, picture: str, note: str, *, left_out: str = "") -> str:
    """Return the page of some runs.

    ``start`` is the run to begin with, or the sheet of a figure that follows no query; ``picture`` is what a reader
    without JavaScript sees, and ``left_out`` what the page has not.
    """
    pool = Pool()
    told = [
        {
            "label": run.label,
            "batches": list(run.batches),
            "times": list(run.times),
            "views": {name: pool.frames(sheets) for name, sheets in run.views.items()},
            "choices": {name: _offered(pool, choices) for name, choices in run.choices.items()},
            "settings": list(run.settings),
            "stops": dict(run.stops),
        }
        for run in runs
    ]
    head = json.dumps({"runs": told, "start": start}, ensure_ascii=False, separators=(",", ":"), default=str)
    data = f'{head[:-1]},"pool":[{",".join(pool.texts)}]}}'
    css = styles() + "".join(_read(name) for name in ("controls.css", "tabs.css", "page.css"))
    script = SCRIPT.read_text(encoding="utf-8") + _read("page.js")
    packed = base64.b64encode(gzip.compress(data.encode(), mtime=0)).decode()
    words = {"title": escape(title), "note": escape(note), "left_out": escape(left_out)}
    return _PAGE.format(css=css, script=script, picture=picture, data=packed, **words)


def _offered(pool: Pool, choices: Choices) -> dict[str, Any]:
    return {name: {value: pool.frames(sheets) for value, sheets in told.items()} for name, told in choices.items()}


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}
</style>
</head>
<body class="sn-recorded">
<div class="sn">
<section class="sn-controls" aria-label="Playback">
<div class="sn-bar" id="sn-bar" role="group">
<button class="sn-pill" id="sn-back" type="button" title="Back one batch (←)">◂ back</button>
<button class="sn-pill" id="sn-step" type="button" title="Step one batch (→)">step ▸</button>
<button class="sn-pill sn-play" id="sn-play" type="button" title="Play (P)">▶ play</button>
<select class="sn-speed" id="sn-speed" aria-label="Speed, in batches a second"></select>
<input class="sn-slider" id="sn-batch" type="range" min="0" step="1" aria-label="Batch">
<output class="sn-where" id="sn-where"></output>
<button class="sn-pill" id="sn-theme" type="button" title="Light or dark">◐</button>
</div>
<label class="sn-delay" id="sn-delay-box">watermark delay
<input class="sn-slider" id="sn-delay" type="range" min="0" step="1"><output id="sn-delay-told"></output></label>
</section>
<div class="sn-tabs" id="sn-tabs" role="tablist" aria-label="Views"></div>
<div id="sn-sheet"></div>
<noscript>{picture}</noscript>
<p class="sn-left-out">{left_out}</p>
<p class="sn-made">{note}</p>
</div>
<script type="application/gzip" id="sn-data">{data}</script>
<script type="module">
{script}
</script>
</body>
</html>
"""
