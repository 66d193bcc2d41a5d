"""join_asof: every row beside the row of a table that was the newest at its time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl

from streamnb.errors import PlanError, one_of
from streamnb.plan import Batch, Node, Opening, Step
from streamnb.static import Static, common_type, names_beside, side_by_side
from streamnb.time import Duration, duration

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_STRATEGIES = ("backward", "forward", "nearest")
_ON, _ROW, _SLOT = "__on", "__row", "__slot"


def join_asof(
    self: StreamFrame,
    table: Any,
    on: str | None = None,
    *,
    left_on: str | None = None,
    right_on: str | None = None,
    by: str | Sequence[str] | None = None,
    tolerance: Duration | float | None = None,
    strategy: str = "backward",
) -> StreamFrame:
    """Put every row beside the newest row of a table at or before its time: the price that held, the weather then.

    Every row comes out once, in order of input, with nulls where nothing matches. A null time matches nothing. Of rows
    of the table with one time, the last counts. Columns whose names the stream has get the suffix ``_right``.

    Parameters
    ----------
    table
        pandas, Polars, Arrow; or a function or a source that gives one, asked anew for every batch. Not a stream: the
        newest row of a stream is only known once its watermark has passed; join two streams with ``within=``.
    on, left_on, right_on
        The column of times or numbers, of one name or of two.
    by
        Columns, of the same names on both sides, that must be equal.
    tolerance
        How far the match may be: a duration, or a number where ``on`` is one.
    strategy
        ``"backward"``: the last at or before; ``"forward"``: the first at or after; ``"nearest"``: the closer of both.

    State: none. Spark: none; ``merge_asof`` in pandas and in pandas on Spark.

    >>> prices = {"at": flights.collect()["dep"].head(1), "price": [3.2]}
    >>> flights.join_asof(prices, left_on="dep", right_on="at").collect()["price"].notna().sum()
    np.int64(142)
    """
    if hasattr(table, "node"):
        raise PlanError(
            "join_asof: the right side is a stream, and which of its rows is the newest is not known before its "
            "watermark has passed; give a table or a function that returns one, or use join(…, within=sn.between(…)).",
            code="JOIN_ASOF_STREAM",
        )
    left, right = (left_on, right_on) if on is None else (on, on)
    if left is None or right is None:
        raise PlanError("join_asof: no time is named; give on=, or left_on= and right_on=.", code="OPTION_INVALID")
    keys = (by,) if isinstance(by, str) else tuple(by or ())
    return self.then(JoinAsof((self.node,), Static("join_asof", table), left, right, keys, tolerance, strategy))


@dataclass(frozen=True, eq=False)
class JoinAsof(Node):
    table: Static
    left_on: str
    right_on: str
    by: tuple[str, ...]
    tolerance: Duration | float | None
    strategy: str
    verb: ClassVar[str] = "join_asof"

    def __post_init__(self) -> None:
        if self.strategy not in _STRATEGIES:
            raise one_of(self.verb, "strategy", self.strategy, _STRATEGIES)
        self.need(self.left_on, *self.by)
        self.table.need(self.right_on, *self.by)
        if not (self.type_of_on.is_numeric() or self.type_of_on.is_temporal()):
            raise PlanError(
                f"join_asof: {self.left_on!r} is {self.type_of_on}, which has no before and after; "
                "use a datetime or a number.",
                code="EVENT_TIME_TYPE",
            )
        _ = self.within, self.by_types, self.names

    @cached_property
    def type_of_on(self) -> pl.DataType:
        types = self.inputs[0].schema[self.left_on], self.table.schema[self.right_on]
        return common_type(self.verb, (self.left_on, self.right_on), *types)

    @cached_property
    def by_types(self) -> Mapping[str, pl.DataType]:
        left, right = self.inputs[0].schema, self.table.schema
        return {name: common_type(self.verb, (name, name), left[name], right[name]) for name in self.by}

    @cached_property
    def within(self) -> dt.timedelta | float | None:
        """The tolerance in the unit of ``on``."""
        given = self.tolerance
        if given is None:
            return None
        temporal = self.type_of_on.is_temporal()
        if temporal and isinstance(given, str | dt.timedelta):
            given = dt.timedelta(microseconds=duration(given, self.verb))
        right_kind = isinstance(given, dt.timedelta) if temporal else isinstance(given, int | float)
        if not right_kind or given < type(given)(0):  # type: ignore[operator]
            raise PlanError(
                f"join_asof: tolerance={self.tolerance!r} is no distance between values of {self.type_of_on}; "
                f"write it like {'10 minutes' if temporal else 5!r}.",
                code="OPTION_INVALID",
            )
        return given  # type: ignore[return-value]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The table's columns by the name they get; those that are equal on both sides stand once."""
        once = {*self.by, self.right_on} if self.left_on == self.right_on else set(self.by)
        return names_beside(self.verb, self.inputs[0].schema, self.table.schema.names(), once, "_right")

    @cached_property
    def schema(self) -> pl.Schema:
        theirs = {new: self.table.schema[old] for old, new in self.names.items()}
        return pl.Schema({**self.inputs[0].schema, **theirs})

    def open(self, opening: Opening) -> Step:
        return _Step(self)

    def describe(self) -> str:
        on = self.left_on if self.left_on == self.right_on else f"{self.left_on} ~ {self.right_on}"
        return f"join_asof with a table on {', '.join([on, *self.by])}, {self.strategy}"


class _Step(Step):
    def __init__(self, node: JoinAsof) -> None:
        self.node = node
        self.by = [pl.col(name).cast(dtype) for name, dtype in node.by_types.items()]
        self.table = node.table.rows() if node.table.fixed else None
        self.sorted = None if self.table is None else self._sorted(self.table, node.right_on, _SLOT)

    def _sorted(self, rows: pl.DataFrame, on: str, number: str) -> pl.DataFrame:
        """Return the keys in order of time, with the numbers of their rows; those with a null match nothing."""
        time = pl.col(on).cast(self.node.type_of_on).alias(_ON)
        keys = rows.select(time, *self.by, pl.int_range(pl.len(), dtype=pl.Int64).alias(number))
        return keys.drop_nulls().sort(_ON, maintain_order=True)

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        table = self.node.table.rows() if self.table is None else self.table
        there = self._sorted(table, self.node.right_on, _SLOT) if self.sorted is None else self.sorted
        slots = self._slots(batch.rows, there)
        positions = np.arange(len(batch.rows))
        return batch.with_rows(side_by_side(batch.rows, positions, table, slots, self.node.names))

    def _slots(self, rows: pl.DataFrame, there: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return for every row the number of the table's row that matches, -1 for none."""
        strategy: Literal["backward", "forward", "nearest"] = self.node.strategy  # type: ignore[assignment]
        found = self._sorted(rows, self.node.left_on, _ROW).join_asof(
            there,
            on=_ON,
            by=list(self.node.by) or None,
            strategy=strategy,
            tolerance=self.node.within,
            check_sortedness=False,
        )
        slots = np.full(len(rows), -1, np.int64)
        slots[found[_ROW].to_numpy()] = found[_SLOT].fill_null(-1).to_numpy()
        return slots
