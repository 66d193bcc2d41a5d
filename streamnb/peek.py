"""peek: a look at a source before any query is written. Rows, columns, and how late rows come."""

from __future__ import annotations

import html
import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pandas as pd
import polars as pl

from streamnb.answers.cards import plural, table_html
from streamnb.connect import Source
from streamnb.errors import PlanError, column_not_found
from streamnb.frame import StreamFrame, from_files, stream
from streamnb.inputs import Inputs
from streamnb.ops.read import Read
from streamnb.patience import GLANCE
from streamnb.schema import polars_schema
from streamnb.sources.records import as_code, guess
from streamnb.time import SECOND, Duration, duration, spell

_MOST, _WIDEST = 10_000, 30
_STEPS = [
    duration(text, "peek")
    for text in ("0s", "1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d", "7d", "30d")
]


def peek(
    source: Source | StreamFrame | str | os.PathLike[str],
    n: int = 20,
    *,
    event_time: str | None = None,
    arrival: str | None = None,
    wait: Duration = "2 seconds",
) -> Peek:
    """Look at a source: its first rows, its columns as code to paste, and how late its rows come.

    Nothing is committed and nothing is taken away: a query that starts later sees the same rows. At most 10,000 rows
    are read; ``n`` of them are shown.

    Parameters
    ----------
    source
        A source, a frame that is read straight from one, or the pattern of ``from_files``.
    event_time
        The column with the time when something happened. None: the first datetime that is not the arrival.
    arrival
        The column with the time when it became known. None: the source's own, if it has one.
    wait
        How long to wait for ``n`` rows of a source that is still receiving.

    >>> import streamnb as sn
    >>> flights = sn.data.landings("JFK", "2013-02-08")
    >>> look = sn.peek(flights, event_time="dep")
    >>> look.lateness["delay"].tolist()[-3:], look.kept("3 hours") < look.kept("12 hours") == 1.0
    (['3 hours', '6 hours', '12 hours'], True)
    """
    found = _source(source)
    rows = _read(found, n, duration(wait, "peek") / SECOND)
    known = arrival or getattr(found, "arrival", None) or getattr(found, "received", None)
    known = known if arrival or known in rows.columns else None
    happened = event_time or _first_time(rows, known)
    for name in (event_time, arrival):
        _checked(name, rows)
    late = None if happened is None else _lateness(rows, happened, known)
    code = as_code(_guessed(rows.select(list(getattr(found, "fields", rows.columns)))))
    pasted = f"sn.from_files({os.fspath(source)!r}, {code})" if isinstance(source, str | os.PathLike) else code
    return Peek(rows.head(n).to_pandas(), len(rows), pasted, happened, known, late)


def _source(given: Any) -> Source:
    if isinstance(given, str | os.PathLike):
        given = from_files(os.fspath(given))
    node = (given if isinstance(given, StreamFrame) else stream(given)).node
    if not isinstance(node, Read):
        raise PlanError(
            f"peek: it looks at a source, and this frame begins with {node.verb}; peek before the first verb.",
            code="OPTION_INVALID",
        )
    return node.source


def _read(source: Source, n: int, seconds: float) -> pl.DataFrame:
    """Return up to ten thousand rows; wait for the first ``n``."""
    inputs, until, never = Inputs([source]), time.monotonic() + seconds, threading.Event()
    frames = [pl.DataFrame(schema=polars_schema("peek", source.schema))]
    try:
        while sum(map(len, frames)) < _MOST:
            planned = inputs.plan()
            if planned is not None:
                frames.append(inputs.read(planned.offsets)[id(source)])
                inputs.rewind(planned.offsets)
            elif sum(map(len, frames)) >= n or time.monotonic() > until or not hasattr(source, "status"):
                break
            else:
                never.wait(GLANCE)
    finally:
        inputs.ended.set()
    return pl.concat(frames).head(_MOST)


def _first_time(rows: pl.DataFrame, arrival: str | None) -> str | None:
    return next((n for n, t in rows.schema.items() if isinstance(t, pl.Datetime) and n != arrival), None)


def _checked(name: str | None, rows: pl.DataFrame) -> None:
    if name is None:
        return
    if name not in rows.columns:
        raise column_not_found("peek", name, rows.columns)
    if not isinstance(rows.schema[name], pl.Datetime):
        raise PlanError(
            f"peek: {name!r} is {rows.schema[name]}, not a datetime; name it so in schema=.", code="EVENT_TIME_TYPE"
        )


def _guessed(rows: pl.DataFrame) -> dict[str, Any]:
    """Return the columns; text that looks like times, or like JSON objects, as what it looks like."""
    if rows.columns[:1] == ["value"] and rows.schema["value"] == pl.String() and (inside := _objects(rows["value"])):
        return guess(inside)
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String()]
    return {**rows.schema, **guess([{name: row[name] for name in texts} for row in rows.head(1000).to_dicts()])}


def _objects(values: pl.Series) -> Sequence[Mapping[str, Any]]:
    """Return the JSON objects that texts hold; none if one of them is something else."""
    try:
        found = [json.loads(text) for text in values.drop_nulls().head(1000)]
    except ValueError:
        return []
    return found if all(isinstance(one, Mapping) for one in found) else []


@dataclass(frozen=True)
class Lateness:
    """How rows came: one of each row with an event time, in microseconds.

    ``behind`` is how far a row was behind the newest event time before it; ``delay`` the time from its event to its
    arrival, where that is known.
    """

    behind: pl.Series
    delay: pl.Series | None

    def kept(self, delay: int) -> float:
        return float((self.behind <= delay).mean() or 0.0)  # type: ignore[arg-type]


