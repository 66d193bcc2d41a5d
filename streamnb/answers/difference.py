"""Difference: what changed in state and result between two batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import polars as pl

from streamnb.answers.cards import NOTE, Card, Line, plural
from streamnb.answers.kept import stateful
from streamnb.graph import Graph
from streamnb.ops.dedup_step import Deduplication
from streamnb.ops.group_by import GroupBy
from streamnb.plan import Node
from streamnb.state import EXPIRES
from streamnb.windows import END, START

_BEFORE = "_before"


@dataclass(frozen=True, eq=False)
class Diff(Card):
    """What changed from the end of batch ``before`` to the end of batch ``after``.

    ``result`` and ``state`` (by operator) hold one row a change: ``change`` is ``"new"``, ``"changed"`` or ``"gone"``,
    then come the columns; of a changed row also the values it had, as ``…_before``. A column of the user's own named
    ``change`` keeps its name and ours becomes ``change_``.
    """

    before: int
    after: int
    result: pd.DataFrame = field(repr=False)
    state: dict[str, pd.DataFrame] = field(repr=False)

    __repr__ = Card.__repr__

    @property
    def title(self) -> str:
        return f"From batch {self.before} to batch {self.after}: {_counted(self.result, 'row')} of the result."

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(Line(NOTE, f"state of {name}: {_counted(rows, 'key')}") for name, rows in self.state.items())

    @property
    def table(self) -> pd.DataFrame:
        return self.result


def _counted(rows: pd.DataFrame, noun: str) -> str:
    if not len(rows):
        return f"no {noun}"
    counts = rows.iloc[:, 0].value_counts()
    kinds = [kind for kind in ("new", "changed", "gone") if kind in counts]
    return ", ".join(f"{plural(int(counts[kind]), noun)} {kind}" for kind in kinds)


def difference(
    batches: tuple[int, int], states: tuple[Graph, Graph], results: tuple[pl.DataFrame, pl.DataFrame], plan: Node
) -> Diff:
    """Return what changed, from the graphs and the results as they were after two batches."""
    one, two = (stateful(graph) for graph in states)
    state = {}
    for name, stream in two.items():
        old, new = one[name].step.state(), stream.step.state()
        assert old is not None and new is not None  # noqa: S101, PT018  stateful
        state[name] = changes(old.drop(EXPIRES), new.drop(EXPIRES), _names(stream.node)).to_pandas()
    return Diff(*batches, changes(*results, _whole(plan)).to_pandas(), state)


def _whole(plan: Node) -> Sequence[str] | None:
    """Return the key of the result, the end of a window with its start."""
    key = plan.key
    return (*key, END) if key and START in key and END in plan.schema else key


def _names(node: Node) -> Sequence[str] | None:
    """Return the columns that name a row of state; None where rows have no name."""
    if isinstance(node, GroupBy):
        return node.key_columns
    return node.columns if isinstance(node, Deduplication) else None


def changes(old: pl.DataFrame, new: pl.DataFrame, keys: Sequence[str] | None) -> pl.DataFrame:
    """Return the rows that differ, with how; rows without a key are compared whole, equal ones counted."""
    change = "change" if "change" not in new.columns else "change_"
    if not keys:
        parts = [("new", _more(new, old)), ("gone", _more(old, new))]
        return pl.concat([rows.select(pl.lit(how).alias(change), pl.all()) for how, rows in parts])
    keys = list(keys)
    both = new.join(old, on=keys, how="inner", nulls_equal=True, suffix=_BEFORE, maintain_order="left")
    values = [name for name in new.columns if name not in keys]
    differs = [pl.col(name).ne_missing(pl.col(f"{name}{_BEFORE}")) for name in values]
    changed = both.filter(pl.any_horizontal(*differs)) if differs else both.clear()
    fresh = new.join(old, on=keys, how="anti", nulls_equal=True, maintain_order="left")
    gone = old.join(new, on=keys, how="anti", nulls_equal=True, maintain_order="left")
    parts = [("new", fresh), ("changed", changed), ("gone", gone)]
    frames = [rows.select(pl.lit(how).alias(change), pl.all()) for how, rows in parts]
    return pl.concat(frames, how="diagonal")


def _more(rows: pl.DataFrame, than: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that one bag has more often than another."""
    if not rows.columns:
        return rows
    turn = pl.int_range(pl.len()).over(rows.columns).alias("\0turn")
    on = [*rows.columns, "\0turn"]
    return (
        rows.with_columns(turn)
        .join(than.with_columns(turn), on=on, how="anti", nulls_equal=True, maintain_order="left")
        .drop("\0turn")
    )
