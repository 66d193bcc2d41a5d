"""The step of a join of two streams: both sides are kept, every pair is given out once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from streamnb.bag import ID, Bag
from streamnb.expressions import conjuncts, native
from streamnb.hash_index import Slots
from streamnb.plan import Batch, Opening, Step, late_name, least, moved
from streamnb.progress import StepTrace
from streamnb.state import EXPIRES
from streamnb.time import NEVER_LATE

if TYPE_CHECKING:
    from streamnb.ops.join import Between, Join

MATCHED = "__matched"


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of a join: its columns' names in a pair, its keys, what it keeps, and the conditions on it alone.

    ``ends`` is the event time by which a row is late, ``expires`` the watermark that ends it in state. A ``preserved``
    side gives out its unmatched rows too.
    """

    names: Mapping[str, str]
    keys: list[str]
    rows: Bag
    own: pl.Expr | None
    ends: pl.Expr | None
    expires: pl.Expr
    preserved: bool


class JoinStep(Step):
    """A new row of the left meets what the right has kept, then a new row of the right all of the left."""

    def __init__(self, node: Join, opening: Opening) -> None:
        self.node, self.mode, self.how = node, opening.output_mode, node.how
        self.lag = 0 if opening.watermark.single else max((0, *node.lags))
        wheres = [native(part) for part in conjuncts(node.where)] if node.where is not None else []
        names: tuple[Mapping[str, str], ...] = ({n: n for n in node.inputs[0].schema}, node.right_names)
        self.left, self.right = (self._side(n, names[n], wheres) for n in (0, 1))
        self.tables = (self.left.rows, self.right.rows)
        self.late_by = late_name(node.pair_schema)
        both = [w for w in wheres if not any(_reads_only(w, side.values()) for side in names)]
        self.matches = [*self._equal(), *_in_range(node.within, node.right_names), *both]

    def _side(self, number: int, names: Mapping[str, str], wheres: Sequence[pl.Expr]) -> _Side:
        node, bound = self.node.inputs[number], self.node.bounds[number]
        mark = next(iter(node.event_times.items()), None)
        ends = None if mark is None else pl.col(names[mark[0]]).to_physical() + mark[1].shift
        expires = pl.lit(None, pl.Int64) if bound is None else pl.col(names[bound[0]]).to_physical() + bound[1]
        keys = [names[pair[number]] for pair in self.node.keys]
        schema = {names[name]: dtype for name, dtype in node.schema.items()}
        return _Side(
            names,
            keys,
            Bag({**schema, MATCHED: pl.Boolean()}, keys),
            _all([w for w in wheres if _reads_only(w, names.values())]),
            ends,
            expires.alias(EXPIRES),
            self.how in ({"left", "full", "semi", "anti"}, {"right", "full"})[number],
        )

    def _equal(self) -> list[pl.Expr]:
        """Equal keys; null matches null in a full join only, as Spark has it."""
        pairs = zip(self.left.keys, self.right.keys, strict=True)
        if self.how == "full":
            return [pl.col(a).eq_missing(pl.col(b)) for a, b in pairs]
        return [pl.col(a) == pl.col(b) for a, b in pairs]

    # -- one batch

    def on_batch(self, *batches: Batch) -> Batch:
        late = least(batch.late_watermark for batch in batches)
        evict = least(batch.eviction_watermark for batch in batches)
        news = [_New(side, batch.rows, late, self.late_by) for side, batch in zip(self._sides, batches, strict=True)]
        out = [self._unmatched(new.side, new.excluded) for new in news]
        out.append(self._meet(news[0], self.right))
        self._keep(news[0])
        out.append(self._meet(news[1], self.left))
        self._keep(news[1])
        removed = [self._evict(side, evict) for side in self._sides]
        out += [self._unmatched(side, rows) for side, rows in zip(self._sides, removed, strict=True)]
        trace = self._trace(batches, news, removed, (late, evict))
        return Batch(pl.concat(out), self._behind(late), self._behind(evict), batches[0].id, batches[0].time, trace)

    @property
    def _sides(self) -> tuple[_Side, _Side]:
        return self.left, self.right

    def _meet(self, new: _New, other: _Side) -> pl.DataFrame:
        """Match new rows with what the other side has kept; return what comes out of it."""
        keys = new.rows.select(pl.col(k).cast(other.rows.schema[o]).alias(o) for k, o in _pairs(new.side, other))
        positions, slots = other.rows.of(keys)
        there = other.rows.rows(slots).select(other.names.values())
        pairs = new.rows[positions].hstack(there).with_columns(_new=pl.Series(positions), _slot=pl.Series(slots))
        pairs = pairs.filter(*self.matches)
        new.matched[pairs["_new"].to_numpy()] = True
        met = _first_of_each(pairs["_slot"].to_numpy())
        if self.how in {"semi", "anti"}:
            return self._one_sided(new, other, met)
        self._mark(other, met)
        return pairs.select(self.node.output)

    def _one_sided(self, new: _New, other: _Side, met: Slots) -> pl.DataFrame:
        """A semi or anti join is done with a left row at its first match."""
        rows = new.rows.filter(new.matched) if new.side is self.left else other.rows.remove(met)
        return rows.select(self.node.output) if self.how == "semi" else self._nothing

    def _mark(self, side: _Side, met: Slots) -> None:
        """Remember that kept rows have matched, where that will be asked."""
        if not side.preserved or not len(met):
            return
        rows = side.rows.rows(met)
        first = ~rows[MATCHED].to_numpy()
        side.rows.upsert(rows.filter(first).with_columns(pl.lit(True).alias(MATCHED)), met[first])

    def _keep(self, new: _New) -> None:
        done = self.how in {"semi", "anti"} and new.side is self.left
        rows = new.rows.with_columns(new.side.expires, pl.Series(MATCHED, new.matched))
        new.side.rows.add(rows.filter(~new.matched) if done else rows)

    def _evict(self, side: _Side, watermark: int | None) -> pl.DataFrame:
        if self.mode == "batch":
            return side.rows.remove(side.rows.find(side.rows.frame()))
        return side.rows.evict(NEVER_LATE if watermark is None else watermark)

    def _unmatched(self, side: _Side, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows that will never match, with nulls for the other side, if the join keeps them."""
        if not side.preserved or self.how == "semi":
            return self._nothing
        if MATCHED in rows.columns:
            rows = rows.filter(~pl.col(MATCHED))
        missing = [pl.lit(None, dtype).alias(n) for n, dtype in self.node.pair_schema.items() if n not in rows.columns]
        return rows.with_columns(missing).select(self.node.output)

    @cached_property
    def _nothing(self) -> pl.DataFrame:
        return pl.DataFrame(schema=self.node.schema)

    # -- time

    def _behind(self, watermark: int | None) -> int | None:
        """A pair may be as old as the oldest row kept: the watermark of what comes out stays that far behind."""
        if watermark is None or watermark < 0:
            return watermark
        return max(0, watermark - self.lag)

    def output_watermark(self, *inputs: int | None) -> int | None:
        return self._behind(least(inputs))

    def due(self, watermark: int | None, before: int | None, time: int) -> bool:
        return any(bound is not None for bound in self.node.bounds) and moved(watermark, before)

    # -- what it tells

    def state(self) -> pl.DataFrame:
        frames = [side.rows.frame().drop(ID).with_columns(side=pl.lit(name)) for name, side in self._named]
        return pl.concat(frames, how="diagonal").select("side", pl.exclude("side", EXPIRES), EXPIRES)

    @property
    def _named(self) -> tuple[tuple[str, _Side], ...]:
        return ("left", self.left), ("right", self.right)

    def _trace(
        self,
        batches: Sequence[Batch],
        news: Sequence[_New],
        removed: Sequence[pl.DataFrame],
        watermarks: tuple[int | None, int | None],
    ) -> StepTrace:
        late = [new.late.with_columns(side=pl.lit(name)) for (name, _), new in zip(self._named, news, strict=True)]
        return StepTrace(
            operator="join",
            rows=pl.concat([batch.rows for batch in batches], how="diagonal_relaxed"),
            late=pl.concat(late, how="diagonal"),
            changed=lambda: pl.concat([new.rows for new in news], how="diagonal"),
            removed=lambda: pl.concat([rows.drop(ID, MATCHED, EXPIRES) for rows in removed], how="diagonal"),
            late_watermark=watermarks[0],
            eviction_watermark=watermarks[1],
            num_rows_total=sum(len(side.rows) for side in self._sides),
            num_rows_updated=sum(len(new.rows) for new in news),
            num_rows_removed=sum(map(len, removed)),
            memory_used_bytes=sum(side.rows.nbytes for side in self._sides),
        )


class _New:
    """The new rows of one side in a batch: on time, and fit to match; ``late`` and ``excluded`` are the others."""

    def __init__(self, side: _Side, rows: pl.DataFrame, watermark: int | None, name: str) -> None:
        self.side = side
        rows = rows.rename(side.names)
        self.late = rows.clear().with_columns(pl.lit(None, pl.Duration("us")).alias(name))
        if side.ends is not None and watermark is not None:
            behind = (side.ends <= watermark).fill_null(value=False)
            late_by = pl.duration(microseconds=watermark - side.ends).alias(name)
            self.late = rows.filter(behind).with_columns(late_by)
            rows = rows.filter(~behind)
        fit = pl.lit(True) if side.own is None else side.own.fill_null(value=False)
        self.rows, self.excluded = rows.filter(fit), rows.filter(~fit)
        self.matched = np.zeros(len(self.rows), np.bool_)


def _pairs(side: _Side, other: _Side) -> Iterable[tuple[str, str]]:
    return zip(side.keys, other.keys, strict=True)


def _first_of_each(slots: Slots) -> Slots:
    _, first = np.unique(slots, return_index=True)
    return slots[np.sort(first)]


def _all(conditions: Sequence[pl.Expr]) -> pl.Expr | None:
    return pl.all_horizontal(*conditions) if conditions else None


def _reads_only(expression: pl.Expr, columns: Iterable[str]) -> bool:
    return set(expression.meta.root_names()) <= set(columns)


def _in_range(within: Between | None, right_names: Mapping[str, str]) -> list[pl.Expr]:
    """Return the conditions of a range between two times."""
    if within is None:
        return []
    apart = pl.col(right_names[within.time]).to_physical() - pl.col(within.of).to_physical()
    found = []
    if within.after is not None:
        found.append(apart >= within.after if within.closed in {"both", "left"} else apart > within.after)
    if within.before is not None:
        found.append(apart <= within.before if within.closed in {"both", "right"} else apart < within.before)
    return found
