"""Lesson 06: the crash lab."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

from streamnb import col, data, from_pandas
from streamnb.crashing.crash import Outcome, crash
from streamnb.crashing.strategies import Write
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, World, Wrong

if TYPE_CHECKING:
    import pandas as pd

MOMENTS = ("halfway", "between statements", "before commit", "after commit")
EXACT = "is exact"
PROBES = count(1_000_000)  # batches of which no function has heard
ALL_EXACT = dict.fromkeys(["without a crash", *(f"after a crash {at}" for at in MOMENTS)], EXACT)


def _worlds() -> Sequence[World]:
    pieces = {"2013-02-06": "12 hours", "2013-02-09": "8 hours", "2013-02-11": "6 hours"}
    return [World(f"the lines of {day}, {every} a batch", (_clean(day, every),)) for day, every in pieces.items()]


def _clean(day: str, every: str) -> StreamFrame:
    lines = data.flights()
    there = (lines["sched_dep"].dt.strftime("%Y-%m-%d") == day) & (lines["origin"] == "LGA")
    raw = from_pandas(lines[there], arrival="sched_dep", every=every)
    left = raw.filter(~col("tailnum").is_null() & ~col("dep").is_null())
    return left.select("flight_id", "tailnum")


# -- how an answer is tried


def _crashed(save: Write, clean: StreamFrame) -> dict[str, str] | None:
    """Return what a table is without a crash and after one at each moment; None if nothing is done."""
    rows, probe = clean.collect(), next(PROBES)
    first, again = _changes(save, rows, probe), _changes(save, rows, probe)
    if first is None:
        return None
    if first != again:
        return ALL_EXACT | {"without a crash": "has what the function remembers, and that dies with the process"}
    outcomes = {at: crash(clean, at=at, batch=1, sinks={"yours": save})["yours"] for at in MOMENTS}
    held = outcomes["halfway"].expected
    whole = EXACT if held == len(rows) else f"holds {held} rows of {len(rows)}"
    return {"without a crash": whole} | {f"after a crash {at}": _word(one) for at, one in outcomes.items()}


def _changes(save: Write, rows: pd.DataFrame, batch_id: int) -> int | None:
    """Return how many rows are written into an empty file, None if not one statement is run."""
    statements: list[str] = []
    with closing(sqlite3.connect(":memory:")) as db:
        db.set_trace_callback(statements.append)
        save(rows, batch_id, db)
        return db.total_changes if statements else None


def _word(outcome: Outcome) -> str:
    """Return what became of the table, without counting."""
    if outcome.error:
        return f"refuses the batch when it comes again: {outcome.error.splitlines()[0]}"
    wrong = [word for n, word in ((outcome.lost, "lost"), (outcome.doubled, "twice")) if n]
    return f"has rows {' and '.join(wrong)}" if wrong else EXACT


def _told(found: Mapping[str, str]) -> str | None:
    return next((f"{when} the table {word}" for when, word in found.items() if word != EXACT), None)


# -- ways of writing

ROWS, IDS = "create table if not exists clean (flight_id, tailnum)", "create table if not exists done (id)"
ONE_A_PLANE = "create table if not exists clean (flight_id, tailnum unique)"


def _append(rows: pd.DataFrame, _: int, db: sqlite3.Connection) -> None:
    db.execute(ROWS)
    _insert(rows, db)


def _insert(rows: pd.DataFrame, db: sqlite3.Connection, sql: str = "insert into clean values (?, ?)") -> None:
    db.executemany(sql, rows.to_numpy().tolist())


def _known(batch_id: int, db: sqlite3.Connection) -> bool:
    db.execute(ROWS)
    db.execute(IDS)
    return db.execute("select 1 from done where id = ?", [batch_id]).fetchone() is not None


def _together(rows: pd.DataFrame, batch_id: int, db: sqlite3.Connection) -> None:
    if not _known(batch_id, db):
        _insert(rows, db)
        db.execute("insert into done values (?)", [batch_id])


def _id_first(rows: pd.DataFrame, batch_id: int, db: sqlite3.Connection) -> None:
    if not _known(batch_id, db):
        db.execute("insert into done values (?)", [batch_id])
        db.commit()
        _insert(rows, db)


def _rows_first(rows: pd.DataFrame, batch_id: int, db: sqlite3.Connection) -> None:
    if not _known(batch_id, db):
        _insert(rows, db)
        db.commit()
        db.execute("insert into done values (?)", [batch_id])


def _remembering() -> Write:
    heard: set[int] = set()

    def save(rows: pd.DataFrame, batch_id: int, db: sqlite3.Connection) -> None:
        if batch_id not in heard:
            _append(rows, batch_id, db)
            heard.add(batch_id)

    return save


def _by_plane(rows: pd.DataFrame, _: int, db: sqlite3.Connection) -> None:
    db.execute(ONE_A_PLANE)
    _insert(rows, db, "replace into clean values (?, ?)")


def _only_newest(rows: pd.DataFrame, _: int, db: sqlite3.Connection) -> None:
    db.execute(ROWS)
    db.execute("delete from clean")
    _insert(rows, db)


ROWS_FIRST = (
    "the rows are committed before their id: a crash between them writes the batch twice "
    "(pandas' to_sql commits of its own accord)"
)

EXERCISES = (
    Exercise(
        name="06.A",
        oracle=lambda _: ALL_EXACT,
        worlds=_worlds,
        solution=_together,
        trial=_crashed,
        tell=_told,
        wrong=(
            Wrong("the batch that comes again is appended again: nothing tells that it is there", _append),
            Wrong("the id is safe before its rows are: a crash between them loses the batch", _id_first),
            Wrong(ROWS_FIRST, _rows_first),
            Wrong("one line a plane: a plane that flies twice loses its first flight", _by_plane),
            Wrong("what a function remembers dies with the process: the table must tell what it has", _remembering()),
            Wrong("each batch deletes the ones before it", _only_newest),
        ),
        hints=(
            "The log knows that the batch was begun, not that it is written. So it comes again, with the same id.",
            "The sink must know by itself which batches it has: a second table, done, with their ids.",
            "Ask done first; insert the rows, then the id, and commit neither in between.",
        ),
        shown="""def exact(rows, batch_id, db):
    db.execute("create table if not exists clean (flight_id, tailnum)")
    db.execute("create table if not exists done (id)")
    if db.execute("select 1 from done where id = ?", [batch_id]).fetchone():
        return
    db.executemany("insert into clean values (?, ?)", rows.values.tolist())
    db.execute("insert into done values (?)", [batch_id])""",
    ),
)
