"""The fixed facts of a plan that figures need."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from streamnb.ops.group_by import GroupBy
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node
from streamnb.progress import Outline


def outline(plan: Node, name: str, output_mode: str) -> Outline:
    """Return the outline of a plan: of its first watermark and its first windowed aggregation."""
    nodes = list(plan.walk())
    mark = _mark(plan)
    grouped = next((n for n in nodes if isinstance(n, GroupBy) and n.window is not None), None)
    grouped = grouped or next((n for n in nodes if isinstance(n, GroupBy)), None)
    sources = [n.source for n in nodes if isinstance(n, Read)]
    arrival = getattr(sources[0], "arrival", None) if len(sources) == 1 else None
    window = grouped.window if grouped else None
    return Outline(
        name=name,
        output_mode=output_mode,
        event_time=mark.event_time if mark else grouped.time_name if grouped and window else None,
        arrival=arrival if mark is None or arrival in mark.schema else None,
        delay=_delay(mark),
        window=window,
        keys=tuple(grouped.keys) if grouped else (),
        values=tuple(grouped.aggregates) if grouped else (),
    )


def of_now(known: Outline, plan: Node) -> Outline:
    """Return an outline with the delay of now; itself, if that is what it has."""
    delay = _delay(_mark(plan))
    return known if delay == known.delay else replace(known, delay=delay)


def _mark(plan: Node) -> WithWatermark | None:
    return next((node for node in plan.walk() if isinstance(node, WithWatermark)), None)


def _delay(mark: WithWatermark | None) -> dt.timedelta | None:
    return None if mark is None else dt.timedelta(microseconds=mark.delay)