def _lateness(rows: pl.DataFrame, event_time: str, arrival: str | None) -> Lateness | None:
    ordered = rows.filter(pl.col(event_time).is_not_null())
    if arrival is not None:
        ordered = ordered.filter(pl.col(arrival).is_not_null()).sort(arrival, maintain_order=True)
    if ordered.is_empty():
        return None
    happened = ordered[event_time].dt.epoch("us")
    behind = (happened.cum_max().shift(1) - happened).fill_null(0).clip(0)
    return Lateness(behind, None if arrival is None else ordered[arrival].dt.epoch("us") - happened)


@dataclass(frozen=True, eq=False)
class Peek:
    """What ``sn.peek`` found. As a cell's value it shows itself.

    ``rows`` are the first rows, ``seen`` how many were looked at. ``code`` is the schema to paste. ``event_time`` and
    ``arrival`` are the columns that lateness is told by, None where there is none.

    >>> sn.peek(flights).event_time
    'sched_dep'
    """

    rows: pd.DataFrame
    seen: int
    code: str
    event_time: str | None
    arrival: str | None
    _late: Lateness | None

    def kept(self, delay: Duration) -> float:
        """Return the share of rows that came no further behind the newest event time than a watermark's delay."""
        if self._late is None:
            raise PlanError("peek: no row has an event time; name its column with event_time=.", code="EVENT_TIME_TYPE")
        return self._late.kept(duration(delay, "peek"))

    @property
    def lateness(self) -> pd.DataFrame:
        """The share of rows ``kept`` by each ``delay`` of a watermark that keeps more, up to one that keeps all."""
        if self._late is None:
            return pd.DataFrame({"delay": pd.Series(dtype="str"), "kept": pd.Series(dtype="float")})
        shares = [(step, self._late.kept(step)) for step in _STEPS]
        more = shares[:1] + [after for before, after in pairwise(shares) if after[1] > before[1]]
        return pd.DataFrame([(spell(step), share) for step, share in more], columns=["delay", "kept"])

    @property
    def histogram(self) -> pd.DataFrame:
        """How many rows arrived so long after their event: ``above``, ``up_to``, ``rows``; for a figure.

        Without an arrival column it tells how far rows were behind the newest event time.
        """
        if self._late is None:
            return pd.DataFrame({"above": [], "up_to": [], "rows": []})
        values = self._late.behind if self._late.delay is None else self._late.delay
        edges = [None, *_STEPS, None]
        bands = [(low, high, int(values.filter(_between(values, low, high)).len())) for low, high in pairwise(edges)]
        told = [(_spelled(low), _spelled(high), rows) for low, high, rows in bands if rows]
        return pd.DataFrame(told, columns=["above", "up_to", "rows"])

    @property
    def notes(self) -> list[str]:
        """What is odd about the times."""
        if self._late is None:
            return ["No row has an event time." if self.seen else "Nothing has come."]
        if self._late.delay is None or not (ahead := self._late.delay.filter(self._late.delay < 0)).len():
            return []
        most = spell(-int(ahead.min()))  # type: ignore[arg-type]
        return [f"{ahead.len()} rows happened after they arrived, by up to {most}: a producer's clock is ahead."]

    def __repr__(self) -> str:
        parts = [f"{self.seen} rows seen", self.rows.to_string(max_colwidth=40), self.code]
        if self._late is not None:
            parts.append(f"{self._by()}\n{self.lateness.to_string(index=False, formatters={'kept': '{:.1%}'.format})}")
            parts.append(f"{self._came()}\n{self._bars().to_string(index=False, header=False)}")
        return "\n\n".join([*parts, *self.notes])

    def _by(self) -> str:
        return f"rows kept by the delay of with_watermark({self.event_time!r}, …)"

    def _came(self) -> str:
        if self.arrival is None:
            return f"rows by how far they came behind the newest {self.event_time!r}"
        return f"rows by the time from {self.event_time!r} to {self.arrival!r}"

    def _bars(self) -> pd.DataFrame:
        """Return the histogram as words and bars."""
        found = self.histogram
        bands = [_band(low, high) for low, high in zip(found["above"], found["up_to"], strict=True)]
        bars = ["█" * max(1, round(_WIDEST * rows / found["rows"].max())) for rows in found["rows"]]
        return pd.DataFrame({"band": bands, "rows": found["rows"], "bar": [f"{bar:{_WIDEST}}" for bar in bars]})

    def _repr_html_(self) -> str:
        shares = self.lateness.to_html(index=False, formatters={"kept": "{:.1%}".format}, escape=True, border=0)
        late = f"<p>{html.escape(self._by())}</p>{shares}" if self._late is not None else ""
        if self._late is not None:
            bars = table_html(self._bars(), head=False)
            late += f"<p>{html.escape(self._came())}</p>{bars}"
        rows = table_html(self.rows.head(20))
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<p>{plural(self.seen, 'row')} seen</p>{rows}<pre>{html.escape(self.code)}</pre>{late}{notes}"


def _between(values: pl.Series, low: int | None, high: int | None) -> pl.Series:
    above = pl.repeat(True, len(values), eager=True) if low is None else values > low
    return above if high is None else above & (values <= high)


def _band(low: str, high: str) -> str:
    if not low:
        return f"up to {high}"
    return f"more than {low}" if not high else f"{low} to {high}"


def _spelled(step: int | None) -> str:
    return "" if step is None else spell(step)
