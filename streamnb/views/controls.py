"""Controls: the buttons, the batch slider and the numbers of a query."""

from __future__ import annotations

import datetime as dt
import math
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import traitlets

from streamnb.views.theme import css_variables
from streamnb.views.widget import Widget, synced

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamnb.progress import Playable, Trace

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Batches a second that may be chosen."""

_HERE = Path(__file__).parent


class Number(NamedTuple):
    """One number of the strip: what it is called, how it reads, and a sentence for who asks."""

    label: str
    text: str
    hint: str


def numbers(query: Playable, at: int) -> list[Number]:
    """Return the numbers of the batch at position ``at`` of the trace; dashes where there is none yet."""
    if not 0 <= at < len(query.trace):
        return [Number(label, "–", hint) for label, _, hint in _NUMBERS]
    return [Number(label, read(query, at), hint) for label, read, hint in _NUMBERS]


def _rate(query: Playable, at: int) -> str:
    rate = query.progress[at].processed_rows_per_second
    return f"{rate:,.0f}" if math.isfinite(rate) else "–"


def _watermark(query: Playable, at: int) -> str:
    return short_time(_standing(query.trace[at]), query.trace[0].time)


def _lag(query: Playable, at: int) -> str:
    trace, watermark = query.trace[at], _standing(query.trace[at])
    return "–" if watermark is None else short_duration(_aware_alike(trace.time, watermark) - watermark)


def _standing(trace: Trace) -> dt.datetime | None:
    """Return the watermark after a batch; None as long as it stands at 1970, where no row has moved it."""
    watermark = trace.watermark_after
    return None if watermark is None or watermark.replace(tzinfo=None) == dt.datetime(1970, 1, 1) else watermark  # noqa: DTZ001


def _aware_alike(time: dt.datetime, other: dt.datetime) -> dt.datetime:
    if (time.tzinfo is None) == (other.tzinfo is None):
        return time
    return time.replace(tzinfo=None) if other.tzinfo is None else time.replace(tzinfo=dt.UTC)


def _state_rows(query: Playable, at: int) -> str:
    return f"{sum(operator.num_rows_total for operator in query.progress[at].state_operators):,}"


def _dropped(query: Playable, at: int) -> str:
    here = sum(operator.num_rows_dropped_by_watermark for operator in query.progress[at].state_operators)
    return f"{query.trace[at].so_far.late:,}" + (f" (+{here:,})" if here else "")


_NUMBERS: tuple[tuple[str, Callable[[Playable, int], str], str], ...] = (
    ("batch", lambda query, at: f"{query.trace[at].batch_id:,}", "The batch you look at."),
    ("rows", lambda query, at: f"{query.progress[at].num_input_rows:,}", "Rows that this batch read."),
    ("rows/s", _rate, "Rows a second while this batch was processed."),
    ("watermark", _watermark, "The event time that the stream is done with, after this batch."),
    ("lag", _lag, "Processing time minus watermark: how far the promise trails behind now."),
    ("state rows", _state_rows, "Rows that the query remembers after this batch."),
    ("dropped", _dropped, "Rows that came too late so far (in this batch)."),
)


def short_time(time: dt.datetime | None, day: dt.datetime) -> str:
    """Return ``10:31``, with seconds where there are any, and with the date unless it is that of ``day``."""
    if time is None:
        return "–"
    clock = f"{time:%H:%M:%S}" if time.second else f"{time:%H:%M}"
    return clock if time.date() == day.date() else f"{time:%b} {time.day} {clock}"


def short_duration(length: dt.timedelta) -> str:
    """Return a duration by its two largest units, such as ``5 h 59 min``; one of less than a second as ``40 ms``."""
    if dt.timedelta(0) < abs(length) < dt.timedelta(seconds=1):
        return f"{length / dt.timedelta(milliseconds=1):,.0f} ms"
    minutes, seconds = divmod(round(abs(length).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")) if n]
    sign = "-" if length < dt.timedelta(0) else ""
    return sign + " ".join(parts[:2] or ["0 s"])


def report(error: BaseException | None) -> dict[str, str] | None:
    """Return an exception as the text of the error panel: one line, and the traceback for who opens it."""
    if error is None:
        return None
    return {"title": f"{type(error).__name__}: {error}", "trace": "".join(traceback.format_exception(error))}


class Controls(Widget):
    """The buttons of one query; what is pressed goes to ``obey(command, value)``, on the thread of the message.

    Commands are ``back``, ``step``, ``play``, ``pause``, ``first``, ``last``, ``rewind``, and, with a value, ``speed``
    (batches a second) and ``jump`` (a position in the trace). ``shown`` is all there is to see.
    """

    _esm = _HERE / "controls.js"
    _css = css_variables() + (_HERE / "controls.css").read_text(encoding="utf-8")

    shown = synced(traitlets.Dict())
    speeds = synced(traitlets.List(list(SPEEDS)))

    def __init__(self, obey: Callable[[str, Any], None]) -> None:
        self._obey = obey
        super().__init__()

    def show(self, query: Playable, at: int, speed: float) -> None:
        """Show the query as it stands, looking at position ``at`` of its trace."""
        newest = len(query.trace) - 1
        self.shown = {
            "name": query.name,
            "status": status(query),
            "at": at,
            "newest": newest,
            "batches": [query.trace[0].batch_id, query.trace[newest].batch_id] if newest >= 0 else None,
            "speed": speed,
            "numbers": [number._asdict() for number in numbers(query, at)],
            "waits": getattr(query, "troubles", []),
            "error": report(query.exception),
        }

    def complain(self, error: BaseException) -> None:
        """Show an error of the picture itself, with everything else as it was."""
        self.shown = {**self.shown, "error": report(error)}

    def hear(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        """Pass a pressed button on."""
        self._obey(content["command"], content.get("value"))


def status(query: Playable) -> str:
    """Return one of ``ready``, ``playing``, ``paused``, ``done``, ``stopped``, ``failed``."""
    if query.status == "idle":
        return "paused" if query.trace else "ready"
    return query.status
