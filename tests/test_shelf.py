"""State tables found by a part of their key, and what is due in them: against a dictionary."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnb.cells import Cells, Entry, ManyCells
from streamnb.shelf import Shelf
from streamnb.state import EXPIRES, StateTable

GROUP, REST = {"g": pl.String()}, {"k": pl.Float64()}
NAN = float("nan")

groups = st.sampled_from(["a", "b", None])
rests = st.sampled_from([0.0, 1.0, NAN, None])
writes = st.tuples(st.just("put"), groups, rests, st.integers(0, 9), st.none() | st.integers(1, 30))
actions = st.one_of(writes, st.tuples(st.just("remove"), groups, rests), st.tuples(st.just("due"), st.integers(0, 30)))
batches = st.lists(st.lists(actions, max_size=8), max_size=12)


def shown(value):
    return "nan" if value != value else value  # noqa: PLR0124


def held(frame):
    return sorted(map(str, frame.rows()))


@settings(deadline=None, derandomize=True, max_examples=60, database=None)
@given(batches)
def test_cells_are_a_dictionary_and_their_changes_can_be_replayed(batches):
    cells, model = ManyCells(GROUP, REST, {"v": pl.Int64()}), {}
    twin = cells.table.like()
    names = pl.DataFrame({"g": ["a", "b", None]}, schema=GROUP)
    number = {"a": 0, "b": 1, None: 2}
    for batch in batches:
        cells.open(names)
        for action, *how in batch:
            if action == "put":
                group, rest, value, expires = how
                cells.put(number[group], Entry((value,), expires), (rest,))
                model[group, shown(rest)] = value, expires
            elif action == "remove":
                cells.remove(number[how[0]], (how[1],))
                model.pop((how[0], shown(how[1])), None)
            for group, at in number.items():
                mine = {shown(rest): tuple(entry) for (rest,), entry in cells.members(at)}
                assert mine == {rest: ((v,), e) for (g, rest), (v, e) in model.items() if g == group}
        cells.close()
        until = max((how[0] for action, *how in batch if action == "due"), default=0)
        ends = sorted(e for _, e in model.values() if e is not None and e <= until)
        assert cells.table.rows(cells.table.due(until))[EXPIRES].to_list() == ends
        assert cells.table.evict(until)[EXPIRES].to_list() == ends
        model = {cell: row for cell, row in model.items() if row[1] is None or row[1] > until}
        twin.apply(cells.table.commit())
        assert len(cells.table) == len(model)
        assert held(twin.frame()) == held(cells.table.frame())


def test_a_cell_of_a_large_group_is_found_without_the_others():
    cells = ManyCells(GROUP, {"k": pl.Int64()}, {"v": pl.Int64()})
    names = pl.DataFrame({"g": ["a"]})
    cells.open(names)
    for k in range(5_000):
        cells.put(0, Entry((k,)), (k,))
    cells.close()
    cells.open(names)
    assert cells.get(0, (17,)) == Entry((17,))
    assert cells.get(0, (5_000,)) is None
    assert len(cells._read) == 1
    assert [cells.get(0, (k,)) for k in range(30)] == [Entry((k,)) for k in range(30)]
    assert len(cells._read) == 5_000


def test_what_a_failed_batch_wrote_is_forgotten_with_it():
    cells = Cells(GROUP, {"v": pl.Int64()})
    for value in (1, 2):
        cells.open(pl.DataFrame({"g": ["a"]}))
        assert cells.get(0) is None
        cells.put(0, Entry((value,)))
    assert held(cells.close()[0]) == held(pl.DataFrame({"g": ["a"], "v": [2], EXPIRES: [None]}))


def test_groups_that_share_a_hash_are_kept_apart(monkeypatch):
    monkeypatch.setattr(Shelf, "_group_hash", lambda _, rows: pl.Series([7] * len(rows), dtype=pl.UInt64).to_numpy())
    shelf = Shelf({"g": pl.String(), "k": pl.Int64()}, ["g", "k"], ["g"])
    rows = pl.DataFrame({"g": ["a", "b", "a"], "k": [1, 2, 3], EXPIRES: [None] * 3}, schema=shelf.schema)
    shelf.upsert(rows)
    positions, slots = shelf.of(pl.DataFrame({"g": ["b", "c", "a"]}))
    assert list(zip(positions.tolist(), shelf.rows(slots)["k"].to_list(), strict=True)) == [(0, 2), (2, 1), (2, 3)]


def test_a_shelf_forgets_what_is_gone():
    shelf = Shelf({"g": pl.Int64(), "k": pl.Int64()}, ["g", "k"], ["g"])
    for n in range(0, 20_000, 100):
        at = list(range(n, n + 100))
        shelf.upsert(pl.DataFrame({"g": at, "k": at, EXPIRES: at}, schema=shelf.schema))
        shelf.evict(n)
    assert len(shelf) == 99
    assert shelf.nbytes < 300_000


def test_a_row_in_the_place_of_one_that_ended_ends_too():
    table = StateTable({"k": pl.Int64()}, ["k"])
    for k in (1, 2):
        table.upsert(pl.DataFrame({"k": [k], EXPIRES: [5]}, schema=table.schema))
        assert table.rows(table.due(5))["k"].to_list() == [k]
        assert table.evict(5)["k"].to_list() == [k]


def test_what_is_due_stays_until_it_is_written_or_removed():
    table = StateTable({"k": pl.Int64()}, ["k"])
    table.upsert(pl.DataFrame({"k": [1, 2, 3], EXPIRES: [9, 5, None]}, schema=table.schema))
    for _ in range(2):
        assert table.rows(table.due(9))["k"].to_list() == [2, 1]
    table.upsert(pl.DataFrame({"k": [2], EXPIRES: [20]}, schema=table.schema))
    assert table.rows(table.due(9))["k"].to_list() == [1]
    assert table.rows(table.due(20))["k"].to_list() == [1, 2]
