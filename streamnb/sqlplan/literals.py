"""Constants: durations and times."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from sqlglot import exp

from streamnb.errors import PlanError
from streamnb.sqlplan.parse import text, unsupported
from streamnb.time import duration


def span(node: exp.Expr, verb: str) -> dt.timedelta:
    """Return a duration: ``INTERVAL '1' HOUR``, ``INTERVAL 1 HOUR 30 MINUTES``, ``'1 hour'``."""
    if isinstance(node, exp.Add):
        return span(node.this, verb) + span(node.expression, verb)
    if isinstance(node, exp.Neg):
        return -span(node.this, verb)
    if isinstance(node, exp.Interval):
        if isinstance(node.unit, exp.IntervalSpan):
            raise unsupported(text(node), "write one unit, such as INTERVAL '90' MINUTE")
        spelled = f"{node.this.name} {node.unit.name if node.unit else ''}"
    elif isinstance(node, exp.Literal) and node.is_string:
        spelled = node.name
    else:
        raise PlanError(f"{verb}: {text(node)} is no duration; write INTERVAL '1' HOUR.", code="DURATION_INVALID")
    return dt.timedelta(microseconds=duration(spelled, verb, months=verb == "with_watermark"))


def is_span(node: exp.Expr) -> bool:
    """Tell whether a node is an interval, or intervals added up."""
    if isinstance(node, exp.Add):
        return is_span(node.this) and is_span(node.expression)
    return isinstance(node, exp.Interval) or (isinstance(node, exp.Neg) and is_span(node.this))


def time_literal(written: str, like: pl.DataType | None = None) -> dt.datetime:
    """Return a time as a column like ``like`` holds it; without an offset it is UTC where the column has a zone."""
    try:
        at = dt.datetime.fromisoformat(written)
    except ValueError:
        raise PlanError(
            f"sql: {written!r} is not a time; write TIMESTAMP '2013-02-08 17:28:00'.", code="EXPRESSION_INVALID"
        ) from None
    if isinstance(like, pl.Datetime) and like.time_zone is not None:
        return (at.replace(tzinfo=dt.UTC) if at.tzinfo is None else at).astimezone(ZoneInfo(like.time_zone))
    return at if at.tzinfo is None else at.astimezone(dt.UTC).replace(tzinfo=None)


def constant(node: exp.Expr, like: pl.DataType | None = None) -> Any:
    """Return the value of a literal; text beside a time, of the type ``like``, is a time, as in Spark."""
    if is_time(node) or (like is not None and is_text(node)):
        return time_literal(written(node), like)
    if is_text(node):
        return node.name
    return int(node.name) if node.is_int else float(node.name)


def date_literal(written: str) -> dt.date:
    """Return a date."""
    try:
        return dt.date.fromisoformat(written)
    except ValueError:
        raise PlanError(
            f"sql: {written!r} is not a date; write DATE '2013-02-08'.", code="EXPRESSION_INVALID"
        ) from None


def count_literal(node: exp.Expr, what: str) -> int:
    """Return a whole number."""
    if not (isinstance(node, exp.Literal) and node.is_int):
        raise unsupported(f"{what} {text(node)}", "write a whole number")
    return int(node.name)


def is_constant(node: exp.Expr) -> bool:
    """Tell whether a node is a number, text or a time."""
    return isinstance(node, exp.Literal) or is_time(node)


def is_text(node: exp.Expr) -> bool:
    """Tell whether a node is text in quotes."""
    return isinstance(node, exp.Literal) and node.is_string


def is_time(node: exp.Expr) -> bool:
    """Tell whether a node is ``TIMESTAMP '…'``."""
    return isinstance(node, exp.Cast) and is_text(node.this) and node.to.this.name.startswith("TIMESTAMP")


def written(node: exp.Expr) -> str:
    """Return the text of a literal, or of a time."""
    return node.name if isinstance(node, exp.Literal) else node.this.name
