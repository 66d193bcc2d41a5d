"""A context variable with a value for the length of a call."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import TypeVar

Value = TypeVar("Value")
Found = TypeVar("Found")


def within(variable: ContextVar[Value], value: Value, call: Callable[[], Found]) -> Found:
    """Return what a call gives while a variable has a value.

    The value stands in a context of its own: wherever an interrupt comes, nothing of it is left afterwards.
    """
    context = copy_context()
    context.run(variable.set, value)
    return context.run(call)
