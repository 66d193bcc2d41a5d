"""recover: what a checkpoint holds, looked at without opening the query and without disturbing one that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from streamnb.answers.cards import NO, NOTE, TODO, YES, Card, Line, plural
from streamnb.batch_log import Intent, Log
from streamnb.checkpoint import dead_letters_in, owner
from streamnb.dead_letters import together
from streamnb.durable import Store
from streamnb.errors import CheckpointError
from streamnb.logics import Logics
from streamnb.state import EXPIRES
from streamnb.state_files import StateFiles
from streamnb.time import moment


def recover(path: str | os.PathLike[str]) -> Recovery:
    """Open a checkpoint for looking: what ran, how far it came, what it remembers, what must be done again.

    Nothing is changed, and a query that runs on the folder is not disturbed; what it writes later is not seen. To go
    on, open the query on the folder again: ``frame.query(checkpoint=path)``. A folder that is no checkpoint, or a
    damaged one, is a CheckpointError that names the file.

    >>> hourly.query(checkpoint=f"{folder}/c").run().stop().status
    'stopped'
    >>> len(sn.recover(f"{folder}/c").batches)
    32
    """
    return Recovery(Path(path))


class Recovery(Card):
    """What a checkpoint held when it was looked at.

    ``done`` is the last batch that happened (-1: none), ``pending`` the intent of the one that was begun after it and
    will be done again, ``owner`` the process that runs a query on the folder now. ``run`` counts from 0 how often the
    query was opened. ``operators`` are those with state, as ``explain()`` tells them.
    """

    def __init__(self, path: Path) -> None:
        if not (path / "metadata").exists():
            raise CheckpointError(f"recover: {path} is no checkpoint; name the folder given to query(checkpoint=…).")
        self.path, self._store = path, Store(path)
        self._logics = Logics(self._store)
        self._metadata = self._logics.shapes()[-1]
        self._log = Log(self._store).load()
        self.owner = owner(path)
        found = self._log.recovered()
        self.done: int = -1 if found is None else found.done
        self.pending: Intent | None = None if found is None else found.again
        self._watermark = 0 if found is None else found.watermark
        self.run: int = json.loads(self._store.read("epoch"))["epoch"]
        self.sources: list[str] = self._metadata["sources"]
        self.operators: list[str] = [operator["told"] for operator in self._metadata["operators"]]
        self._heads: Sequence[int] = self._log.commit_of(self.done)["state"] if self.done >= 0 else ()
        self._files, newest = StateFiles(self._store, self._log), self._logics.newest()
        if newest is not None:
            self._files.places = newest.places
            self._heads = newest.heads if newest.after == self.done else self._heads

    @property
    def watermark(self) -> pd.Timestamp:
        """The watermark that the next batch will run with, 1970 before any row."""
        return pd.Timestamp(moment(self._watermark))

    @cached_property
    def batches(self) -> pd.DataFrame:
        """The batches still in the log, oldest first: ``batch_id``, ``time``, ``watermark``, ``offsets``, ``done``."""
        rows = [(number, self._log.intent(number)) for number in self._log.begun]
        columns = ["batch_id", "time", "watermark", "offsets", "done"]
        told = [(n, moment(i.time), moment(i.watermark), i.offsets, n <= self.done) for n, i in rows]
        return pd.DataFrame(told, columns=columns)

    @cached_property
    def state(self) -> list[pd.DataFrame]:
        """The tables that the operators remember, a row a key with ``expires_at``."""
        return [self._table(n, told) for n, told in enumerate(self._metadata["tables"])]

    def _table(self, number: int, told: Mapping[str, Any]) -> pd.DataFrame:
        rows = self._files.frame(number, self._heads[number], told["keys"]) if self._heads else None
        if rows is None:
            return pd.DataFrame(columns=[*told["columns"]])
        expires = pl.col(EXPIRES).cast(pl.Datetime("us")).alias("expires_at")
        return rows.with_columns(expires).drop(EXPIRES).to_pandas()

    @cached_property
    def logics(self) -> pd.DataFrame:
        """Which logic decided from which batch on, oldest first: ``from_batch``, ``how`` it came, and ``logic``."""
        told = [(s["after"] + 1, s["how"], " → ".join(s.get("logic", ()))) for s in self._logics.shapes()]
        return pd.DataFrame(told, columns=["from_batch", "how", "logic"])

    @property
    def dead_letters(self) -> pd.DataFrame:
        """Every record that was set aside, as ``q.dead_letters`` has them."""
        return together(dead_letters_in(self._store, self._log, self.done)).to_pandas()

    # -- as a card

    @property
    def title(self) -> str:
        count = plural(self.done + 1, "batch")
        return f"Checkpoint {self.path}: {count} done, run {self.run}, watermark {self.watermark}"

    @property
    def lines(self) -> tuple[Line, ...]:
        return (
            *(Line(NOTE, f"source {n}: {kind}") for n, kind in enumerate(self.sources)),
            *(Line(NOTE, f"remembers: {told}") for told in self.operators),
            *(Line(NOTE, f"from batch {row.from_batch} on: {row.logic}", row.how) for row in self._later),
            *(Line(NOTE, f"table {n}: {plural(len(table), 'row')}") for n, table in enumerate(self.state)),
            self._told_pending(),
            self._told_owner(),
        )

    @property
    def _later(self) -> list[Any]:
        return list(self.logics.iloc[1:].itertuples())

    def _told_pending(self) -> Line:
        if self.pending is None:
            return Line(YES, "no batch is half done")
        offsets = ", ".join(map(str, self.pending.offsets))
        return Line(TODO, f"batch {self.done + 1} was begun, up to {offsets}; it will be done again with the same rows")

    def _told_owner(self) -> Line:
        if self.owner is None:
            return Line(TODO, f"to go on: frame.query(checkpoint={str(self.path)!r})")
        return Line(NO, f"process {self.owner} runs a query on this folder; stop that one before another goes on")

    @property
    def table(self) -> pd.DataFrame:
        return self.batches.tail(10)
