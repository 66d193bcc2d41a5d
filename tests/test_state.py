"""StateTable against a plain dictionary, through collisions, evictions and going back."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from streamnb.hash_index import HashIndex
from streamnb.state import EXPIRES, StateTable
from streamnb.versions import Versions
from tests import laws  # noqa: F401  its settings of hypothesis

NAMES = ["a", "b", "é", "", "日本", None]
Key = tuple[str | None, int | None]
keys = st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 1, -1, None]))
entries = st.dictionaries(keys, st.tuples(st.integers(0, 9), st.none() | st.integers(0, 20)), max_size=8)


class Colliding(StateTable):
    """With the first seeds, keys share few hashes or a single one."""

    def _hash(self, keys: Any) -> Any:
        hashes = super()._hash(keys)
        return hashes % np.uint64([1, 2, 7][self._seed]) if self._seed < 3 else hashes


def table_of(kind: type[StateTable], name: pl.DataType) -> StateTable:
    return kind({"name": name, "number": pl.Int64(), "value": pl.Int64()}, ["name", "number"])


def frame(table: StateTable, held: dict[Key, tuple[int, int | None]]) -> pl.DataFrame:
    """Return entries as rows of a table; where names are whole numbers there, by their places in NAMES."""
    data: list[tuple[Any, ...]] = [(*key, *values) for key, values in held.items()]
    if table.schema["name"] != pl.String():
        data = [(None if row[0] is None else NAMES.index(row[0]), *row[1:]) for row in data]
    return pl.DataFrame(data, schema=table.schema, orient="row")


def contents(rows: pl.DataFrame) -> dict[Key, tuple[int, int | None]]:
    found = {(_name(name), number): (value, ends) for name, number, value, ends in rows.rows()}
    assert len(found) == len(rows), "a key stands twice"
    return found


def _name(value: Any) -> str | None:
    return NAMES[value] if isinstance(value, int) else value


class Machine(RuleBasedStateMachine):
    """Whatever is done to a table is done to a dictionary, too."""

    kind: type[StateTable] = StateTable
    names: pl.DataType = pl.String()

    def __init__(self) -> None:
        super().__init__()
        self.table, self.copy = table_of(self.kind, self.names), table_of(self.kind, self.names)
        self.model: dict[Key, tuple[int, int | None]] = {}

    def commit(self) -> None:
        self.copy.apply(self.table.commit())

    @rule(held=entries)
    def upsert(self, held: dict[Key, tuple[int, int | None]]) -> None:
        self.table.upsert(frame(self.table, held))
        self.model |= held
        self.commit()

    @rule(held=entries)
    def upsert_where_found(self, held: dict[Key, tuple[int, int | None]]) -> None:
        rows = frame(self.table, held)
        self.table.upsert(rows, self.table.find(rows))
        self.model |= held
        self.commit()

    @rule(held=entries, watermark=st.integers(0, 20))
    def upsert_and_evict(self, held: dict[Key, tuple[int, int | None]], watermark: int) -> None:
        self.table.upsert(frame(self.table, held))
        self.model |= held
        self.evict(watermark)

    @rule(watermark=st.integers(0, 20))
    def evict(self, watermark: int) -> None:
        gone = {key: held for key, held in self.model.items() if held[1] is not None and held[1] <= watermark}
        evicted = self.table.evict(watermark)
        assert contents(evicted) == gone
        assert evicted[EXPIRES].is_sorted()
        self.model = {key: held for key, held in self.model.items() if key not in gone}
        self.commit()

    @rule(held=entries)
    def remove(self, held: dict[Key, tuple[int, int | None]]) -> None:
        slots = self.table.find(frame(self.table, held))
        gone = self.table.remove(slots[slots >= 0])
        assert contents(gone) == {key: value for key, value in self.model.items() if key in held}
        self.model = {key: value for key, value in self.model.items() if key not in held}
        self.commit()

    @rule()
    def restore(self) -> None:
        self.table.restore(self.copy.frame())

    @rule(held=entries)
    def forget_an_unfinished_batch(self, held: dict[Key, tuple[int, int | None]]) -> None:
        self.table.upsert(frame(self.table, held))
        self.table.evict(10)
        self.table.restore(self.copy.frame())

    @rule(held=entries)
    def look_up(self, held: dict[Key, tuple[int, int | None]]) -> None:
        rows = frame(self.table, held)
        slots = self.table.find(rows)
        assert [slot >= 0 for slot in slots] == [key in self.model for key in held]
        known = contents(self.table.rows(slots[slots >= 0]))
        assert known == {key: self.model[key] for key in held if key in self.model}

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        assert contents(self.table.frame()) == self.model
        assert contents(self.copy.frame()) == self.model
        assert len(self.table) == len(self.model)


class CollidingMachine(Machine):
    kind = Colliding


class BlockMachine(Machine):
    """Where all columns have a fixed width, rows are kept in a block."""

    names = pl.Int16()


class CollidingBlockMachine(BlockMachine):
    kind = Colliding


effort = settings(max_examples=15, stateful_step_count=15, deadline=None, derandomize=True, database=None,
                  suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
TestTable = Machine.TestCase
TestTable.settings = effort
TestTableWithCollisions = CollidingMachine.TestCase
TestTableWithCollisions.settings = effort
TestBlock = BlockMachine.TestCase
TestBlock.settings = effort
TestBlockWithCollisions = CollidingBlockMachine.TestCase
TestBlockWithCollisions.settings = effort


# -- keys of every kind

BERLIN = "Europe/Berlin"
KINDS: dict[str, tuple[Any, list[Any]]] = {
    "text": (pl.String(), ["a", "", "é", "日本", "a" * 300, None]),
    "numbers": (pl.Float64(), [0.0, 1.5, math.inf, -math.inf, math.nan, None]),
    "whole numbers": (pl.Int64(), [0, -1, 2**63 - 1, -(2**63), None]),
    "truth": (pl.Boolean(), [True, False, None]),
    "lists": (pl.List(pl.Int64()), [[], [1], [1, None], [None], [1, 2], None]),
    "times": (pl.Datetime("us"), [dt.datetime(1969, 12, 31), dt.datetime(2026, 1, 1, 0, 0, 0, 1), None]),
    "times in a zone": (
        pl.Datetime("us", BERLIN),
        [dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC), dt.datetime(2026, 10, 25, 1, 30, tzinfo=dt.UTC), None],
    ),
    "days": (pl.Date(), [dt.date(1970, 1, 1), dt.date(2026, 2, 28), None]),
    "hours": (pl.Time(), [dt.time(0), dt.time(23, 59, 59, 999_999), None]),
    "spans": (pl.Duration("ms"), [dt.timedelta(0), dt.timedelta(days=-3), None]),
    "small numbers": (pl.UInt8(), [0, 255, None]),
    "large numbers": (pl.UInt64(), [0, 2**63, 2**64 - 1, None]),
    "short numbers": (pl.Float32(), [0.0, 0.1, math.nan, None]),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["key", "value"])
def test_every_kind_of_value_is_kept_and_found_again(kind: str, role: str) -> None:
    dtype, values = KINDS[kind]
    table = StateTable({"it": dtype, "n": pl.Int64()}, ["it"] if role == "key" else ["n"])
    rows = pl.DataFrame({"it": pl.Series(values, dtype=dtype), "n": range(len(values)), EXPIRES: [7] * len(values)})
    table.upsert(rows.with_columns(pl.lit(None, pl.Int64).alias(EXPIRES)))
    table.upsert(rows[::-1])
    assert table.frame().sort("n").equals(rows.sort("n"))
    assert (table.find(rows) >= 0).all()
    assert len(table.evict(7)) == len(rows)
    assert len(table) == 0


def test_minus_zero_is_zero_and_nan_is_one_key() -> None:
    table = StateTable({"x": pl.Float64()}, ["x"])
    for value in (0.0, -0.0, math.nan, -math.nan, float("nan")):
        table.upsert(pl.DataFrame({"x": [value], EXPIRES: [None]}, schema=table.schema))
    assert len(table) == 2


# -- cost


def numbers(table: StateTable, values: range, ends: int | None = None) -> pl.DataFrame:
    types = {name: table.schema[name] for name in ("k", EXPIRES)}
    return pl.DataFrame({"k": values, EXPIRES: [ends] * len(values)}, schema_overrides=types)


def test_many_small_batches_leave_few_parts() -> None:
    table = StateTable({"k": pl.Int64(), "text": pl.String()}, ["k"])
    for i in range(1000):
        table.upsert(numbers(table, range(3 * i, 3 * i + 3), i).with_columns(text=pl.lit("x")))
    assert isinstance(table._store, Versions)
    assert len(table._store._parts) <= 8
    assert len(table._calendar) <= 32
    assert len(table.frame()) == 3000


def test_versions_of_one_key_do_not_pile_up() -> None:
    table = StateTable({"k": pl.Int64()}, ["k"])
    for i in range(1500):
        table.upsert(numbers(table, range(1), i))
    assert len(table) == 1
    assert table.nbytes < 200_000


def test_old_versions_of_large_rows_are_given_back_sooner() -> None:
    table = StateTable({"k": pl.Int64(), "text": pl.String()}, ["k"])
    for i in range(100):
        text = pl.lit(str(i) + "x" * 100_000).alias("text")
        table.upsert(numbers(table, range(1)).with_columns(text))
        table.commit()
    assert table.nbytes < 3_000_000


def test_a_table_that_forgets_as_much_as_it_learns_stays_as_small() -> None:
    table, sizes = StateTable({"k": pl.Int64()}, ["k"]), []
    for i in range(600):
        table.upsert(numbers(table, range(100 * i, 100 * i + 100), i))
        table.evict(i - 3)
        table.commit()
        sizes.append(table.nbytes)
    assert len(table) == 300
    assert max(sizes[300:]) <= max(sizes[:300])


def test_a_key_that_comes_back_is_evicted_again() -> None:
    table = StateTable({"k": pl.Int64()}, ["k"])
    for _ in range(3):
        table.upsert(numbers(table, range(2), 5))
        assert len(table.evict(10)) == 2


# -- the index


@given(st.lists(st.sampled_from(range(40)), unique=True, max_size=40), st.integers(1, 8))
def test_the_index_finds_what_was_put_in_and_nothing_else(names: list[int], modulus: int) -> None:
    index, hashes = HashIndex(), np.array([(n % modulus) << 60 | n for n in names], np.uint64)
    slots = np.arange(len(names), dtype=np.int64)
    index.insert(hashes, slots)
    index.remove(slots[::2])
    expected = np.where(slots % 2 == 0, -1, slots)
    assert (index.find(hashes) == expected).all()
    index.insert(hashes[::2], slots[::2])
    assert (index.find(hashes) == slots).all()


def test_a_table_that_was_large_gives_its_memory_back() -> None:
    table = StateTable({"k": pl.Int64()}, ["k"])
    table.upsert(numbers(table, range(200_000), 1))
    table.upsert(numbers(table, range(-10, 0), 2))
    large = table.nbytes
    table.evict(1)
    removed = table.commit().removed
    assert len(removed) == 200_000
    assert table.nbytes < large / 1000
    assert table.frame()["k"].to_list() == list(range(-10, 0))
    assert len(table.evict(2)) == 10


def test_more_columns_than_a_block_has_bits_for_are_kept_all_the_same() -> None:
    names = [f"c{n}" for n in range(20)]
    table = StateTable(dict.fromkeys(names, pl.Int64()), ["c0"])
    rows = pl.DataFrame({name: [n, None] for n, name in enumerate(names)} | {EXPIRES: [None, 3]}, table.schema)
    table.upsert(rows)
    assert table.frame().equals(rows)
