"""Programs: queries that are hurt, each over rows of its own, and in plain Python what the sink must hold at the end.

What a program says does not depend on how its rows are cut into batches, so every run may cut them anew: rows are less
out of order than the watermark waits, or so late (an hour) that they are dropped however they are cut.
"""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

import streamnb as sn
from streamnb.connect import Unit

Row = dict[str, Any]
START = dt.datetime(2026, 1, 1, 12)
SECOND = dt.timedelta(seconds=1)
MEMORY = Path("/dev/shm")  # noqa: S108  the name is made by tempfile
HOPELESS = dt.timedelta(hours=1)
DELAY = "6 seconds"
ROWS = 72


def scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder in memory, where there is one: what a killed process has written is safe there too."""
    return tempfile.TemporaryDirectory(prefix="streamnb-faults-", dir=MEMORY if MEMORY.is_dir() else None)


class Rows:
    """Rows as a source. Offsets count rows, and a batch takes ``size`` of them: another run may take another number.

    The last row comes alone. After a restart a query waits for a row before it runs the batch without rows that was
    due, as Spark does; so whatever is due is given out with the last row at the latest.
    """

    def __init__(self, schema: dict[str, str], rows: Sequence[Row], size: int) -> None:
        self.schema, self._rows, self._size = schema, rows, size

    def latest(self) -> int:
        return len(self._rows)

    def read(self, start: int | None, end: int) -> list[Row]:
        return list(self._rows[start or 0 : end])

    def commit(self, end: int) -> None:
        """Nothing to do: the rows stay."""

    def unit(self, start: int | None) -> Unit | None:
        done, last = start or 0, len(self._rows) - 1
        return Unit(min(done + self._size, last) if done < last else last + 1) if done <= last else None


@dataclass(frozen=True)
class Program:
    """A query over sources of rows, and what its sink holds in the end."""

    name: str
    schemas: tuple[dict[str, str], ...]
    rows: Callable[[random.Random], tuple[list[Row], ...]]
    frame: Callable[..., sn.StreamFrame]
    oracle: Callable[..., list[tuple[Any, ...]]]
    mode: str = "append"
    key: tuple[str, ...] = ()

    def open(self, folder: Path, seed: int, size: int, **options: Any) -> sn.Query:
        """Open the query on its checkpoint and its sink, a SQLite file beside it."""
        given = self.rows(random.Random(seed))  # noqa: S311  a story, not a secret
        streams = [sn.stream(Rows(s, rows, size)) for s, rows in zip(self.schemas, given, strict=True)]
        sink = sn.sinks.SQLite(folder / "sink.db", "out", key=self.key or None)
        options = {"sink": sink, "checkpoint": folder / "checkpoint"} | options
        return self.frame(*streams).query(self.mode, **options)


def wrong(held: Counter[tuple[Any, ...]], name: str, seed: int) -> tuple[int, int]:
    """Return how many rows of a program a sink has lost, and how many it has that it should not."""
    due = expected(name, seed)
    return (due - held).total(), (held - due).total()


def held_by(path: Path) -> Counter[tuple[Any, ...]]:
    """Return what the sink holds."""
    with closing(sqlite3.connect(path)) as db:
        there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'out'").fetchone()
        rows = db.execute("SELECT * FROM out").fetchall() if there else []
        return Counter(tuple(map(_told, row)) for row in rows)


def _told(value: Any) -> Any:
    """Return a cell, a time always with the same digits."""
    is_time = isinstance(value, str) and value.startswith("2026-")
    return _text(dt.datetime.fromisoformat(value)) if is_time else value


# -- rows


def _times(rng: random.Random, pace: float = 1.0) -> list[dt.datetime]:
    """Return times that advance by about ``pace`` seconds a row, out of order by less than the watermark waits."""
    times = [START + SECOND * (pace * i - rng.uniform(0, 4)) for i in range(ROWS)]
    return [time.replace(microsecond=time.microsecond // 1000 * 1000) for time in times]


def _clicks(rng: random.Random, pace: float = 1.0) -> list[Row]:
    """Return clicks of a few users, some hopelessly late ones far enough behind the start, and two that close all."""
    times = [at - HOPELESS if i >= 40 and i % 7 == 5 else at for i, at in enumerate(_times(rng, pace))]
    rows: list[Row] = [{"at": at, "user": rng.choice(["ann", "bob", "é"]), "v": rng.randint(-9, 9)} for at in times]
    return [*rows, *[{"at": START + 2 * HOPELESS, "user": "end", "v": 0}] * 2]


def _on_time(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["at"] > START - HOPELESS / 2]


def _text(time: dt.datetime) -> str:
    return time.isoformat(" ")


# -- windowed aggregation

CLICKS = {"at": "datetime", "user": "string", "v": "int64"}


def _windowed(clicks: sn.StreamFrame) -> sn.StreamFrame:
    events = clicks.with_watermark("at", DELAY)
    return events.group_by(sn.window("at", "10 seconds"), "user").agg(n=sn.count(), total=sn.sum("v"))


def _windows(rows: list[Row]) -> list[tuple[Any, ...]]:
    table = pd.DataFrame(_on_time(rows))
    groups = table.assign(start=table["at"].dt.floor("10s")).groupby(["start", "user"])["v"].agg(["size", "sum"])
    times = [(start.to_pydatetime(), user) for start, user in groups.index]
    figures = groups.to_numpy().tolist()
    return [(_text(t), _text(t + 10 * SECOND), user, n, v) for (t, user), (n, v) in zip(times, figures, strict=True)]


def _closed_windows(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [row for row in _windows(rows) if row[2] != "end"]


# -- dedup


def _orders(rng: random.Random) -> tuple[list[Row]]:
    """Return rows whose ids come again at once, and again a minute later, when they have been forgotten."""
    rows: list[Row] = []
    for i, at in enumerate(_times(rng)):
        again = i % 3 == 2
        rows.append({"at": rows[-1]["at"] if again else at, "id": rows[-1]["id"] if again else i % 60, "v": i})
    return ([*rows, *[{"at": START + 2 * HOPELESS, "id": -1, "v": -1}] * 2],)


def _once(orders: sn.StreamFrame) -> sn.StreamFrame:
    return orders.with_watermark("at", DELAY).drop_duplicates_within_watermark(["id"])


def _firsts(rows: list[Row]) -> list[tuple[Any, ...]]:
    kept: dict[Any, dt.datetime] = {}
    firsts = []
    for row in rows:
        if row["id"] not in kept or row["at"] - kept[row["id"]] > 30 * SECOND:
            kept[row["id"]] = row["at"]
            firsts.append((_text(row["at"]), row["id"], row["v"]))
    return firsts


# -- interval join of two streams


def _ads(rng: random.Random) -> tuple[list[Row], list[Row]]:
    shown = [{"shown": at, "ad": rng.randint(0, 12)} for at in _times(rng)]
    clicked = [{"clicked": at, "ad": rng.randint(0, 12), "v": i} for i, at in enumerate(_times(rng))]
    late = START + 2 * HOPELESS
    return [*shown, *[{"shown": late, "ad": -1}] * 2], [*clicked, *[{"clicked": late, "ad": -2, "v": -1}] * 2]


def _joined(shown: sn.StreamFrame, clicked: sn.StreamFrame) -> sn.StreamFrame:
    left, right = shown.with_watermark("shown", DELAY), clicked.with_watermark("clicked", DELAY)
    within = sn.between("clicked", after="0s", before="8 seconds", of="shown")
    return left.join(right, on="ad", how="left", within=within).select("shown", "ad", "clicked", "v")


def _pairs(shown: list[Row], clicked: list[Row]) -> list[tuple[Any, ...]]:
    pairs: list[tuple[Any, ...]] = []
    for row in shown[:-2]:
        found = [c for c in clicked if c["ad"] == row["ad"] and 0 * SECOND <= c["clicked"] - row["shown"] <= 8 * SECOND]
        pairs += [(_text(row["shown"]), row["ad"], _text(c["clicked"]), c["v"]) for c in found]
        pairs += [] if found else [(_text(row["shown"]), row["ad"], None, None)]
    return pairs


# -- sessions


def _visits(clicks: sn.StreamFrame) -> sn.StreamFrame:
    events = clicks.with_watermark("at", DELAY)
    visits = events.group_by(sn.session_window("at", "3 seconds"), "user").agg(n=sn.count(), total=sn.sum("v"))
    return visits.select("user", "window_start", "window_end", "n", "total")


def _sessions(rows: list[Row]) -> list[tuple[Any, ...]]:
    by_user: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(_on_time(rows)[:-2], key=lambda row: row["at"]):
        by_user[row["user"]].append(row)
    return [_session(user, part) for user, visits in by_user.items() for part in _parts(visits)]


def _parts(visits: list[Row]) -> list[list[Row]]:
    cuts = [i for i, (a, b) in enumerate(pairwise(visits), 1) if b["at"] > a["at"] + 3 * SECOND]
    return [visits[a:b] for a, b in pairwise([0, *cuts, len(visits)])]


def _session(user: str, rows: list[Row]) -> tuple[Any, ...]:
    return user, _text(rows[0]["at"]), _text(rows[-1]["at"] + 3 * SECOND), len(rows), sum(row["v"] for row in rows)


# -- state of one's own


class _Running(sn.StatefulProcessor):
    """The running total of every user, row by row; and by a timer when 20 seconds have passed since the first."""

    def init(self, handle: sn.StatefulProcessorHandle) -> None:
        self.handle = handle
        self.total = handle.get_value_state("total", "n bigint, v bigint")

    def handle_input_rows(self, key: Any, rows: Any, timer_values: Any) -> Any:
        table = pd.concat(list(rows))
        if not self.total.exists():
            self.handle.register_timer(_ms(table["at"].iloc[0]) + 20_000)
        n, v = self.total.get() or (0, 0)
        seen = range(n + 1, n + len(table) + 1)
        totals = v + table["v"].cumsum()
        self.total.update((n + len(table), int(totals.iloc[-1])))
        yield pd.DataFrame({"user": key[0], "n": seen, "total": totals})

    def handle_expired_timer(self, key: Any, timer_values: Any, expired_timer_info: Any) -> Any:
        yield pd.DataFrame({"user": [key[0]], "n": [-1], "total": [expired_timer_info.get_expiry_time_in_ms()]})


def _ms(time: Any) -> int:
    return int((pd.Timestamp(time) - pd.Timestamp(0)) / pd.Timedelta(milliseconds=1))


def _running(clicks: sn.StreamFrame) -> sn.StreamFrame:
    grouped = clicks.with_watermark("at", DELAY).group_by("user")
    schema = "user string, n bigint, total bigint"
    return grouped.transform_with_state(_Running(), output_schema=schema, time_mode="event")


def _totals(rows: list[Row]) -> list[tuple[Any, ...]]:
    said, total, seen = [], Counter[str](), Counter[str]()
    for row in rows:
        user = row["user"]
        if user not in seen and user != "end":
            said.append((user, -1, _ms(row["at"]) + 20_000))
        seen[user] += 1
        total[user] += row["v"]
        said.append((user, seen[user], total[user]))
    return said


def _of_users(rng: random.Random) -> tuple[list[Row]]:
    return ([row for row in _clicks(rng) if row["at"] > START - HOPELESS / 2],)


PROGRAMS = {
    program.name: program
    for program in (
        Program("window append", (CLICKS,), lambda rng: (_clicks(rng),), _windowed, _closed_windows),
        Program(
            "window update", (CLICKS,), lambda rng: (_clicks(rng),), _windowed, _windows, "update",
            ("window_start", "user"),
        ),
        Program("dedup", ({"at": "datetime", "id": "int64", "v": "int64"},), _orders, _once, _firsts),
        Program(
            "join", ({"shown": "datetime", "ad": "int64"}, {"clicked": "datetime", "ad": "int64", "v": "int64"}),
            _ads, _joined, _pairs,
        ),
        Program("session", (CLICKS,), lambda rng: (_clicks(rng, 0.7),), _visits, _sessions),
        Program("own state", (CLICKS,), _of_users, _running, _totals),
    )
}  # fmt: skip


@cache
def expected(name: str, seed: int) -> Counter[tuple[Any, ...]]:
    """Return what a program's sink holds in the end, worked out once."""
    program = PROGRAMS[name]
    return Counter(program.oracle(*program.rows(random.Random(seed))))  # noqa: S311  a story, not a secret
