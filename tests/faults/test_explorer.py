"""After a power cut a query goes on exactly, whatever the disk forgot that it was not told to keep."""

from __future__ import annotations

import pytest

from tests.faults.explorer import explore


def test_whatever_a_power_cut_leaves_behind_is_exact():
    found = explore("window append")
    assert found.prefixes > 40
    assert found.tried > 120
    assert found.outcomes == {"exact": found.tried}, found.silent


@pytest.mark.parametrize("without", ["fsync", "sync"])
def test_a_disk_that_is_never_told_to_wait_is_noticed(without):
    found = explore("window append", without=without, enough=3)
    assert found.tried - found.outcomes["exact"] == 3
