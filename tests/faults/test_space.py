"""A disk or a sink that fails, wherever, leaves a query that goes on exactly when it works again."""

from __future__ import annotations

import pytest

from tests.faults.space import can_mount, fail_everywhere, fail_in_the_sink, fill_up
from tests.lacking import give_up


def test_a_disk_may_fail_anywhere():
    found = fail_everywhere("window append", 3, every=2)
    assert found.tried > 25
    assert set(found.calls) >= {"open", "write", "fsync", "rename", "sync", "append", "flush"}
    assert found.silent == []


def test_a_sink_may_fail_at_any_batch():
    found = fail_in_the_sink("join", 3)
    assert found.tried > 10
    assert found.silent == []


@pytest.mark.parametrize("kilobytes", [80, 160])
def test_a_disk_may_be_full(kilobytes):
    if not can_mount():
        give_up("only root may mount a small file system")
    full, exact = fill_up("window append", 3, kilobytes)
    assert full >= 0
    assert exact
