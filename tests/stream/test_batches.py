"""The operators of DStream that look at one batch at a time, as PySpark 4.3 has them."""

from __future__ import annotations

import operator

import pytest

import streamnb as sn
from tests.stream.given import given, given_two

# -- element by element


def test_map_gives_one_for_one_and_an_empty_batch_for_an_empty_one():
    assert given([1, 2], [], [3], of=lambda b: b.map(str)) == [["1", "2"], [], ["3"]]


def test_flat_map_gives_all_elements_of_all_results():
    assert given(["a b", "c"], of=lambda b: b.flat_map(str.split)) == [["a", "b", "c"]]


def test_filter_keeps_batches_that_become_empty():
    assert given([1, 2, 3], [1], of=lambda b: b.filter(lambda x: x > 1)) == [[2, 3], []]


def test_map_values_leaves_keys_alone():
    assert given([("a", 1), ("b", 2)], of=lambda b: b.map_values(lambda v: v * 10)) == [[("a", 10), ("b", 20)]]


def test_flat_map_values_gives_a_pair_for_every_value():
    assert given([("a", "xy"), ("b", "")], of=lambda b: b.flat_map_values(list)) == [[("a", "x"), ("a", "y")]]


# -- partitions


def test_a_batch_is_one_partition_an_empty_one_too():
    assert given([1, 2], [], of=lambda b: b.glom()) == [[[1, 2]], [[]]]


def test_repartition_cuts_batches_in_order():
    assert given([1, 2, 3, 4, 5], of=lambda b: b.repartition(2).glom()) == [[[1, 2], [3, 4, 5]]]


def test_repartition_leaves_the_elements_as_they_are():
    assert given([1, 2, 3], [], of=lambda b: b.repartition(4)) == [[1, 2, 3], []]


def test_filter_and_map_keep_partitions():
    assert given([1, 2, 3, 4], of=lambda b: b.repartition(2).filter(lambda x: x > 1).map(str).glom()) == [
        [["2"], ["3", "4"]]
    ]


def test_map_partitions_is_called_once_a_partition():
    assert given([1, 2, 3, 4], of=lambda b: b.repartition(2).map_partitions(lambda part: [sum(part)])) == [[3, 7]]


def test_repartition_into_one_joins_again():
    assert given([1, 2, 3], of=lambda b: b.repartition(3).repartition(1).glom()) == [[[1, 2, 3]]]


def test_repartition_needs_a_partition():
    with pytest.raises(sn.PlanError, match="repartition: 0 partitions"):
        sn.batches().repartition(0)


# -- a batch as a whole


def test_count_of_an_empty_batch_is_zero():
    assert given([5, 6], [], of=lambda b: b.count()) == [[2], [0]]


def test_count_by_value_gives_pairs():
    assert given(["a", "b", "a"], [], of=lambda b: b.count_by_value()) == [[("a", 2), ("b", 1)], []]


def test_reduce_gives_one_element_and_nothing_for_an_empty_batch():
    assert given([1, 2, 3], [], [4], of=lambda b: b.reduce(operator.add)) == [[6], [], [4]]


def test_transform_sees_the_batch_and_its_number_if_it_asks():
    assert given([3, 1], of=lambda b: b.transform(sorted)) == [[1, 3]]
    assert given([3, 1], [2], of=lambda b: b.transform(lambda time, batch: [time, *batch])) == [[0, 3, 1], [1, 2]]


def test_transform_with_sees_both_batches():
    assert given_two(([1, 2], [2]), of=lambda a, b: a.transform_with(lambda x, y: set(x) - set(y), b)) == [[1]]


def test_union_joins_the_batches_of_one_interval():
    assert given_two(([1], [2]), ([3], []), of=lambda a, b: a.union(b)) == [[1, 2], [3]]


def test_union_has_the_partitions_of_both():
    assert given_two(([1, 2], [3]), of=lambda a, b: a.repartition(2).union(b).glom()) == [[[1], [2], [3]]]


