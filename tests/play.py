"""Play: a test as a story. Give rows, expect rows; when it fails, the whole story is told with an arrow where it broke.

Rows are tables of text, cells apart by blanks. `00:07` is a minute and a second of one hour of 2026, `-` is null,
`true` is true, `1,2` a list and `[]` an empty one. An expected table may name some of the columns; its rows come in any
order.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any, Self

import pandas as pd
import polars as pl

import streamnb as sn
from streamnb.ops.read import Read

HOUR = dt.datetime(2026, 1, 1)
NULL = "-"


def at(text: str) -> dt.datetime:
    """Return the time that a cell says: `07`, `00:07`, `01:00:07` of one day, or a whole ISO time."""
    if re.fullmatch(r"\d\d(:\d\d)?(\.\d+)?", text):
        text = f"00:{text}" if ":" in text else f"00:00:{text}"
    return dt.datetime.fromisoformat(text if "-" in text else f"2026-01-01 {text}")


def rows(text: str, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Return a table of text as rows of a schema; absent columns are null."""
    names, cells = _cells(text)
    columns = {name: [_parsed(line[i], schema[name]) for line in cells] for i, name in enumerate(names)}
    return pl.DataFrame(columns, schema={name: schema[name] for name in names}, strict=False)


def _cells(text: str) -> tuple[list[str], list[list[str]]]:
    lines = [line.split() for line in text.strip().splitlines()]
    return (lines[0], lines[1:]) if lines else ([], [])


def _parsed(cell: str, dtype: Any) -> Any:
    if cell == NULL:
        return None
    if isinstance(dtype, pl.List):
        return [] if cell == "[]" else [_parsed(part, dtype.inner) for part in cell.split(",")]
    if isinstance(dtype, pl.Datetime):
        return at(cell) if dtype.time_zone is None else at(cell).replace(tzinfo=dt.UTC)
    if isinstance(dtype, pl.Boolean):
        return cell == "true"
    return int(cell) if dtype.is_integer() else float(cell) if dtype.is_float() else cell


def bag(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """Return the rows in one order, cells as comparable text."""
    return sorted(tuple(cell(value) for value in row) for row in frame.rows())


def cell(value: Any) -> str:
    """Return a value as the table says it."""
    if value is None:
        return NULL
    if isinstance(value, list | pl.Series):
        return ",".join(map(cell, value)) or "[]"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value + 0.0:.9g}" if isinstance(value, float) else str(value)


class Play:
    """One query, driven batch by batch."""

    def __init__(self, frame: sn.StreamFrame, output_mode: str = "append", **options: Any) -> None:
        self.query = frame.query(output_mode, **options)
        reads = [node.source for node in frame.node.walk() if isinstance(node, Read)]
        self.sources = list(dict.fromkeys(source for source in reads if isinstance(source, sn.MemorySource)))
        self._story: list[str] = []

    # -- doing

    def add(self, table: str | Any = "", to: sn.MemorySource | None = None) -> Self:
        """Add one unit of input and run nothing."""
        source = to or self.sources[0]
        given = rows(table, source.schema) if isinstance(table, str) else table
        return self._do(f"add {_line(table)}", lambda: source.add(given))

    def give(self, table: str | Any = "", to: sn.MemorySource | None = None) -> Self:
        """Add one unit of input and run the batch that takes it."""
        return self.add(table, to).step()

    def give_all(self, tables: Mapping[sn.MemorySource, str]) -> Self:
        """Give several sources their rows in one batch."""
        given = {source: rows(table, source.schema) for source, table in tables.items()}
        self._do(f"add together {_line(list(tables.values()))}", lambda: sn.add(given))
        return self.step()

    def step(self) -> Self:
        """Run one batch; there must be one to run."""

        def work() -> None:
            assert self.query.step() is not None, "there is nothing to do"

        return self._do("step", work)

    def idle(self) -> Self:
        """Run the batches without input that are due."""
        return self._do("idle", self.query.run)

    def rewind(self, to: int) -> Self:
        return self._do(f"rewind {to}", lambda: self.query.rewind(to))

    def fails(self, error: type[BaseException], words: str) -> Self:
        """The next batch fails, and says these words."""

        def work() -> None:
            raised = self._raised(error)
            assert raised is not None, "it does not fail"
            assert words in str(raised), f"it says: {raised}"

        return self._do(f"fails {error.__name__} {words!r}", work)

    def _raised(self, error: type[BaseException]) -> BaseException | None:
        try:
            self.query.step()
        except error as raised:
            return raised
        return None

    # -- seeing

    def expect(self, table: str = "") -> Self:
        """The last batch gave the sink just these rows."""
        return self._same("expect", table, lambda: self.query.trace[-1].emitted)

    def late(self, table: str = "") -> Self:
        """The last batch dropped just these rows, once for each window that had ended."""
        return self._same("late", table, self._late)

    def _late(self) -> pl.DataFrame:
        found = [step.late for step in self.query.trace[-1].steps if step.late is not None]
        return pl.concat(found, how="diagonal") if found else pl.DataFrame()

    def result(self, table: str = "") -> Self:
        """The result is this table now."""
        return self._same("result", table, lambda: pl.from_pandas(self.query.result, schema_overrides=self._schema()))

    def _schema(self) -> Mapping[str, Any]:
        return self.query.trace[-1].emitted.schema

    def state(self, table: str = "") -> Self:
        """The state is this table now."""
        return self._same("state", table, lambda: pl.from_pandas(self.query.state))

    def watermark(self, text: str) -> Self:
        """The next batch will run with this watermark."""
        return self._is("watermark", pd.Timestamp(at(text)), lambda: _naive(self.query.watermark))

    def state_rows(self, count: int) -> Self:
        return self._is("state_rows", count, lambda: len(self.query.state))

    def batches(self, count: int) -> Self:
        """So many batches have run."""
        return self._is("batches", count, lambda: len(self.query.trace))

    def nothing_to_do(self) -> Self:
        """No batch is due."""
        return self._is("nothing_to_do", None, self.query.step)

    # -- telling

    def _same(self, name: str, table: str, look: Callable[[], pl.DataFrame]) -> Self:
        def work() -> None:
            got = look()
            names, _ = _cells(table)
            want = rows(table, got.schema) if names and set(names) <= set(got.schema) else None
            told = got.select(names) if want is not None else got
            assert bag(told) == (bag(want) if want is not None else _cells(table)[1]), f"got\n{got.to_pandas()}"

        return self._do(f"{name} {_line(table)}", work)

    def _is(self, name: str, want: Any, look: Callable[[], Any]) -> Self:
        def work() -> None:
            got = look()
            assert got == want, f"got {got}"

        return self._do(f"{name} {want}", work)

    def _do(self, told: str, work: Callable[[], Any]) -> Self:
        self._story.append(f"   {told}")
        try:
            work()
        except Exception as error:
            story = "\n".join([*self._story[:-1], f"=> {told}"])
            raise AssertionError(f"{error}\n\n{story}\n\n{error}") from error
        return self


def _line(table: Any) -> str:
    return " / ".join(line.strip() for line in table.strip().splitlines()) if isinstance(table, str) else str(table)


def _naive(time: pd.Timestamp | None) -> pd.Timestamp | None:
    return time if time is None or time.tzinfo is None else time.tz_convert("UTC").tz_localize(None)
