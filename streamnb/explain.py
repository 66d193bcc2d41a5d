"""A plan as text: numbered verbs, inputs first."""

from __future__ import annotations

from streamnb.plan import Node


def explain(plan: Node, optimized: Node | None = None) -> str:
    """Return a plan as text, and below it the plan that runs where that differs.

    ``keeps`` before a verb marks memory; ``←`` behind it names the inputs, where they are not the line above.
    """
    text = _lines(plan)
    runs = text if optimized is None else _lines(optimized)
    return "\n".join(text if runs == text else [*text, "", "runs as", *runs])


def _lines(plan: Node) -> list[str]:
    lines: list[str] = []
    _number(plan, lines)
    return lines


def _number(node: Node, lines: list[str]) -> int:
    inputs = [_number(below, lines) for below in node.inputs]
    above = "" if inputs in ([], [len(lines)]) else f"  ← {', '.join(map(str, inputs))}"
    lines.append(f"{len(lines) + 1:>3}  {'keeps ' if node.remembers else ''}{node.describe()}{above}")
    return len(lines)
