"""A program whose rules and params change before every batch, and its logic once; and what its sink must hold."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import streamnb as sn
from streamnb.batch_log import Log
from streamnb.durable import Store
from streamnb.errors import CheckpointMismatchError
from streamnb.points import STEPS
from tests.faults.programs import CLICKS, Rows

CHANGED_AFTER = 4
RULES = tuple(f"rules.{step}" for step in STEPS)


class Numbered:
    """A SQLite sink whose rows say in which batch they came."""

    def __init__(self, folder: Path) -> None:
        self._sink = sn.sinks.SQLite(folder / "sink.db", "out")
        self.open = self._sink.open

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self._sink.write_polars(batch_id, rows.with_columns(batch=pl.lit(batch_id)), mode)


@dataclass(frozen=True)
class Ruled:
    """Every row is told the limit of its user, by which version of the rules, a param, and by which logic."""

    name: str
    rows: list[dict[str, Any]]

    def open(self, folder: Path, seed: int, size: int, **given: Any) -> sn.Query:
        chance = random.Random()  # noqa: S311  another one in every process
        path = folder / "limits.csv"
        _write(path, chance)
        param = sn.param("bonus", 0)
        limits, stream = sn.rules("limits", path), sn.stream(Rows(CLICKS, self.rows, size))
        told = stream.with_columns(row=sn.col("v") + 0, bonus=param).join(limits, on="user")
        old, changed = (told.with_columns(rule=sn.lit(rule)) for rule in ("old", "new"))
        new: sn.StreamFrame | None = changed
        options: dict[str, Any] = {"sink": Numbered(folder), "checkpoint": folder / "checkpoint", **given}
        try:
            query = old.query(**options)
        except CheckpointMismatchError:
            query, new = changed.query(**options), None
        query.run = lambda: self._run(query, new, path, chance, param)  # type: ignore[method-assign]
        return query

    def _run(
        self, query: sn.Query, new: sn.StreamFrame | None, path: Path, chance: random.Random, param: sn.Param
    ) -> sn.Query:
        while True:
            if new is not None and query._history.last.batch_id >= CHANGED_AFTER:
                query.evolve(new)
                new = None
            _write(path, chance)
            param.set(chance.randrange(10**6))
            if query.step() is None:
                return query

    def wrongs(self, folder: Path, seed: int) -> list[str]:
        """Return what is wrong with what a sink holds in the end."""
        with closing(sqlite3.connect(folder / "sink.db")) as db:
            held = db.execute("SELECT batch, limits_version, most, bonus, rule, row FROM out").fetchall()
        by, contents = defaultdict[int, set[Any]](set), defaultdict[int, set[int]](set)
        for batch, version, most, bonus, rule, _ in held:
            by[batch].add((version, bonus, rule))
            contents[version].add(most)
        logged = Log(Store(folder / "checkpoint")).load().intents(10**6)
        went_by = {n: (intent.given["limits"], intent.given["bonus"]) for n, intent in logged.items()}
        rules = [rule for batch in sorted(by) for _, _, rule in by[batch]]
        rows = Counter(row for *_, row in held)
        return [
            *(f"row {row} is there {rows[row]} times" for row in range(len(self.rows)) if rows[row] != 1),
            *(f"batch {batch} went by {sorted(several)}" for batch, several in by.items() if len(several) != 1),
            *(f"version {version} is {sorted(c)}" for version, c in contents.items() if len(c) != 1),
            *(
                f"batch {batch} is logged with {went_by[batch]} and went by {told}"
                for batch, (told, *_) in ((n, sorted(several)) for n, several in by.items())
                if went_by[batch] != told[:2]
            ),
            *([] if rules == sorted(rules, reverse=True) and rules[-1] == "new" else [f"logics {rules}"]),
        ]


def _write(path: Path, chance: random.Random) -> None:
    """Put other rules in place: one number for all users, which says which rules they were."""
    most = chance.randrange(10**9)
    fresh = path.with_suffix(".tmp")
    fresh.write_text("user,most\n" + "".join(f"{user},{most}\n" for user in ("ann", "bob")))
    fresh.replace(path)


def ruled(times: Iterable[Any]) -> Ruled:
    """Return the program, over rows of some times."""
    rows = [{"at": at, "user": "ann" if n % 3 else "bob", "v": n} for n, at in enumerate(times)]
    return Ruled("rules and params", rows)
