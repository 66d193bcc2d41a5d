"""Where things go wrong: errors in a user's function, odd batches, streams of unequal length, nodes nobody holds."""

from __future__ import annotations

import gc
import operator

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from streamz import RefCounter, Stream

import streamnb as sn
from tests.stream.given import given


def fail(x):
    raise ValueError(f"no {x}")


def test_an_error_in_a_function_is_a_query_error_that_names_operator_function_and_batch():
    source = sn.batches()
    upper = source.map(fail)
    with pytest.raises(sn.QueryError, match=r"^map fail failed on batch 0, 2 elements: ValueError no 1\.$") as error:
        source.emit([1, 2])
    assert isinstance(error.value.__cause__, ValueError)
    assert upper.last == []


def test_an_error_names_the_node_as_you_named_it():
    source = sn.batches()
    parse = source.map(int)
    parse.name = "parse"
    with pytest.raises(sn.QueryError, match=r"^parse failed on batch 0, 1 elements: ValueError invalid literal"):
        source.emit(["x"])


def test_an_error_in_for_each_batch_is_a_query_error_too():
    source = sn.batches()
    sink = source.for_each_batch(fail)
    with pytest.raises(sn.QueryError, match=r"^for_each_batch fail failed on batch 0, 1 elements"):
        source.emit([1])
    sink.destroy()


def test_elements_that_are_not_pairs_are_named():
    with pytest.raises(sn.QueryError, match=r"reduce_by_key add failed .* 7 is not a pair \(key, value\)"):
        given([7], of=lambda b: b.reduce_by_key(operator.add))


def test_a_state_keeps_what_it_was_when_its_function_fails():
    source = sn.batches()
    state = source.update_state_by_key(lambda values, before: (before or 0) + sum(values))
    source.emit([("a", 1)])
    with pytest.raises(sn.QueryError):
        source.emit([("a", "x")])
    source.emit([("b", 1)])
    assert state.last == [("a", 1), ("b", 1)]


def test_an_inverse_window_keeps_what_it_was_when_a_function_fails():
    source = sn.batches()
    window = source.reduce_by_key_and_window(operator.add, operator.sub, 2)
    source.emit([("a", 1)])
    with pytest.raises(sn.QueryError):
        source.emit([("a", "x")])
    source.emit([("a", 5)])
    assert window.last == [("a", 5)]


def test_branches_meet_in_step_after_one_of_them_failed():
    source = sn.batches()
    both = source.map(str).union(source.map(lambda x: 1 // x))
    out = both.sink_to_list()
    source.emit([1])
    with pytest.raises(sn.QueryError, match="ZeroDivisionError"):
        source.emit([0])
    source.emit([2])
    assert out == [["1", 1], ["2", 0]]


def test_of_streams_of_unequal_length_the_longer_waits():
    left, right = sn.batches(), sn.batches()
    out = left.union(right).sink_to_list()
    for n in range(3):
        left.emit([n])
    assert out == []
    right.emit(["x"])
    right.emit(["y"])
    assert out == [[0, "x"], [1, "y"]]


def test_of_frames_of_unequal_length_the_shorter_goes_on_with_empty_batches():
    short, long = (sn.from_pandas({"n": list(range(size))}, rows=1) for size in (1, 3))
    a, b = (sn.objects(frame).map(operator.itemgetter("n")) for frame in (short, long))
    assert a.union(b).run() == [[0, 0], [1], [2]]


@pytest.mark.parametrize("element", [3, "text", {"a": 1}, None])
def test_what_is_no_list_is_no_batch(element):
    source = Stream()
    held = sn.batches(source)
    with pytest.raises(sn.DataError, match="batches: a batch is a list of elements"):
        source.emit(element)
    assert held.time == -1


def test_tuples_ranges_and_generators_are_taken_for_lists():
    assert given((1, 2), range(2), (x for x in "ab"), of=lambda b: b) == [[1, 2], [0, 1], ["a", "b"]]


def test_a_chain_that_nobody_holds_does_not_run():
    source = sn.batches()
    seen: list[int] = []
    source.map(seen.append)
    gc.collect()
    source.emit([1])
    assert seen == []


def test_the_last_node_holds_all_above_it():
    source = Stream()
    counts = sn.batches(source).map(lambda x: (x, 1)).window(2).reduce_by_key(operator.add)
    gc.collect()
    source.emit(["a"])
    assert counts.last == [("a", 1)]


def test_streamz_own_operators_are_as_they_were():
    source = Stream()
    plain = source.map(len).filter(lambda n: n > 1).union(source.flatten()).sink_to_list()
    assert not isinstance(source.map(len), sn.Batches)
    source.emit([1, 2])
    assert plain == [2, 1, 2]


def test_streamz_operators_go_on_below_batches():
    source = sn.batches()
    out = source.map(lambda x: x * 2).flatten().accumulate(operator.add).sink_to_list()
    source.emit([1, 2])
    assert out == [2, 4 + 2]


def test_streamz_partition_makes_batches_of_elements():
    source = Stream()
    sums = sn.batches(source.partition(2)).reduce(operator.add).sink_to_list()
    for n in range(5):
        source.emit(n)
    assert sums == [[1], [5]]


def test_references_to_a_batch_are_let_go_when_it_is_done():
    class Loop:
        def add_callback(self, callback):
            callback()

    done, left, right = [], sn.batches(), sn.batches()
    together = left.union(right)
    left.emit([1], metadata=[{"ref": RefCounter(0, lambda: done.append(1), Loop())}])
    assert done == []
    right.emit([2])
    assert together.last == [1, 2]
    assert done == [1]


def test_the_repr_says_what_came_last():
    source = sn.batches()
    upper = source.map(str.upper)
    assert repr(upper) == "<map upper: no batch yet>"
    source.emit(["a"])
    assert repr(upper) == "<map upper: batch 0, ['A']>"


@settings(deadline=None)
@drawn(st.lists(st.lists(st.integers(0, 5), max_size=5), max_size=5), st.integers(1, 4))
def test_partitions_change_no_result(batches, count):
    def of(b):
        return b.map(lambda x: (x % 2, x)).reduce_by_key(operator.add)

    cut = given(*batches, of=lambda b: of(b.repartition(count)))
    assert list(map(dict, cut)) == list(map(dict, given(*batches, of=of)))
