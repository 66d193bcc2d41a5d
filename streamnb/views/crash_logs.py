"""The logs of a crash: what the two logs, the state and the sink held when the process died, and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from streamnb.crashing.crash import Outcome
from streamnb.views.shapes import Figure, Shape, line, rect, table, text

_LEFT, _WIDE, _TOP, _LANE = 128.0, 600.0, 52.0, 38.0
_LANES = (
    ("offsets", "begun", "in the offset log"),
    ("commits", "done", "in the commit log"),
    ("state", "state", "version"),
)
_MOST = 8
"""Batches drawn; of more, the last ones."""


def logs_figure(way: str, moment: str, outcome: Outcome) -> Figure:
    """Draw a lane for each log and one for the sink: on the left at the crash, on the right what the restart added."""
    crash, restart = (_row(outcome.logs, when) for when in ("crash", "restart"))
    lanes = [lane for lane in _LANES if crash[lane[0]] is not None or restart[lane[0]] is not None]
    middle = _LEFT + _WIDE * 0.42
    bottom = _TOP + _LANE * (len(lanes) + 1)
    shapes: list[Shape] = [
        text(2, 18, f"{way}, dead {moment}: {outcome.verdict}", "ink", 14, bold=True),
        text(_LEFT, 40, "when it died", "muted", 12),
        text(middle + 14, 40, "after the restart, what is new filled", "muted", 12),
        line([(middle, 30), (middle, bottom)], "dropped", 1.6, "4 3"),
    ]
    for n, (name, label, word) in enumerate(lanes):
        shapes += _lane(_TOP + _LANE * n, (label, word), crash[name], restart[name], middle)
    shapes += _sink(_TOP + _LANE * len(lanes), outcome, crash["sink rows"], restart["sink rows"], middle)
    rows = [(when, *(_cell(row[name]) for name, *_ in lanes), row["sink rows"])
            for when, row in (("at the crash", crash), ("after the restart", restart))]  # fmt: skip
    behind = table("Newest batch in each log", ("", *(label for _, label, _ in lanes), "rows in the sink"), rows)
    said = "; ".join(", ".join(map(str, row)) for row in rows)
    return Figure(f"{way}, {moment}. {said}", int(bottom + 12), tuple(shapes), behind)


def _row(logs: pd.DataFrame, when: str) -> dict[str, Any]:
    found = logs.loc[logs["after"] == when].iloc[-1].to_dict()
    return {str(name): None if pd.isna(value) else value for name, value in found.items()}


def _cell(value: Any) -> str:
    return "none" if value is None else f"{value:.0f}"


def _lane(y: float, label: tuple[str, str], crash: Any, restart: Any, middle: float) -> Iterator[Shape]:
    yield text(2, y + 14, label[0], "ink", 12.5, bold=True)
    yield text(2, y + 28, label[1], "muted", 11)
    had = -1 if crash is None else int(crash)
    last = -1 if restart is None else int(restart)
    yield from _boxes(had + 1, had + 1, _LEFT, y)
    yield from _boxes(last + 1, had + 1, middle + 14, y)


def _boxes(end: int, old: int, left: float, y: float) -> Iterator[Shape]:
    """Draw the batches before ``end``, those from ``old`` on as new ones."""
    for n, batch in enumerate(range(max(0, end - _MOST), end)):
        new = batch >= old
        looks: dict[str, Any] = {"fill": "ontime"} if new else {"fill": "strip", "line": "muted"}
        yield rect(left + 30 * n, y + 4, 25, 22, stroke=1.2, r=3, tip=f"batch {batch}", **looks)
        words = str(batch)
        yield text(left + 30 * n + 12.5, y + 19, words, "ground" if new else "ink", 12, anchor="middle", bold=new)


def _sink(y: float, outcome: Outcome, crash: int, restart: int, middle: float) -> Iterator[Shape]:
    """Draw the rows as bars on one scale, with the right number as a line behind the second."""
    yield text(2, y + 14, "sink", "ink", 12.5, bold=True)
    yield text(2, y + 28, "rows", "muted", 11)
    room = _LEFT + _WIDE - middle - 100
    scale = room / max(restart, outcome.expected, 1)
    fits = min(1.0, (middle - _LEFT - 60) / max(crash * scale, 1))
    yield rect(_LEFT, y + 4, crash * scale * fits, 22, "muted", alpha=0.35)
    yield text(_LEFT + crash * scale * fits + 6, y + 19, f"{crash:,}", "ink", 12.5)
    left = middle + 14
    sound = min(restart, outcome.expected) * scale
    yield rect(left, y + 4, sound, 22, "watermark", alpha=0.35)
    if restart > outcome.expected:
        yield rect(left + sound, y + 4, (restart - outcome.expected) * scale, 22, "dropped", alpha=0.2, hatch="dropped")
    yield line([(left + outcome.expected * scale, y), (left + outcome.expected * scale, y + 30)], "ink", 2)
    end = left + max(restart, outcome.expected) * scale + 6
    yield text(end, y + 19, f"{restart:,} of {outcome.expected:,}", "ink", 12.5, bold=True)
