"""join with a table: every row of the stream beside the rows of the table that belong to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import narwhals as nw
import numpy as np
import polars as pl

from streamnb.errors import PlanError
from streamnb.expressions import conjuncts, native, needed, outcome
from streamnb.plan import Batch, Node, Opening, Step
from streamnb.rules import Rules
from streamnb.static import Positions, Static, common_type, names_beside, side_by_side, with_unmatched

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

_PAIRS_AT_ONCE = 2**20


def join_static(
    frame: StreamFrame,
    table: Any,
    *,
    on: str | Sequence[str] | None = None,
    left_on: str | Sequence[str] | None = None,
    right_on: str | Sequence[str] | None = None,
    how: str = "inner",
    where: nw.Expr | None = None,
    suffix: str = "_right",
) -> StreamFrame:
    """Join a stream with a table: what ``join`` does when the right side is not a stream.

    Rows come out in the order of the stream, and for one row in the order of the table. ``how`` is ``"inner"``,
    ``"left"``, ``"semi"`` or ``"anti"``: nothing can say that a row of the table will never be matched, so the table's
    unmatched rows cannot come out. ``where`` is part of the match. The table is indexed once, or, if a function or a
    source gives it, read for every batch.

    State: none. Spark: ``join`` with a static DataFrame.
    """
    keys = _keys(on, left_on, right_on)
    table = table if isinstance(table, Static) else Static("join", table)
    return frame.then(JoinStatic((frame.node,), table, keys, how, where, suffix))


def _keys(on: Any, left_on: Any, right_on: Any) -> tuple[tuple[str, str], ...]:
    left, right = (_names(on), _names(on)) if on is not None else (_names(left_on), _names(right_on))
    if len(left) != len(right):
        raise PlanError(
            f"join: left_on={list(left)} and right_on={list(right)} are not as many; give them in pairs.",
            code="OPTION_INVALID",
        )
    return tuple(zip(left, right, strict=True))


def _names(value: str | Sequence[str] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


@dataclass(frozen=True, eq=False)
class JoinStatic(Node):
    table: Static
    keys: tuple[tuple[str, str], ...]
    how: str
    where: nw.Expr | None
    suffix: str
    verb: ClassVar[str] = "join"

    def __post_init__(self) -> None:
        if self.how not in {"inner", "left", "semi", "anti"}:
            raise PlanError(
                f"join: a {self.how} join gives out the table's rows that nothing matches, and with a stream nothing "
                "is ever the last word on that; use how='left' or 'inner'.",
                code="JOIN_STATIC_SIDE",
            )
        self.need(*(left for left, _ in self.keys))
        self.table.need(*(right for _, right in self.keys))
        if not self.keys and self.where is None:
            raise PlanError("join: nothing says which rows belong together; give on= or where=.", code="OPTION_INVALID")
        _ = self.key_types, self.names, self.schema
        self._check_where()

    def _check_where(self) -> None:
        if self.where is None:
            return
        (dtype,) = outcome("join", [native(self.where)], self.pair_schema).dtypes()
        if dtype != pl.Boolean:
            raise PlanError(f"join: where= gives {dtype}, not true or false; compare it.", code="EXPRESSION_INVALID")

    @cached_property
    def key_types(self) -> list[pl.DataType]:
        """The types that keys are compared in."""
        left, right = self.inputs[0].schema, self.table.schema
        return [common_type("join", pair, left[pair[0]], right[pair[1]]) for pair in self.keys]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The table's columns by the name they get; keys that have one name on both sides stand once."""
        once = {right for left, right in self.keys if left == right}
        return names_beside("join", self.inputs[0].schema, self.table.schema.names(), once, self.suffix)

    @cached_property
    def pair_schema(self) -> pl.Schema:
        theirs = {new: self.table.schema[old] for old, new in self.names.items()}
        return pl.Schema({**self.inputs[0].schema, **theirs})

    @cached_property
    def schema(self) -> pl.Schema:
        found = self.inputs[0].schema if self.how in {"semi", "anti"} else self.pair_schema
        if not isinstance(self.table, Rules):
            return found
        if self.table.column in found:
            raise PlanError(
                f"join: two columns would be called {[self.table.column]}; rename one first.", code="COLUMN_DUPLICATE"
            )
        return pl.Schema({**found, self.table.column: pl.Int64()})

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        below = self.inputs[0].key
        if below is None or self.how in {"semi", "anti"} or self._matches_once:
            return below
        return (*below, *self.names.values())

    @property
    def _matches_once(self) -> bool:
        right = [name for _, name in self.keys]
        fixed = not isinstance(self.table, Rules)
        return fixed and bool(right) and self.table.sample.select(right).is_unique().all()

    def needed(self, side: int) -> list[str]:
        """Return the columns of the stream that must not be null for a match; ``side`` is 0, the stream's."""
        compared = set[str]().union(*map(needed, conjuncts(self.where))) if self.where is not None else set()
        keys = {left for left, _ in self.keys}
        return [name for name in self.inputs[side].schema if name in keys | compared]

    def open(self, opening: Opening) -> Step:
        return _Step(self)

    def describe(self) -> str:
        by = ", ".join(left if left == right else f"{left} = {right}" for left, right in self.keys)
        if isinstance(self.table, Rules):
            return f"{self.how} join with the rules {self.table.name}{f' on {by}' if by else ''}"
        return f"{self.how} join with a table{f' on {by}' if by else ''}"