def test_union_of_three_streams():
    streams = [sn.batches() for _ in range(3)]
    together = streams[0].union(*streams[1:])
    for n, stream in enumerate(streams):
        stream.emit([n])
    assert together.last == [0, 1, 2]


# -- by key


def test_reduce_by_key_goes_by_the_batch():
    batches = [[("a", 1), ("b", 1), ("a", 1)], [("a", 5)]]
    assert given(*batches, [], of=lambda b: b.reduce_by_key(operator.add)) == [[("a", 2), ("b", 1)], [("a", 5)], []]


def test_group_by_key_gives_lists():
    assert given([("a", 1), ("b", 2), ("a", 3)], of=lambda b: b.group_by_key()) == [[("a", [1, 3]), ("b", [2])]]


def test_combine_by_key_merges_within_and_then_over_partitions():
    def of(b):
        return b.repartition(2).combine_by_key(lambda v: [v], lambda c, v: [*c, v], lambda a, b: [a, b])

    assert given([("a", 1), ("a", 2), ("a", 3), ("b", 4)], of=of) == [[("a", [[1, 2], [3]]), ("b", [4])]]


def test_join_is_of_the_same_batch_only():
    first = [("a", 1), ("b", 2)], [("a", "x"), ("a", "y")]
    assert given_two(first, ([], [("b", "z")]), of=lambda a, b: a.join(b)) == [[("a", (1, "x")), ("a", (1, "y"))], []]


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("left_outer_join", [("a", (1, None)), ("b", (2, "x"))]),
        ("right_outer_join", [("b", (2, "x")), ("c", (None, "y"))]),
        ("full_outer_join", [("a", (1, None)), ("b", (2, "x")), ("c", (None, "y"))]),
    ],
)
def test_outer_joins_give_none_for_what_is_not_there(verb, expected):
    pair = [("a", 1), ("b", 2)], [("b", "x"), ("c", "y")]
    assert given_two(pair, of=lambda a, b: getattr(a, verb)(b)) == [expected]


def test_cogroup_gives_the_values_of_both_sides():
    pair = [("a", 1), ("a", 2)], [("b", 3)]
    assert given_two(pair, of=lambda a, b: a.cogroup(b)) == [[("a", ([1, 2], [])), ("b", ([], [3]))]]


def test_a_stream_may_be_joined_with_itself():
    assert given([("a", 1)], of=lambda b: b.join(b)) == [[("a", (1, 1))]]


def test_two_branches_of_one_stream_meet_again():
    assert given([1, 2], [3], of=lambda b: b.map(str).union(b.filter(lambda x: x > 1))) == [["1", "2", 2], ["3", 3]]


# -- out


def test_for_each_batch_is_called_for_every_batch_with_its_number_if_it_asks():
    source = sn.batches()
    plain: list[list[int]] = []
    timed: list[tuple[int, list[int]]] = []
    sinks = [
        source.for_each_batch(plain.append),
        source.for_each_batch(lambda time, batch: timed.append((time, batch))),
    ]
    for batch in [1], [], [2]:
        source.emit(batch)
    for sink in sinks:
        sink.destroy()
    source.emit([3])
    assert plain == [[1], [], [2]]
    assert timed == [(0, [1]), (1, []), (2, [2])]


def test_for_each_batch_runs_though_nobody_holds_it():
    source = sn.batches()
    seen: list[list[str]] = []
    source.map(str).for_each_batch(seen.append)
    source.emit([1])
    assert seen == [["1"]]


def test_slice_gives_the_batches_between_both_ends():
    source = sn.batches().remember(3)
    for n in range(5):
        source.emit([n])
    assert source.slice(2, 3) == [[2], [3]]
    with pytest.raises(sn.PlanError, match=r"slice: batch 1 is not remembered; remember\(4\)"):
        source.slice(1, 3)


def test_slice_of_a_stream_that_remembers_nothing_is_refused():
    source = sn.batches()
    source.emit([1])
    with pytest.raises(sn.PlanError, match="remember"):
        source.slice(0, 0)
