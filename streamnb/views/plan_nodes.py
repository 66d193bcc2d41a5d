"""A plan as boxes: where each operator stands, what it kept of the written plan, and which rule made the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.optimize import optimize
from streamnb.plan import Node
from streamnb.progress import Trace
from streamnb.rewrites import Applied, recorded


@dataclass(frozen=True)
class Box:
    """One operator: ``row`` counts from the sources down, ``column`` is its share of the width from the left.

    ``number`` counts as in the traces, from 1, inputs first; ``inputs`` are numbers.
    """

    number: int
    verb: str
    words: str
    inputs: tuple[int, ...]
    row: int
    column: float
    keeps: bool
    opaque: bool
    columns: int


@dataclass(frozen=True)
class Difference:
    """An operator that stands otherwise than written: its number as it runs and as written, and the rule."""

    number: int
    written: int | None
    rule: str
    what: str


@dataclass(frozen=True)
class Counter:
    """What an operator did in one batch, and from the first to that one."""

    rows_in: int = 0
    rows_out: int = 0
    ms: float = 0.0
    late: int = 0
    state: int | None = None
    all_in: int = 0
    all_out: int = 0
    all_ms: float = 0.0
    all_late: int = 0


def boxes(plan: Node) -> list[Box]:
    """Return the operators of a plan, each branch in a column of its own."""
    found: list[Box] = []
    leaves = max(1, sum(not node.inputs for node in plan.walk()))
    _place(plan, found, [0], leaves)
    return found


def _place(node: Node, found: list[Box], leaf: list[int], leaves: int) -> Box:
    inputs = [_place(below, found, leaf, leaves) for below in node.inputs]
    if inputs:
        column = sum(box.column for box in inputs) / len(inputs)
    else:
        column = (leaf[0] + 0.5) / leaves
        leaf[0] += 1
    words = node.describe().removeprefix(node.verb).strip()
    row = max((box.row for box in inputs), default=-1) + 1
    found.append(
        Box(
            len(found) + 1, node.verb, words, tuple(box.number for box in inputs), row, column,
            node.remembers, node.verb in OPAQUE, len(node.schema),
        )
    )  # fmt: skip
    return found[-1]


OPAQUE = frozenset({"map_batches", "apply_in_pandas_with_state", "transform_with_state"})
"""Verbs that run a function of the user's: the planner cannot look inside."""


def differences(written: Node) -> list[Difference]:
    """Return what stands otherwise in the plan that runs than in the one written, and by which rule."""
    with recorded() as rules:
        runs = optimize(written)
    return compared(boxes(written), boxes(runs), rules)


def compared(written: Sequence[Box], runs: Sequence[Box], rules: Sequence[Applied]) -> list[Difference]:
    """Match the boxes of two plans by what they say and what is below them."""
    left, right = _with_below(written), _with_below(runs)
    unmatched = dict(enumerate(written, 1))
    same: dict[int, int] = {}
    for exact in (True, False):
        for box in runs:
            if box.number in same:
                continue
            match = next(
                (n for n, b in unmatched.items() if _alike(b, box) and (not exact or left[n] == right[box.number])),
                None,
            )
            if match is not None:
                same[box.number] = match
                del unmatched[match]
    found = []
    for box in runs:
        twin = same.get(box.number)
        if twin is None:
            found.append(Difference(box.number, None, _rule_of(box, rules, is_new=True), "new"))
        elif box.verb == "filter" and _rests_on(written[twin - 1], written) != _rests_on(box, runs):
            found.append(Difference(box.number, twin, _rule_of(box, rules, is_new=False), "moved"))
    return found


def _rests_on(box: Box, found: Sequence[Box]) -> tuple[str, str]:
    """Return the operator below a filter that is none."""
    while box.verb == "filter":
        box = found[box.inputs[0] - 1]
    return box.verb, box.words


def _alike(one: Box, other: Box) -> bool:
    return (one.verb, one.words) == (other.verb, other.words)


def _with_below(found: Sequence[Box]) -> dict[int, tuple[object, ...]]:
    told: dict[int, tuple[object, ...]] = {}
    for box in found:
        told[box.number] = (box.verb, box.words, *(told[n] for n in box.inputs))
    return told


def _rule_of(box: Box, rules: Sequence[Applied], *, is_new: bool) -> str:
    """Return the first rule that made an operator, or put it elsewhere."""
    text = f"{box.verb} {box.words}".strip()
    places = [(_where(r.before, text), _where(r.after, text), r.rule) for r in rules]
    changed = [(not before, rule) for before, after, rule in places if after and after != before]
    return next((rule for new, rule in changed if new == is_new), changed[0][1] if changed else "the planner's rewrite")


def _where(plan: Node, text: str) -> list[int]:
    """Return what is below each operator that reads so: how many operators."""
    return sorted(len(list(node.walk())) for node in plan.walk() if node.describe() == text)


def counters(trace: Trace) -> dict[int, Counter]:
    """Return what every operator did in a batch, and from the first to that one."""
    steps, sums = list(enumerate(trace.steps)), trace.so_far
    found: dict[int, Counter] = {}
    for work, total in zip(trace.work, sums.work or trace.work, strict=True):
        place, step = next(((n, s) for n, s in steps if s.operator == work.verb), (-1, None))
        late, all_late = (
            (0, 0) if step is None else (step.num_late, sums.late_by[place] if sums.late_by else step.num_late)
        )
        steps = [pair for pair in steps if pair[0] != place]
        found[work.number] = Counter(
            work.rows_in, work.rows_out, work.ms, late, step.num_rows_total if step else None,
            total.rows_in, total.rows_out, total.ms, all_late,
        )  # fmt: skip
    return found
