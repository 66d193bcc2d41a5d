"""Plan: the query as written and as it runs, side by side, with what each operator did."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

from streamnb.plan import Node
from streamnb.progress import Playable
from streamnb.rewrites import Applied
from streamnb.views.chart import big
from streamnb.views.labels import Page, along
from streamnb.views.ladder import Rung, rungs
from streamnb.views.plan_nodes import Box, Counter, Difference, boxes, compared, counters, differences
from streamnb.views.shapes import (
    Choice,
    Column,
    Figure,
    Grid,
    Part,
    Row,
    Shape,
    Sheet,
    dot,
    line,
    rect,
    table,
    text,
    upon,
)
from streamnb.views.view import Choices, View

_HIGH, _GAP, _TOP = 58, 30, 34
_LETTER = 7.0


def plan_sheet(
    written: Sequence[Box],
    runs: Sequence[Box],
    found: Sequence[Difference],
    work: Mapping[int, Counter],
    batch: int | None,
    *,
    ladder: Ladder | None = None,
) -> Sheet:
    """Lay out a plan as written and as it runs; ``work`` is by the number of the operator that runs.

    With a ``ladder`` that stands on a rung, these are the plans before and after one rule.
    """
    number = len(runs)
    title = f"{number} operator{'' if number == 1 else 's'} run, "
    title += (
        f"{len(found)} of them not where {'it was' if len(found) == 1 else 'they were'} written."
        if found
        else "as they are written."
    )
    rung = ladder.rung if ladder is not None else None
    if ladder is not None and rung is not None:
        title = f"Rule {ladder.on} of {len(ladder.rungs)}: {rung.rule}."
    heads = ("as written", "as it runs") if rung is None else ("before this rule", "after it")
    parts: list[Part] = [] if ladder is None else ladder.parts()
    parts.append(figure(written, runs, found, work, heads))
    if found:
        parts.append(_rules(runs, found))
    of = f" Numbers are those of batch {batch}; hover for all batches." if batch is not None else ""
    lead = (
        "Rows flow downward. A box with a bar on its left keeps state; "
        f"a hatched one is a function that the planner cannot look inside.{of}"
    )
    said = "; ".join(f"{box.number} {box.verb} {box.words}".strip() for box in runs)
    return Sheet(title, tuple(parts), f"{title} {said}", lead)


def figure(
    written: Sequence[Box],
    runs: Sequence[Box],
    found: Sequence[Difference],
    work: Mapping[int, Counter],
    heads: tuple[str, str] = ("as written", "as it runs"),
) -> Figure:
    """Draw one tree where both plans are the same, else two, with lines between what was moved."""
    deepest = max(box.row for box in (*written, *runs)) + 1
    height = _TOP + deepest * (_HIGH + _GAP)
    left, right = ((0.0, 350.0), (400.0, 360.0)) if found else ((0.0, 0.0), (0.0, 760.0))
    marks = {difference.number: n for n, difference in enumerate(found, 1)}
    shapes = list(_moves(written, runs, found, left, right))
    if found:
        shapes += [text(2, 16, heads[0], "ink", 13, bold=True), *_tree(written, left, {}, {})]
    shapes += [text(right[0] + 2, 16, heads[1], "ink", 13, bold=True), *_tree(runs, right, work, marks)]
    rows = [_told(box, work.get(box.number)) for box in runs]
    columns = ("number", "operator", "rows in", "rows out", "late", "keys", "ms")
    return Figure(_said(runs, heads[1]), height, tuple(shapes), table("Operators, all batches so far", columns, rows))


def _said(runs: Sequence[Box], what: str) -> str:
    return f"The plan {what}: " + ", then ".join(f"{box.verb} {box.words}".strip() for box in runs)


def _told(box: Box, did: Counter | None) -> tuple[Any, ...]:
    name = f"{box.verb} {box.words}".strip()
    if did is None:
        return box.number, name, None, None, None, None, None
    return box.number, name, did.all_in, did.all_out, did.all_late, did.state, round(did.all_ms, 1)


def _tree(
    found: Sequence[Box], span: tuple[float, float], work: Mapping[int, Counter], marks: Mapping[int, int]
) -> list[Shape]:
    places = {box.number: _place(box, found, span) for box in found}
    edges = [(number, box.number) for box in found for number in box.inputs]
    lines = {edge: _line(places[edge[0]], places[edge[1]]) for edge in edges}
    shapes: list[Shape] = []
    for (above, below), points in lines.items():
        did = work.get(above)
        wide = 1.2 if did is None else 1.2 + 1.6 * math.log10(1 + did.rows_out)
        shapes.append(line(points, "second" if {above, below} & marks.keys() else "muted", round(wide, 1)))
    taken = [(x, y, x + wide, y + _HIGH) for x, y, wide in places.values()]
    taken += [box for points in lines.values() for box in along(points)]
    page = Page(span[0], 0, span[0] + span[1] + 8, 1e4, taken)
    for (above, _), points in lines.items():
        shapes += _counted(page, points, found[above - 1], work.get(above))
    for box in found:
        drawn = _box(box, places[box.number], work.get(box.number), marks.get(box.number))
        name = f"{span[0]:.0f} {box.verb} {box.words} {sum(_same(box, b) for b in found[: box.number])}"
        shapes += [{**shape, "id": f"{name} {n}"} for n, shape in enumerate(drawn)]
    return shapes


def _same(one: Box, other: Box) -> bool:
    return (one.verb, one.words) == (other.verb, other.words)


def _place(box: Box, found: Sequence[Box], span: tuple[float, float]) -> tuple[float, float, float]:
    """Return left, top and width of a box."""
    leaves = sum(not b.inputs for b in found)
    width = min(340.0, span[1] / leaves - 12)
    middle = span[0] + box.column * span[1] if leaves > 1 else span[0] + width / 2 + 2
    return middle - width / 2, _TOP + box.row * (_HIGH + _GAP), width


def _line(above: tuple[float, float, float], below: tuple[float, float, float]) -> list[tuple[float, float]]:
    return [(above[0] + above[2] / 2, above[1] + _HIGH), (below[0] + below[2] / 2, below[1])]


def _counted(page: Page, points: Sequence[tuple[float, float]], box: Box, did: Counter | None) -> list[Shape]:
    """Write what goes along an edge beside its upper or its lower end, in full or in short, where there is room."""
    columns = f"{box.columns} column{'' if box.columns == 1 else 's'}"
    rows = "" if did is None else f"{big(did.rows_out)} row{'' if did.rows_out == 1 else 's'} × "
    short = columns if did is None else f"{big(did.rows_out)} × {box.columns}"
    (x0, y0), (x1, y1) = points
    ends = [(x0 + (x1 - x0) * high / (y1 - y0), y0 + high) for high in (_GAP / 2, y1 - y0 - _GAP / 2)]
    for words in (f"{rows}{columns}", short):
        for end in ends:
            found = page.put(end, 8, words, "muted", 11.5, halo=True, tip=f"{rows}{columns}")
            if found:
                return found
    return []


def _box(box: Box, place: tuple[float, float, float], did: Counter | None, mark: int | None) -> list[Shape]:
    x, y, width = place
    tip = f"{box.number} {box.verb} {box.words}".strip() + (f"\n{_all(did)}" if did else "")
    shapes = [rect(x, y, width, _HIGH, "strip", line="second" if mark else "muted", stroke=1.8 if mark else 1, r=5,
                   hatch="muted" if box.opaque else None, tip=tip)]  # fmt: skip
    if box.keeps:
        shapes.append(rect(x, y, 5, _HIGH, "ontime", r=2, tip=tip))
    room = int((width - 24) / _LETTER)
    shapes.append(text(x + 14, y + 19, box.verb, "ink", 13, bold=True))
    shapes.append(text(x + 14, y + 35, _cut(box.words, room), "muted", 12, tip=tip))
    if did is not None:
        shapes.append(
            text(x + 14, y + 51, _cut(_now(did), room), "ontime_text" if not did.late else "dropped_text", 12)
        )
    if mark:
        shapes += [
            dot(x + width - 14, y + 14, 9, "second"),
            text(x + width - 14, y + 18, str(mark), upon("second"), 12, anchor="middle", bold=True),
        ]
    return shapes


def _cut(words: str, room: int) -> str:
    return words if len(words) <= room else words[: max(room - 1, 1)] + "…"


def _now(did: Counter) -> str:
    late = f", {did.late:,} late" if did.late else ""
    state = "" if did.state is None else f", {big(did.state)} key{'' if did.state == 1 else 's'}"
    one = "" if did.rows_out == 1 else "s"
    return f"{big(did.rows_in)} → {big(did.rows_out)} row{one}{late}{state}, {did.ms:.1f} ms"


def _all(did: Counter) -> str:
    return f"all batches: {did.all_in:,} → {did.all_out:,} rows, {did.all_late:,} late, {did.all_ms:,.1f} ms"


def _moves(
    written: Sequence[Box], runs: Sequence[Box], found: Sequence[Difference], left: tuple[float, float],
    right: tuple[float, float],
) -> list[Shape]:  # fmt: skip
    shapes: list[Shape] = []
    for difference in found:
        if difference.written is not None:
            x0, y0, width = _place(written[difference.written - 1], written, left)
            x1, y1, _ = _place(runs[difference.number - 1], runs, right)
            start, end = (x0 + width, y0 + _HIGH / 2), (x1, y1 + _HIGH / 2)
            shapes.append(line([start, (start[0] + 14, start[1]), (end[0] - 14, end[1]), end], "second", 1.6, "5 3"))
    return shapes


def _rules(runs: Sequence[Box], found: Sequence[Difference]) -> Grid:
    rows = []
    for n, difference in enumerate(found, 1):
        box = runs[difference.number - 1]
        rows.append(Row((str(n), difference.rule, difference.what, f"{box.verb} {box.words}".strip())))
    columns = (Column(""), Column("rule"), Column("so this is"), Column("operator"))
    return Grid("What the planner changed, and by which rule", columns, tuple(rows))


class Ladder:
    """The planner's rules, and the one that the reader stands on; 0: all of them at once."""

    def __init__(self, written: Node) -> None:
        self.written = written
        self.rungs: list[Rung] = rungs(written)
        self.on = 0

    @property
    def rung(self) -> Rung | None:
        """Return the rule looked at."""
        return self.rungs[self.on - 1] if self.on else None

    def hear(self, name: str, value: Any) -> None:
        """Stand on a rung."""
        if name in {"rung", "pick"} and 0 <= int(value) <= len(self.rungs):
            self.on = int(value)

    def each(self, lay_out: Callable[[], list[Sheet]]) -> Choices:
        """Return what is laid out on every rung but the one stood on, for a page where nobody answers."""
        stood, found = self.on, dict[str, list[Sheet]]()
        for number in range(len(self.rungs) + 1):
            if number == stood:
                continue
            self.on = number
            sheets = lay_out()
            found[str(self.on)] = sheets[:1] if all(sheet == sheets[0] for sheet in sheets) else sheets
        self.on = stood
        return {"rung": found} if self.rungs else {}

    def parts(self) -> list[Part]:
        """Return the choice of a rung; none where there is no rule to step through."""
        if not self.rungs:
            return []
        told = ((str(n), f"{n}. {rung.rule}") for n, rung in enumerate(self.rungs, 1))
        return [Choice("rung", "rules, one at a time", (("0", "all at once"), *told), str(self.on))]

    def sheet(self, work: Mapping[int, Counter], batch: int | None) -> Sheet:
        """Lay out the plans on both sides of the rung; the counters are those of the plan that runs."""
        rung = self.rung
        if rung is None:
            from streamnb.optimize import optimize

            runs = optimize(self.written)
            return plan_sheet(boxes(self.written), boxes(runs), differences(self.written), work, batch, ladder=self)
        before, after = boxes(rung.before), boxes(rung.after)
        last = self.on == len(self.rungs)
        found = compared(before, after, [Applied(rung.rule, rung.before, rung.after)])
        return plan_sheet(before, after, found, work if last else {}, batch if last else None, ladder=self)