class _Step(Step):
    """Finds matches by the hashes of keys, then compares the keys themselves and asks ``where``."""

    def __init__(self, node: JoinStatic) -> None:
        self.node = node
        self.where = None if node.where is None else native(node.where)
        self.left_keys = [pl.col(left).cast(t) for (left, _), t in zip(node.keys, node.key_types, strict=True)]
        self.right_keys = [pl.col(right).cast(t) for (_, right), t in zip(node.keys, node.key_types, strict=True)]
        self.version: pl.DataFrame | None = None
        self.indexed = _Indexed(node.table.rows(), self.right_keys) if node.table.fixed else None

    def on_batch(self, *batches: Batch) -> Batch:
        (batch,) = batches
        if isinstance(self.node.table, Rules):
            return batch.with_rows(self._decided(batch.rows, self.node.table))
        table = self.indexed or _Indexed(self.node.table.rows(), self.right_keys)
        return batch.with_rows(self._joined(batch.rows, table))

    def _decided(self, rows: pl.DataFrame, rules: Rules) -> pl.DataFrame:
        """Join with the version that the batch goes by, which is indexed once."""
        version = rules.at_work()
        if self.version is not version.rows:
            self.version, self.indexed = version.rows, _Indexed(version.rows, self.right_keys)
        assert self.indexed is not None  # noqa: S101  just now
        joined = self._joined(rows, self.indexed)
        return joined.with_columns(pl.lit(version.number, pl.Int64).alias(rules.column))

    def _joined(self, rows: pl.DataFrame, table: _Indexed) -> pl.DataFrame:
        positions, slots = self._matches(rows, table)
        if self.node.how in {"semi", "anti"}:
            matched = np.zeros(len(rows), np.bool_)
            matched[positions] = True
            return rows.filter(matched if self.node.how == "semi" else ~matched)
        if self.node.how == "left":
            positions, slots = with_unmatched(len(rows), positions, slots)
        return side_by_side(rows, positions, table.rows, slots, self.node.names)

    def _matches(self, rows: pl.DataFrame, table: _Indexed) -> tuple[Positions, Positions]:
        """Return the pairs of (position in rows, slot in the table) that belong together."""
        if self.left_keys:
            return self._meeting(rows, table, *table.find(rows.select(_numbered(self.left_keys))))
        at_once = max(1, _PAIRS_AT_ONCE // max(1, len(table.rows)))
        parts = [
            self._meeting(rows, table, *_every_pair(start, min(start + at_once, len(rows)), len(table.rows)))
            for start in range(0, max(1, len(rows)), at_once)
        ]
        positions, slots = zip(*parts, strict=True)
        return np.concatenate(positions), np.concatenate(slots)

    def _meeting(
        self, rows: pl.DataFrame, table: _Indexed, positions: Positions, slots: Positions
    ) -> tuple[Positions, Positions]:
        """Keep the pairs that meet ``where``."""
        if self.where is None:
            return positions, slots
        pairs = side_by_side(rows, positions, table.rows, slots, self.node.names)
        met = pairs.select(self.where.fill_null(value=False)).to_series().to_numpy()
        return positions[met], slots[met]


class _Indexed:
    """A table with the hashes of its keys in order. A null key is in no pair."""

    def __init__(self, rows: pl.DataFrame, keys: Sequence[pl.Expr]) -> None:
        self.rows = rows
        if not keys:
            return
        self.keys = rows.select(_numbered(keys))
        whole = self.keys.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
        slots = np.flatnonzero(whole)
        hashes = self.keys.hash_rows(0).to_numpy()[slots]
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.slots = hashes[order], slots[order]

    def find(self, keys: pl.DataFrame) -> tuple[Positions, Positions]:
        """Return pairs of (position in keys, slot here) with equal keys, by position and then slot."""
        hashes = keys.hash_rows(0).to_numpy()
        first, last = (np.searchsorted(self.hashes, hashes, side=side) for side in ("left", "right"))
        counts = last - first
        positions = np.repeat(np.arange(len(hashes)), counts)
        offsets = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        slots = self.slots[np.repeat(first, counts) + offsets]
        equal = self._equal(keys[positions], slots)
        return positions[equal], slots[equal]

    def _equal(self, keys: pl.DataFrame, slots: Positions) -> Positions:
        """Compare whole keys: equal hashes are only a hint."""
        there = self.keys[slots]
        same = pl.DataFrame([keys[name] == there[name] for name in keys.columns])
        found: Positions = same.select(pl.all_horizontal(pl.all().fill_null(value=False))).to_series().to_numpy()
        return found


def _numbered(keys: Sequence[pl.Expr]) -> list[pl.Expr]:
    """Name keys by their place, so that both sides hash and compare alike."""
    return [key.alias(str(number)) for number, key in enumerate(keys)]


def _every_pair(start: int, end: int, count: int) -> tuple[Positions, Positions]:
    return np.repeat(np.arange(start, end), count), np.tile(np.arange(count), end - start)
