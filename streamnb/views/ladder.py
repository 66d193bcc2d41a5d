"""Ladder: the optimizer's rules one at a time: the plan before each rung and after it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streamnb.optimize import optimize
from streamnb.plan import Node
from streamnb.rewrites import recorded

Told = tuple[object, ...]
REST = "the planner's other rewrites"


@dataclass(frozen=True, eq=False)
class Rung:
    """One rule applied to the whole plan: what it says, and the plan before and after."""

    rule: str
    before: Node
    after: Node


def rungs(written: Node) -> list[Rung]:
    """Return the rules that lead from the plan as written to the one that runs, in the order in which they are applied.

    A rule that moves an operator past several others is one rung. What another rung has done already is none.
    """
    with recorded() as rules:
        runs = optimize(written)
    found: list[Rung] = []
    plan = written
    for applied in rules:
        after = _replaced(plan, told(applied.before), applied.after)
        if after is not None and told(after) != told(plan):
            found.append(Rung(applied.rule, plan, after))
            plan = after
    return found if told(plan) == told(runs) else [*found, Rung(REST, plan, runs)]


def told(node: Node) -> Told:
    """Return a plan as what its operators say, so that two plans can be compared."""
    return (node.describe(), *map(told, node.inputs))


def _replaced(plan: Node, old: Told, new: Node) -> Node | None:
    """Return the plan with ``new`` in the place of the operators that say ``old``; None where nothing says so."""
    if told(plan) == old:
        return new
    inputs = [_replaced(below, old, new) for below in plan.inputs]
    if all(below is None for below in inputs):
        return None
    kept = tuple(below or before for below, before in zip(inputs, plan.inputs, strict=True))
    return replace(plan, inputs=kept)
