"""Windows of batches: what they hold, when they come, and the law that an inverse function changes nothing."""

from __future__ import annotations

import operator
from collections import Counter

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

import streamnb as sn
from tests.stream.given import given

SINGLE = [1], [2], [3], [4], [5]


def test_a_window_gives_the_last_batches_from_the_first_on():
    assert given(*SINGLE, of=lambda b: b.window(3)) == [[1], [1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


def test_a_window_comes_once_in_a_slide_first_after_one():
    assert given(*SINGLE, of=lambda b: b.window(3, 2)) == [[1, 2], [2, 3, 4]]


def test_a_slide_above_the_window_leaves_batches_out():
    assert given(*SINGLE, [6], of=lambda b: b.window(1, 3)) == [[3], [6]]


def test_a_window_of_empty_batches_is_empty():
    assert given([1], [], [], of=lambda b: b.window(2)) == [[1], [1], []]


def test_durations_are_counted_in_batches():
    assert given(*SINGLE, of=lambda b: b.window("3s", "2 seconds"), batch="1s") == [[1, 2], [2, 3, 4]]


def test_windows_of_windows_go_by_the_slide_of_the_first():
    assert given(*SINGLE, [6], of=lambda b: b.window(2, 2).window(4)) == [[1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]


@pytest.mark.parametrize(("window", "slide"), [(3, 2), (4, 3), (0, 2), (-2, 2), (4, 0)])
def test_windows_and_slides_are_multiples_of_the_slide_below(window, slide):
    below = sn.batches().window(2, 2)
    with pytest.raises(sn.PlanError, match="must be multiple of the parent dstream's slide") as error:
        below.window(window, slide)
    assert error.value.code == "WINDOW_INVALID"


def test_a_duration_that_is_no_multiple_of_the_batch_is_refused_in_words():
    with pytest.raises(sn.PlanError, match=r"window: 3 seconds must be multiple .* 2 seconds; give"):
        sn.batches(batch="2s").window("3s")


def test_a_duration_needs_to_know_how_long_a_batch_lasts():
    with pytest.raises(sn.PlanError, match="how long a batch lasts is not known") as error:
        sn.batches().window("3s")
    assert error.value.code == "DURATION_INVALID"


def test_streams_of_different_slides_do_not_join():
    numbers = sn.batches()
    with pytest.raises(sn.PlanError, match="union: the inputs give batches at different times"):
        numbers.union(numbers.window(2, 2))


def test_a_window_holds_the_partitions_of_its_batches():
    assert given([1, 2], [3], of=lambda b: b.window(2).glom()) == [[[1, 2]], [[1, 2], [3]]]


# -- reduced windows


def test_count_by_window_gives_zero_for_an_empty_window():
    assert given([], [7, 8], [], [], of=lambda b: b.count_by_window(2)) == [[0], [2], [2], [0]]


def test_count_by_value_and_window_leaves_out_zeros():
    assert given(["a"], ["b", "a"], [], [], of=lambda b: b.count_by_value_and_window(2)) == [
        [("a", 1)],
        [("a", 2), ("b", 1)],
        [("a", 1), ("b", 1)],
        [],
    ]


def test_reduce_by_window_without_inverse_gives_nothing_for_an_empty_window():
    assert given([1], [], [], of=lambda b: b.reduce_by_window(operator.add, None, 2)) == [[1], [1], []]


def test_reduce_by_window_with_inverse_gives_what_is_left():
    out = given([], [1], [], [], of=lambda b: b.reduce_by_window(operator.add, operator.sub, 2))
    assert out == [[], [1], [1], [0]]


KEYED: list[list[tuple[str, int]]] = [[("a", 1)], [("b", 1)], [], []]


def test_a_key_without_elements_vanishes_without_an_inverse_function():
    out = given(*KEYED, of=lambda b: b.reduce_by_key_and_window(operator.add, None, 2))
    assert out == [[("a", 1)], [("a", 1), ("b", 1)], [("b", 1)], []]


def test_a_key_without_elements_stays_with_an_inverse_function():
    out = given(*KEYED, of=lambda b: b.reduce_by_key_and_window(operator.add, operator.sub, 2))
    assert out == [[("a", 1)], [("a", 1), ("b", 1)], [("a", 0), ("b", 1)], [("a", 0), ("b", 0)]]


def test_a_filter_removes_such_keys():
    def of(b):
        return b.reduce_by_key_and_window(operator.add, operator.sub, 2, filter=lambda pair: pair[1] > 0)

    assert given(*KEYED, of=of) == [[("a", 1)], [("a", 1), ("b", 1)], [("b", 1)], []]


def test_a_filter_is_heard_without_an_inverse_function_too():
    def of(b):
        return b.reduce_by_key_and_window(operator.add, None, 2, filter=lambda pair: pair[1] > 1)

    assert given([("a", 1)], [("a", 1)], of=of) == [[], [("a", 2)]]


def test_group_by_key_and_window_gives_the_values_in_order():
    assert given([("a", 1)], [("a", 2), ("b", 3)], [], of=lambda b: b.group_by_key_and_window(2)) == [
        [("a", [1])],
        [("a", [1, 2]), ("b", [3])],
        [("a", [2]), ("b", [3])],
    ]


def test_the_inverse_function_sees_only_what_enters_and_leaves():
    calls: Counter[str] = Counter()

    def add(a, b):
        calls["add"] += 1
        return a + b

    def subtract(a, b):
        calls["subtract"] += 1
        return a - b

    batches = [[("a", 1)]] * 200
    assert given(*batches, of=lambda b: b.reduce_by_key_and_window(add, subtract, 100))[-1] == [("a", 100)]
    assert calls == {"add": 199, "subtract": 100}


# -- laws

numbers = st.lists(st.lists(st.integers(-9, 9), max_size=4), max_size=12)
spans = st.tuples(st.integers(1, 5), st.integers(1, 5))
keyed = st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-9, 9)), max_size=4), max_size=12)


