"""Race: one question asked in two APIs, what a planner sees of each, and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.views.chart import big
from streamnb.views.plan_nodes import Box, Counter
from streamnb.views.shapes import Figure, Shape, Sheet, line, rect, table, text

_HIGH, _GAP, _TOP, _WIDE = 50, 30, 44, 340.0
_RIGHT = 404.0
_LETTER = 6.6


@dataclass(frozen=True)
class Objects:
    """A chain of functions on objects: each operator's name, and how many elements came out of it."""

    names: tuple[str, ...]
    elements: tuple[int, ...]
    making: float
    """Milliseconds of processor time for making objects of rows."""
    running: float
    """Milliseconds of processor time in the functions."""


@dataclass(frozen=True)
class Columns:
    """A plan as it runs, the work of its operators by number, and which columns of the source it needs."""

    boxes: tuple[Box, ...]
    work: dict[int, Counter]
    needed: tuple[str, ...]
    running: float


def race_sheet(objects: Objects, columns: Columns) -> Sheet:
    """Lay out both, and the time of each."""
    ours = objects.making + objects.running
    ratio = ours / columns.running
    title = f"Columns take 1/{ratio:,.0f} of the processor time." if ratio >= 1.5 else "Both take about as long."
    lead = (
        "On the left rows become objects, and what the functions do with them nobody can know before they run. "
        f"On the right the plan is known: it needs {len(columns.needed)} of {columns.boxes[0].columns} columns, "
        f"{', '.join(columns.needed) or 'none'}."
    )
    spoken = f"{title} Objects: {ours:,.0f} milliseconds. Columns: {columns.running:,.1f} milliseconds."
    return Sheet(title, (_trees(objects, columns), _times(objects, columns)), spoken, lead)


def _trees(objects: Objects, columns: Columns) -> Figure:
    deepest = max(len(objects.names), len(columns.boxes))
    height = _TOP + deepest * (_HIGH + _GAP)
    left = [(name, "", big(n) + " objects") for name, n in zip(objects.names, objects.elements, strict=True)]
    right = [(box.verb, box.words, _flow(box, columns.work.get(box.number))) for box in columns.boxes]
    drawn = [
        text(2, 16, "objects: nobody can look inside", "ink", 13, bold=True),
        *_chain(left, 2, opaque=True),
        text(_RIGHT, 16, "columns: the plan as it runs", "ink", 13, bold=True),
        *_chain(right, _RIGHT, opaque=False),
    ]
    rows = [("objects", name, n) for name, n in zip(objects.names, objects.elements, strict=True)]
    rows += [("columns", f"{b.verb} {b.words}".strip(), columns.work[b.number].all_out) for b in columns.boxes]
    behind = table("What comes out of each operator", ("API", "operator", "out"), rows)
    return Figure("The same question as objects and as columns", height, tuple(drawn), behind)


def _flow(box: Box, did: Counter | None) -> str:
    return f"{big(did.all_out if did else 0)} rows × {box.columns} columns"


def _chain(steps: Sequence[tuple[str, str, str]], left: float, *, opaque: bool) -> list[Shape]:
    drawn: list[Shape] = []
    for n, (name, words, flow) in enumerate(steps):
        top = _TOP - 12 + n * (_HIGH + _GAP)
        middle, low = left + _WIDE / 2, top + _HIGH
        hatch = "muted" if opaque and n else None
        drawn.append(rect(left, top, _WIDE, _HIGH, "strip", line="muted", stroke=1, r=5, hatch=hatch, tip=name))
        drawn.append(text(left + 14, top + 20, name, "ink", 13, bold=True, halo=opaque))
        drawn.append(text(left + 14, top + 38, _cut(words), "muted", 12, tip=words or name))
        drawn.append(line([(middle, low), (middle, low + _GAP)], "muted", 1.6))
        drawn.append(text(middle + 8, low + _GAP / 2 + 4, flow, "muted", 11.5))
    return drawn


def _cut(words: str) -> str:
    room = int((_WIDE - 24) / _LETTER)
    return words if len(words) <= room else words[: room - 1] + "…"


def _times(objects: Objects, columns: Columns) -> Figure:
    """Draw the processor time of both as bars of one scale."""
    whole = max(objects.making + objects.running, columns.running)
    scale = 520 / whole
    parts = [
        ("objects", "making objects", objects.making, "second", 30.0, 0.0),
        ("objects", "your functions", objects.running, "late", 30.0, objects.making),
        ("columns", "the plan", columns.running, "ontime", 66.0, 0.0),
    ]
    drawn: list[Shape] = [text(2, 14, "processor time", "ink", 13, bold=True)]
    for api, name, ms, role, top, since in parts:
        drawn.append(
            rect(80 + since * scale, top, max(ms * scale, 1.5), 20, role, r=2, tip=f"{api}, {name}: {ms:,.1f} ms")
        )
    for api, ms, top in (
        ("objects", objects.making + objects.running, 30.0),
        ("columns", columns.running, 66.0),
    ):
        drawn.append(text(70, top + 15, api, "ink", 12.5, anchor="end"))
        drawn.append(text(90 + ms * scale, top + 15, f"{ms:,.1f} ms", "ink", 13, bold=True))
    drawn.append(rect(80, 100, 11, 11, "second", r=2))
    drawn.append(text(97, 110, "making objects of rows"))
    drawn.append(rect(250, 100, 11, 11, "late", r=2))
    drawn.append(text(267, 110, "your functions, one element after the other"))
    rows = [(api, name, round(ms, 2)) for api, name, ms, *_ in parts]
    return Figure("Processor time", 122, tuple(drawn), table("Processor time", ("API", "part", "ms"), rows))
