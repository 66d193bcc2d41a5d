"""State by key: update_state_by_key, map_with_state, and what a checkpoint brings back."""

from __future__ import annotations

import datetime as dt
import operator

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

import streamnb as sn
from tests.stream.given import given


def total(values, before):
    return sum(values) + (before or 0)


def test_update_state_by_key_gives_the_whole_state_in_every_batch():
    out = given([("a", 1)], [("b", 2)], [], of=lambda b: b.update_state_by_key(total))
    assert out == [[("a", 1)], [("a", 1), ("b", 2)], [("a", 1), ("b", 2)]]


def test_update_state_by_key_calls_for_every_known_key_with_no_values_when_none_came():
    calls = []

    def note(values, before):
        calls.append((values, before))
        return (before or 0) + 1

    given([("a", "x"), ("a", "y")], [("b", "z")], [], of=lambda b: b.update_state_by_key(note))
    assert calls == [(["x", "y"], None), ([], 1), (["z"], None), ([], 2), ([], 1)]


def test_none_ends_a_key_and_it_may_come_again():
    def once(values, before):
        return None if before is not None else len(values)

    out = given([("a", 1)], [], [], [("a", 1)], of=lambda b: b.update_state_by_key(once))
    assert out == [[("a", 1)], [], [], [("a", 1)]]


def test_update_state_by_key_begins_with_a_state():
    assert given([("a", 1)], of=lambda b: b.update_state_by_key(total, {"a": 10, "b": 5})) == [[("a", 11), ("b", 5)]]


def running(key, value, state):
    state.update(state.get_option + value if state.exists else value)
    return key, state.get


def test_map_with_state_gives_one_result_an_element():
    out = given([("a", 1), ("b", 5), ("a", 2)], [("a", 3)], [], of=lambda b: b.map_with_state(running))
    assert out == [[("a", 1), ("b", 5), ("a", 3)], [("a", 6)], []]


def test_state_snapshots_give_the_whole_table():
    out = given([("a", 1), ("b", 5)], [("a", 3)], of=lambda b: b.map_with_state(running).state_snapshots())
    assert out == [[("a", 1), ("b", 5)], [("b", 5), ("a", 4)]]


def test_state_snapshots_are_of_map_with_state_only():
    with pytest.raises(sn.PlanError, match="state_snapshots: map has no such table"):
        sn.batches().map(lambda x: x).state_snapshots()


def goodbye(key, value, state):
    if state.is_timing_out:
        return key, "gone", state.get
    return running(key, value, state)


def test_a_key_idle_for_longer_than_the_timeout_is_called_once_more_and_goes():
    out = given([("a", 1)], [("b", 2)], [], [], [], of=lambda b: b.map_with_state(goodbye, timeout=2))
    assert out == [[("a", 1)], [("b", 2)], [], [("a", "gone", 1)], [("b", "gone", 2)]]


def test_data_keeps_a_key_from_timing_out():
    out = given([("a", 1)], [], [], [("a", 1)], [], of=lambda b: b.map_with_state(goodbye, timeout="2s"), batch="1s")
    assert out == [[("a", 1)], [], [], [("a", 2)], []]


def test_a_state_may_be_removed_and_made_anew_in_one_batch():
    def restart(key, value, state):
        if value == "stop":
            state.remove()
            return state.exists
        return running(key, value, state)

    out = given([("a", 1), ("a", "stop"), ("a", 7)], of=lambda b: b.map_with_state(restart))
    assert out == [[("a", 1), False, ("a", 7)]]


def test_a_state_that_times_out_cannot_be_changed():
    def stubborn(_, value, state):
        state.update(value)

    with pytest.raises(sn.QueryError, match=r"map_with_state stubborn failed on batch 2, .* is timing out"):
        given([("a", 1)], [], [], of=lambda b: b.map_with_state(stubborn, timeout=1))


def test_asking_for_a_state_that_is_not_there_says_so():
    with pytest.raises(sn.QueryError, match=r"state\.get: there is no state"):
        given([("a", 1)], of=lambda b: b.map_with_state(lambda *given: given[-1].get))


# -- checkpoints


def chain(source):
    """Everything that remembers, one behind the other."""
    words = source.map(lambda word: (word, 1))
    counts = words.reduce_by_key_and_window(operator.add, operator.sub, 3)
    return counts.window(2).update_state_by_key(total).map_with_state(running, timeout=2)


words = st.lists(st.lists(st.sampled_from("abc"), max_size=3), min_size=1, max_size=9)


@settings(deadline=None)
@drawn(words, st.integers(0, 9))
def test_a_chain_goes_on_from_its_checkpoint_as_if_nothing_had_happened(tmp_path_factory, batches, at):
    path = tmp_path_factory.mktemp("checkpoint") / "chain.json"
    whole = given(*batches, of=chain)
    before = given(*batches[:at], of=lambda b: chain(b).checkpoint(path))
    after = given(*batches[at:], of=lambda b: chain(b).checkpoint(path))
    assert before + after == whole


def test_objects_go_on_where_they_were(tmp_path):
    def fresh():
        flights = sn.objects(sn.data.landings("JFK", "2013-02-08", every="2 h"))
        return flights.map(lambda row: (row["dest"], 1)).update_state_by_key(total).checkpoint(tmp_path / "jfk.json")

    whole = sn.objects(sn.data.landings("JFK", "2013-02-08")).count().run()
    first = fresh()
    for _ in range(3):
        first.step()
    last = fresh().run()[-1]
    assert sum(n for _, n in last) == sum(n for batch in whole for n in batch)


def test_waiting_batches_of_a_join_are_saved(tmp_path):
    def fresh():
        left, right = sn.batches(), sn.batches()
        return left, right, left.union(right).checkpoint(tmp_path / "union.json")

    left, right, together = fresh()
    for n in range(3):
        left.emit([n])
    right.emit(["x"])
    left, right, together = fresh()
    right.emit(["y"])
    assert together.last == [1, "y"]


def test_a_checkpoint_of_other_operators_is_refused(tmp_path):
    given([("a", 1)], of=lambda b: b.update_state_by_key(total).checkpoint(tmp_path / "one.json"))
    with pytest.raises(sn.CheckpointError, match=r"is of \['batches', 'update_state_by_key total'\], and these are"):
        sn.batches().window(2).checkpoint(tmp_path / "one.json")


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "one.json").write_text('[{"node": ')
    with pytest.raises(sn.CheckpointError, match="is damaged"):
        sn.batches().window(2).checkpoint(tmp_path / "one.json")


def test_what_json_cannot_hold_is_refused_by_name(tmp_path):
    with pytest.raises(sn.CheckpointError, match="is a complex, which JSON cannot hold"):
        given(
            [("a", 1j)],
            of=lambda b: b.update_state_by_key(lambda values, _: values[0]).checkpoint(tmp_path / "one.json"),
        )


def test_tuples_times_and_sets_come_back_as_they_were(tmp_path):
    value = ("x", dt.datetime(2013, 2, 8, 17, 28), dt.date(2013, 2, 8), {1}, {("k",): [None, True, 1.5]})

    def of(b):
        return b.update_state_by_key(lambda values, before: before or values[0]).checkpoint(tmp_path / "one.json")

    given([(("a", 1), value)], of=of)
    assert given([], of=of) == [[(("a", 1), value)]]
