"""The plane: what is drawn for a trace, told as JSON."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from streamnb.progress import Outline, StepTrace, Trace
from streamnb.time import Window
from streamnb.views.plane import PlaneLayout, plane

HOUR = 3_600_000
DAY = dt.datetime(2013, 2, 8)


def at(clock: str) -> dt.datetime:
    return DAY + dt.timedelta(hours=int(clock[:2]), minutes=int(clock[3:]))


def ms(clock: str) -> float:
    return (at(clock) - dt.datetime(1970, 1, 1)) / dt.timedelta(milliseconds=1)


FLIGHTS = Outline(
    "landings", "append", event_time="dep", arrival="arr", delay=dt.timedelta(hours=3),
    window=Window(3600 * 10**6, 3600 * 10**6), values=("n",),
)  # fmt: skip
