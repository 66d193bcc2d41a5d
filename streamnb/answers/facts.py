"""Facts of one row's way: what was asked of it, who set a watermark, the fate of a window, what would have saved it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True)
class Check:
    """Something that the engine asked of a row. ``passed`` None: told, not asked."""

    operator: str
    text: str
    passed: bool | None
    note: str = ""


@dataclass(frozen=True)
class Setter:
    """The row that set a watermark: ``watermark = event_time - delay``.

    It came in batch ``batch_id``; since it was the newest of its input, ``input`` (from 1), the watermark moved when
    that batch ended.
    """

    row: Mapping[str, Any]
    batch_id: int
    event_time: pd.Timestamp
    delay: pd.Timedelta
    watermark: pd.Timestamp
    input: int


@dataclass(frozen=True)
class Moment:
    """A window after a batch: its ``values`` then, the rows that the batch ``added``, and those it dropped as late."""

    batch_id: int
    time: pd.Timestamp
    values: Mapping[str, Any]
    added: int
    late: int


@dataclass(frozen=True)
class WindowFate:
    """One window of a row.

    ``fate`` is ``"late"`` (it had closed, ``late_by`` before the watermark), ``"open"`` or ``"closed"`` (with the row
    in it). ``closed_in`` is the batch that ended it at ``closed_at``. An open window closes when the watermark reaches
    its end: after a row with event time ``closes_after``, and one more batch. ``life`` tells of it batch by batch.
    """

    operator: str
    start: pd.Timestamp
    end: pd.Timestamp
    fate: Literal["late", "open", "closed"]
    late_by: pd.Timedelta | None = None
    closed_in: int | None = None
    closed_at: pd.Timestamp | None = None
    closes_after: pd.Timestamp | None = None
    life: tuple[Moment, ...] = ()


@dataclass(frozen=True)
class Rescue:
    """One change that would have counted a row that was dropped; computed by running the batches again.

    ``what`` is ``"delay"`` (``value``: the delay that just does not do, so it must be longer), ``"earlier"``
    (``value``: the last batch in time) or ``"mode"`` (``value``: the output mode).
    """

    what: Literal["delay", "earlier", "mode"]
    value: Any
    text: str
    note: str = ""


@dataclass(frozen=True)
class Emission:
    """A batch that gave out a result."""

    batch_id: int
    time: pd.Timestamp
