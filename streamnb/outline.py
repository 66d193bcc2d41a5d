"""The fixed facts of a plan that figures need."""

from __future__ import annotations

import datetime as dt

from streamnb.ops.group_by import GroupBy
from streamnb.ops.read import Read
from streamnb.ops.with_watermark import WithWatermark
from streamnb.plan import Node
from streamnb.progress import Outline


def outline(plan: Node, name: str, output_mode: str) -> Outline:
    """Return the outline of a plan: of its first watermark and its first windowed aggregation."""
    nodes = list(plan.walk())
    mark = next((n for n in nodes if isinstance(n, WithWatermark)), None)
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
        delay=dt.timedelta(microseconds=mark.delay) if mark else None,
        window=window,
        keys=tuple(grouped.keys) if grouped else (),
        values=tuple(grouped.aggregates) if grouped else (),
    )
