"""What stands on a query workbench: a source, what goes wrong on its way, a frame and a mode, as code that runs."""

from __future__ import annotations

import ast
import json
import os
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamnb.errors import PlanError, one_of
from streamnb.frame import StreamFrame
from streamnb.query import Query

IMPORTS = "import pandas as pd\nimport streamnb as sn\nfrom streamnb import col"
MODES = ("append", "update", "complete")


@dataclass(frozen=True)
class Origin:
    """A source as code, and a first query upon it; ``column`` is its event time."""

    code: str
    column: str
    first: str


def _hourly(column: str, delay: str, size: str, key: str, value: str) -> str:
    return (
        f'marked = rows.with_watermark("{column}", "{delay}")\n'
        f'marked.group_by(sn.window("{column}", "{size}"), "{key}").agg({value})'
    )


ORIGINS: Mapping[str, Origin] = {
    "flights of JFK in the storm": Origin(
        'sn.data.landings("JFK", "2013-02-08")', "dep", _hourly("dep", "3 hours", "1 hour", "origin", "n=sn.count()")
    ),
    "flights of three airports, six days": Origin(
        "sn.data.landings()", "dep", _hourly("dep", "6 hours", "6 hours", "origin", "n=sn.count()")
    ),
    "clicks (simulated)": Origin(
        "sn.simulate.clicks(seed=7)", "at", _hourly("at", "20 minutes", "30 minutes", "page", "n=sn.count()")
    ),
    "payments (simulated)": Origin(
        "sn.simulate.payments(seed=7)", "at", _hourly("at", "1 minute", "6 hours", "city", 'euro=sn.sum("amount")')
    ),
    "sensors (simulated)": Origin(
        "sn.simulate.sensors(seed=7)", "at", _hourly("at", "15 minutes", "1 hour", "machine", 'c=sn.mean("celsius")')
    ),
}
FILE = "files of mine"

CHAOS: Mapping[str, str] = {
    "duplicate": "p=0.05",
    "delay": "p=0.1, by=2",
    "reorder": "k=20",
    "bad_clock": '"{column}", "2 days", row=4',
    "burst": "units=4",
    "drop": "p=0.05",
}
"""What may go wrong, in this order, with what is given to it."""


@dataclass(frozen=True)
class Script:
    """A query as its reader chose it. ``path`` are the files, where the source is one's own."""

    origin: str = "flights of JFK in the storm"
    chaos: frozenset[str] = frozenset()
    typed: str = ""
    mode: str = "append"
    path: str = ""
    names: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def first(self) -> str:
        """The query that a source begins with."""
        return ORIGINS[self.origin].first if self.origin in ORIGINS else "rows"

    def source(self) -> str:
        """Return the code of the source and of what goes wrong on its way."""
        wrong = [name for name in CHAOS if name in self.chaos]
        lines = [f"rows = sn.chaos.{name}(rows, {self._given(name)})" for name in wrong]
        return "\n".join([f"rows = {self._origin()}", *lines])

    def _given(self, name: str) -> str:
        given = CHAOS[name]
        return given.replace("{column}", self._column()) if "{column}" in given else given

    def _origin(self) -> str:
        if self.origin in ORIGINS:
            return ORIGINS[self.origin].code
        if not self.path.strip():
            raise PlanError('workbench: no file is named; give a path such as "in/*.csv".', code="OPTION_INVALID")
        return f"sn.from_files({self.path.strip()!r})"

    def _column(self) -> str:
        if self.origin in ORIGINS:
            return ORIGINS[self.origin].column
        rows = self._run(f"rows = {self._origin()}")["rows"]
        times: list[str] = [name for name, kind in rows.schema.items() if "Datetime" in str(kind)]
        if not times:
            raise PlanError(
                f"workbench: bad_clock needs a column of times, and there are {list(rows.schema)}; switch it off.",
                code="OPTION_INVALID",
            )
        return times[0]

    def _run(self, code: str) -> dict[str, Any]:
        known: dict[str, Any] = dict(self.names)
        exec(f"{IMPORTS}\n{code}", known)  # noqa: S102  the reader's own code, in the reader's own kernel
        return known

    def frame_code(self) -> str:
        """Return the reader's code with its last expression called ``frame``."""
        code = self.typed.strip() or self.first
        body = ast.parse(code).body
        if not body or not isinstance(body[-1], ast.Expr):
            raise PlanError("workbench: the last line gives no frame; end with an expression.", code="OPTION_INVALID")
        last = body[-1].lineno - 1
        lines = code.splitlines()
        return "\n".join([*lines[:last], f"frame = {lines[last]}", *lines[last + 1 :]])

    def text(self) -> str:
        """Return all of it as a script."""
        parts = (IMPORTS, self.source(), self.frame_code(), f'q = frame.query(output_mode="{self.mode}")')
        return "\n\n".join(parts) + "\n"

    def frame(self) -> StreamFrame:
        """Run the code up to the frame."""
        frame = self._run(f"{self.source()}\n{self.frame_code()}")["frame"]
        if not isinstance(frame, StreamFrame):
            raise PlanError(
                f"workbench: the last line gives {type(frame).__name__}, not a frame; begin it with rows.",
                code="OPTION_INVALID",
            )
        return frame

    def query(self) -> Query:
        """Open the query, without running it."""
        if self.mode not in MODES:
            raise one_of("workbench", "mode", self.mode, MODES)
        return self.frame().query(output_mode=self.mode)

    def pyspark(self) -> str:
        """Return the frame as PySpark source."""
        source: str = self.frame().to_pyspark_source()
        return source

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Save it as a lesson in six beats, for somebody to write the words of; never over a file."""
        where = Path(path)
        cells = [_cell(number, kind, source) for number, (kind, source) in enumerate(self._beats())]
        metadata = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        with where.open("x", encoding="utf-8") as file:
            json.dump(notebook, file, indent=1, ensure_ascii=False)
        return where

    def _beats(self) -> Sequence[tuple[str, str]]:
        run = f'{self.frame_code()}\n\nq = frame.query(output_mode="{self.mode}")\nq'
        guess = 'dropped = sn.predict("How many rows will be dropped as late?")\ndropped'
        return (
            ("markdown", f"# A lesson on {self.origin}\n\n**Hook:** one sentence, and a number that surprises."),
            ("code", f"{IMPORTS}\n\n{self.source()}"),
            ("markdown", "**Predict.** Ask before you show."),
            ("code", guess),
            ("markdown", "**Run** and **look.** Press *step*, then *back*."),
            ("code", run),
            ("code", "q.run()\ndropped.compare(len(q.late))"),
            ("markdown", "**Exercise.** Which row would you ask about? `q.why(...)` tells what became of it."),
            ("code", "q.late.head()"),
            ("markdown", "**Say it in one line.**"),
        )  # fmt: skip


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"beat-{number}",
        "metadata": {},
        "source": textwrap.dedent(source).splitlines(keepends=True),
    }
    return cell if kind == "markdown" else cell | {"execution_count": None, "outputs": []}
