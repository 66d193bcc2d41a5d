"""Windows of time, as a function of GROUP BY and SELECT, and as a table of FROM."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import narwhals as nw
from sqlglot import exp

from streamnb.ops.session import session_window
from streamnb.sqlplan.literals import span
from streamnb.sqlplan.parse import WINDOW_TABLES, text, unsupported
from streamnb.windows import TimeKey, window

FUNCTIONS = ("WINDOW", "SESSION_WINDOW")
_FORMS = {
    "WINDOW": "WINDOW(time, size[, slide[, start]])",
    "SESSION_WINDOW": "SESSION_WINDOW(time, gap)",
    "TUMBLE": "TUMBLE(table, time, size[, start])",
    "HOP": "HOP(table, time, slide, size[, start])",
    "SESSION": "SESSION(table, time, gap)",
}
Translate = Callable[[exp.Expr], nw.Expr]


def is_window(node: exp.Expr) -> bool:
    """Tell whether a node is ``window(…)`` or ``session_window(…)``."""
    return isinstance(node, exp.Anonymous) and node.name.upper() in FUNCTIONS


def is_window_table(node: exp.Expr) -> bool:
    """Tell whether a node is ``TUMBLE(…)``, ``HOP(…)`` or ``SESSION(…)``."""
    return isinstance(node, exp.Anonymous) and node.name.upper() in WINDOW_TABLES


def window_key(call: exp.Anonymous, translate: Translate) -> TimeKey:
    """Return the key of ``group_by`` that a function stands for."""
    name = call.name.upper()
    time, *rest = _arguments(call, 2, 4 if name == "WINDOW" else 2)
    if name == "SESSION_WINDOW":
        return session_window(translate(time), _gap(rest[0], translate))
    size, slide, start = _spans(rest)
    return window(translate(time), size, slide, start or "0s")


def _gap(node: exp.Expr, translate: Translate) -> Any:
    constant = isinstance(node, exp.Interval | exp.Literal)
    return span(node, "session_window") if constant else translate(node)


def table_key(call: exp.Anonymous, translate: Translate) -> TimeKey:
    """Return the window of a table of FROM; the first argument is that table."""
    name = call.name.upper()
    arguments = _arguments(call, 4 if name == "HOP" else 3, {"TUMBLE": 4, "HOP": 5, "SESSION": 3}[name])
    time, *rest = arguments[1:]
    if isinstance(time, exp.Anonymous) and time.name.upper() == "DESCRIPTOR":
        (time,) = time.expressions
    if name == "SESSION":
        return session_window(translate(time), span(rest[0], "session_window"))
    if name == "TUMBLE":
        size, start, _ = _spans(rest)
        return window(translate(time), size, None, start or "0s")
    slide, size, start = _spans(rest)
    return window(translate(time), size, slide, start or "0s")


def _arguments(call: exp.Anonymous, least: int, most: int) -> Sequence[Any]:
    if not least <= len(call.expressions) <= most:
        raise unsupported(text(call), f"write {_FORMS[call.name.upper()]}")
    return call.expressions


def _spans(nodes: Sequence[exp.Expr]) -> list[Any]:
    return [*(span(node, "window") for node in nodes), None, None][:3]
