"""Rewrites of a plan, remembered: which rule turned what into what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from streamnb.plan import Node

Rule = TypeVar("Rule", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Applied:
    """One rule that changed a plan: what it does, in words, and the plan before and after."""

    rule: str
    before: Node
    after: Node


_record: ContextVar[list[Applied] | None] = ContextVar("record", default=None)


def rule(words: str) -> Callable[[Rule], Rule]:
    """Name a function from a node to a node; what it changes is remembered while :func:`recorded` is at work."""

    def named(function: Rule) -> Rule:
        @wraps(function)
        def run(plan: Node, *more: Any) -> Any:
            after = function(plan, *more)
            record = _record.get()
            if record is not None and after is not plan:
                record.append(Applied(words, plan, after))
            return after

        return run  # type: ignore[return-value]

    return named


@contextmanager
def recorded() -> Iterator[list[Applied]]:
    """Collect the rules that are applied in here, in their order."""
    found: list[Applied] = []
    token = _record.set(found)
    try:
        yield found
    finally:
        _record.reset(token)
