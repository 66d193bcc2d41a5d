"""Rules: a table that changes while a query runs, each state of it a version with a number."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from streamnb.connect import Source
from streamnb.errors import CheckpointError, PlanError
from streamnb.params import given
from streamnb.static import Static


@dataclass(frozen=True, eq=False)
class Version:
    """One state of a rules table; the first has number 1."""

    name: str
    number: int
    rows: pl.DataFrame = field(repr=False)


class Rules(Static):
    """A versioned table, made by ``sn.rules``. ``version`` is the number of the newest state that was seen.

    >>> sn.rules("doc_limits", pd.DataFrame({"dest": ["SEA"], "fee": [25]}), key="dest")
    Rules('doc_limits', version 0)
    """

    def __init__(self, name: str, table: Any, key: Sequence[str]) -> None:
        self.name, self._key = name, list(key)
        self._given: Any = table
        super().__init__("rules", _read(lambda: self._given))
        self.need(*self._key)
        self._versions: list[pl.DataFrame] = []

    def __repr__(self) -> str:
        return f"Rules({self.name!r}, version {self.version})"

    @property
    def column(self) -> str:
        """The column that says which version decided a row."""
        return f"{self.name}_version"

    @property
    def version(self) -> int:
        return len(self._versions)

    def set(self, table: Any) -> None:
        """Give other rows in the place of those given before; the next batch goes by them."""
        before, self._given = self._given, table
        try:
            self.rows()
        except BaseException:
            self._given = before
            raise

    def now(self) -> Version:
        """Return the table of this moment as a version: the newest one, or a new one if it has changed."""
        rows = self.rows()
        if self._key:
            rows = rows.unique(self._key, keep="last", maintain_order=True)
        if not self._versions or not rows.equals(self._versions[-1], null_equal=True):
            self._versions.append(rows)
        return self.numbered(len(self._versions))

    def numbered(self, number: int) -> Version:
        """Return a version by its number."""
        if not 1 <= number <= len(self._versions):
            raise PlanError(
                f"rules {self.name}: version {number} is not there; there are {len(self._versions)}.",
                code="OPTION_INVALID",
            )
        return Version(self.name, number, self._versions[number - 1])

    def at_work(self) -> Version:
        """Return the version that the batch at work goes by."""
        found: Version = given(self.name, self.now)
        return found

    def recall(self, versions: Mapping[int, pl.DataFrame]) -> None:
        """Hear which versions an earlier run went by."""
        known = [versions[number] for number in sorted(versions)]
        if not self._go_on_from(known):
            raise CheckpointError(
                f"checkpoint: it went by other versions of the rules {self.name!r} than this process has seen; make "
                "them anew with sn.rules(…) for this query."
            )

    def succeed(self, older: Rules) -> None:
        """Take the place of a table of the same name: its versions keep their numbers."""
        if not self._go_on_from(older._versions):
            raise PlanError(
                f"rules: two tables are called {self.name!r}, and their versions are not the same rows; go on with the "
                "query's own and .set(rows) it, or give the other another name.",
                code="OPTION_INVALID",
            )

    def _go_on_from(self, known: Sequence[pl.DataFrame]) -> bool:
        """Number on from versions that are known already; False if this table has seen others."""
        common = zip(known, self._versions, strict=False)
        if any(not ours.equals(theirs, null_equal=True) for ours, theirs in common):
            return False
        self._versions = max(list(known), self._versions, key=len)
        return True


def rules(name: str, table: Any, *, key: str | Sequence[str] = ()) -> Rules:
    """Return a table of rules that is read anew for every batch; join a stream with it: ``payments.join(rules, on=…)``.

    Every change of the table is a version with a number. The column ``<name>_version`` of what comes out says which
    version decided a row, of a left join also where nothing matched. Which version a batch went by is in its trace and
    in the log, with the version itself: done again after a rewind or a crash, it goes by the same one.

    Parameters
    ----------
    name
        An identifier; the column is called after it.
    table
        The path of a CSV or Parquet file, which is read again when it has changed; a function or a source, asked for
        every batch; or rows, which ``.set(rows)`` replaces.
    key
        Of rows with the same key the last one counts: a stream of changes is the table of its newest rows.

    State: none; the versions are kept in memory, and in the checkpoint. Errors: a PlanError for a name that is none, a
    DataError for a table whose columns have changed. Spark: none; a static DataFrame is read once there.

    >>> table = pd.DataFrame({"dest": ["SEA"], "fee": [25]})
    >>> fees = sn.rules("doc_fees", table, key="dest")
    >>> flights.join(fees, on="dest").select("flight_id", "fee").collect()
           flight_id  fee
    0  DL 1889 02-08   25
    1    B6 83 02-08   25
    """
    if not name.isidentifier():
        raise PlanError(f"rules: {name!r} is no name; use letters, digits and _.", code="OPTION_INVALID")
    return Rules(name, table, (key,) if isinstance(key, str) else key)


def _read(table: Callable[[], Any]) -> Callable[[], Any]:
    """Return what reads a table: a file by its path only if it has changed."""
    seen: dict[str, Any] = {}

    def read() -> Any:
        told = table()
        if isinstance(told, str | os.PathLike):
            path = Path(told)
            stamp = (path.stat().st_mtime_ns, path.stat().st_size, path.stat().st_ino)
            if seen.get("stamp") != stamp:
                seen.update(stamp=stamp, rows=_of_file(path))
            return seen["rows"]
        if isinstance(told, Source):
            return _of_source(told)
        return told() if callable(told) else told

    return read


def _of_file(path: Path) -> pl.DataFrame:
    return pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path)


def _of_source(source: Source) -> Any:
    return Static("rules", source).sample