@settings(deadline=None)
@drawn(numbers, spans)
def test_reduce_by_window_is_window_and_reduce(batches, spans):
    expected = given(*batches, of=lambda b: b.window(*spans).reduce(operator.add))
    assert given(*batches, of=lambda b: b.reduce_by_window(operator.add, None, *spans)) == expected
    inverted = given(*batches, of=lambda b: b.reduce_by_window(operator.add, operator.sub, *spans))
    assert [got if full else [] for got, full in zip(inverted, expected, strict=True)] == expected
    assert all(got in ([], [0]) for got, full in zip(inverted, expected, strict=True) if not full)


@settings(deadline=None)
@drawn(keyed, spans)
def test_reduce_by_key_and_window_is_window_and_reduce_by_key_but_for_keys_that_are_gone(batches, spans):
    expected = list(map(dict, given(*batches, of=lambda b: b.window(*spans).reduce_by_key(operator.add))))
    anew = given(*batches, of=lambda b: b.reduce_by_key_and_window(operator.add, None, *spans))
    assert list(map(dict, anew)) == expected
    inverted = given(*batches, of=lambda b: b.reduce_by_key_and_window(operator.add, operator.sub, *spans))
    assert [{k: v for k, v in got if k in whole} for got, whole in zip(inverted, expected, strict=True)] == expected
    assert all(v == 0 for got, whole in zip(inverted, expected, strict=True) for k, v in got if k not in whole)


@settings(deadline=None)
@drawn(st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=12), spans)
def test_counting_by_window_is_window_and_counting(batches, spans):
    counted = given(*batches, of=lambda b: b.count_by_value_and_window(*spans))
    expected = given(*batches, of=lambda b: b.window(*spans).count_by_value())
    assert list(map(dict, counted)) == list(map(dict, expected))
    assert given(*batches, of=lambda b: b.count_by_window(*spans)) == given(
        *batches, of=lambda b: b.window(*spans).count()
    )