class Plan(View):
    """The plan of a query, with the work of the batch looked at."""

    name = "plan"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self._begin()

    def _begin(self) -> None:
        """Look at the plan that the query has now; it may be changed while it runs."""
        self.ladder = Ladder(self.query.plans[0])  # type: ignore[attr-defined]  # a Query

    def sheet(self, at: int) -> Sheet:
        """Lay out the plan with the numbers up to a batch."""
        if self.query.plans[0] is not self.ladder.written:  # type: ignore[attr-defined]  # a Query
            self._begin()
        if at < 0:
            return self.ladder.sheet({}, None)
        trace = self.query.trace[at]
        return self.ladder.sheet(counters(trace), trace.batch_id)

    def hear(self, name: str, value: Any) -> None:
        """Stand on a rung of the planner's rules."""
        self.ladder.hear(name, value)

    def choices(self, places: Sequence[int]) -> Choices:
        """Return the sheets of every rung."""
        return self.ladder.each(lambda: [self.sheet(at) for at in places])


class WrittenPlan:
    """The plan of a frame that does not run."""

    def __init__(self, plan: Node) -> None:
        self.ladder = Ladder(plan)

    def sheet(self) -> Sheet:
        """Lay out the plan."""
        return self.ladder.sheet({}, None)

    def hear(self, name: str, value: Any) -> None:
        """Stand on a rung of the planner's rules."""
        self.ladder = copy(self.ladder)  # that of another copy of this figure stays
        self.ladder.hear(name, value)
