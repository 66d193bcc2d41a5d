"""Sorting by digits is a stable sort, whatever the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnb.order import ordered

FAR = st.one_of(st.integers(-3, 3), st.integers(-(2**63), 2**63 - 1), st.sampled_from([2**16, 2**32, 2**48, -(2**48)]))


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(FAR, max_size=60))
def test_it_gives_what_a_stable_sort_gives(values: list[int]) -> None:
    numbers = np.array(values, np.int64)
    assert (ordered(numbers) == np.argsort(numbers, kind="stable")).all()


@pytest.mark.parametrize("shift", [0, 31, 63])
def test_numbers_without_a_sign_are_sorted_too(shift: int) -> None:
    numbers = np.array([2**64 - 1, 1 << shift, 0, 1 << shift], np.uint64)
    assert (ordered(numbers) == np.argsort(numbers, kind="stable")).all()
