"""Delta: rows and the ledger of batches in one commit of a Delta table."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.errors import QueryError, StreamnbError
from streamnb.patience import library, masked, patiently
from streamnb.points import reached
from streamnb.sinks.ledger import Verdict, digest
from streamnb.sinks.target import Target, Transactional, quoted
from streamnb.time import SECOND, Duration, duration

_SIGNED = {pl.UInt8: pl.Int16, pl.UInt16: pl.Int32, pl.UInt32: pl.Int64}
_SECRET = ("key", "secret", "token", "password", "credential")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_REFUSED = (pl.Time, pl.Duration, pl.Int128, pl.Object)


class Delta(Transactional):
    """Write a Delta table, exactly once.

    Append mode adds; update mode merges by ``key`` (null is a key like any other); complete mode overwrites. Batch, run
    and fingerprint are application transactions of the very commit that holds the rows, so a batch that comes again is
    skipped, and of two writers one is refused. With ``version`` a row only replaces one with an older or equal value in
    that column. The library does not wait for the disk: a commit survives a kill, not always a power cut.

    ``path`` may be an address such as ``"s3://…"``, with its keys in ``storage_options`` or in the environment; they
    are never shown. Delta has no unsigned numbers, times of day or durations: the first are widened, the others
    refused.

    Spark: ``writeStream.format("delta")``.

    >>> sink = sn.sinks.Delta(f"{folder}/hourly")
    >>> hourly.query(sink=sink).run().status
    'done'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        key: str | Sequence[str] | None = None,
        version: str | None = None,
        storage_options: Mapping[str, str] | None = None,
        timeout: Duration = "5 minutes",
    ) -> None:
        self._delta = library("sinks.Delta", "deltalake", "deltalake", "delta")
        self._target = Target.of("Delta", os.fspath(path), key, version)
        self._seconds = duration(timeout, "Delta") / SECOND
        options = dict(storage_options or {})
        secrets = [value for name, value in options.items() if any(word in name.lower() for word in _SECRET)]
        # Closed over, so that keys are in no attribute.
        self._options: Callable[[], dict[str, str] | None] = lambda: options or None
        self._said: Callable[[object], str] = lambda error: masked(error, secrets)

    def __repr__(self) -> str:
        return f"Delta({self._target.table!r})"

    def write_polars(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        self.check(mode)
        try:
            return patiently(lambda: self._write(batch_id, rows, mode), self._seconds)
        except (StreamnbError, TimeoutError):
            raise
        except Exception as error:  # noqa: BLE001  the library raises some that have no name
            failure = self._failure(error)
        raise failure  # outside of the handlers, so that the library's own words are nowhere behind it

    def _failure(self, error: Exception) -> Exception:
        said = self._said(_COLOUR.sub("", str(error)))
        if "cast" in said.lower():
            return QueryError(f"Delta: {said}; write to another table than {self._target.table!r}.")
        return OSError(f"{self._target.table}: {said}")

    def _write(self, batch_id: int, rows: pl.DataFrame, mode: str) -> None:
        there, mine = self._table(), _as_number(digest(rows))
        found = None if there is None else self._found(there)
        if self._ledger.judge(found, batch_id, str(mine)) is Verdict.SKIP:
            return
        values = _typed(self._target.newest(rows))
        if there is not None:
            self._target.compare((field.name for field in there.schema().fields), values.columns)
        note = self._note(batch_id, mine)
        reached("sink.rows")
        reached("sink.ledger")
        if there is None or mode == "complete" or not self._target.key:
            self._put(there, values, note, "overwrite" if mode == "complete" else "append")
        else:
            self._merge(there, values, note)
            if self._found(there)[0] != batch_id:  # a merge that changes nothing is no commit, and notes nothing
                self._put(there, values.head(0), note, "append")

    def _table(self) -> Any:
        """Return the table; None if there is none. Its ``is_deltatable`` would let no other thread run meanwhile."""
        try:
            return self._delta.DeltaTable(self._target.table, storage_options=self._limited())
        except self._delta.exceptions.TableNotFoundError:
            return None

    def _limited(self) -> dict[str, str] | None:
        """Return the options with limits for a store's client, so that nothing of it outlives its batch for long."""
        limits = {"timeout": f"{self._seconds:g}s", "retry_timeout": f"{self._seconds:g}s"}
        options = self._options() or {}
        return {**limits, **options} if "://" in self._target.table else options or None

    def _apps(self) -> list[str]:
        return [f"{self._ledger.query}/{what}" for what in ("batch", "epoch", "digest")]

    def _found(self, there: Any) -> Any:
        """Return what the table holds of this query: batch, epoch, digest."""
        batch, epoch, mine = (there.transaction_version(app) for app in self._apps())
        return None if batch is None else (batch, epoch, str(mine))

    def _note(self, batch_id: int, mine: int) -> Any:
        values = (batch_id, self._ledger.epoch, mine)
        apps = zip(self._apps(), values, strict=True)
        return self._delta.CommitProperties(app_transactions=[self._delta.Transaction(*app) for app in apps])

    def _put(self, there: Any, rows: pl.DataFrame, note: Any, mode: str) -> None:
        where, options = (self._target.table, self._limited()) if there is None else (there, None)
        self._delta.write_deltalake(where, rows, mode=mode, commit_properties=note, storage_options=options)

    def _merge(self, there: Any, rows: pl.DataFrame, note: Any) -> None:
        same = " AND ".join(f"t.{quoted(name)} IS NOT DISTINCT FROM s.{quoted(name)}" for name in self._target.key)
        merge = there.merge(rows, same, source_alias="s", target_alias="t", commit_properties=note)
        version = None if self._target.version is None else quoted(self._target.version)
        newer = version and f"t.{version} IS NULL OR s.{version} >= t.{version}"
        merge.when_matched_update_all(predicate=newer).when_not_matched_insert_all().execute()


def _as_number(mine: str) -> int:
    """Return a digest as a number that a transaction's version can hold."""
    count, _, bits = mine.partition(":")
    return (int(bits, 16) ^ int(count)) >> 1


def _typed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows in types that Delta has."""
    for column in rows:
        if column.dtype in _REFUSED or (column.dtype == pl.UInt64 and (column > 2**63 - 1).any()):
            raise QueryError(
                f"Delta: it has no {column.dtype} as in column {column.name!r}; cast it to a string or a number."
            )
    wider = [pl.col(narrow).cast(wide) for narrow, wide in _SIGNED.items()]
    return rows.with_columns(*wider, pl.col(pl.UInt64).cast(pl.Int64)).with_columns(
        pl.col(pl.Null, pl.Categorical, pl.Enum).cast(pl.String)
    )
