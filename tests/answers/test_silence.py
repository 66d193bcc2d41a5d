"""q.sources says which source has fallen silent, and since when."""

from __future__ import annotations

import streamnb as sn

CLICKS = {"at": "datetime", "n": "int64"}


def test_a_source_that_brings_nothing_says_since_when() -> None:
    left, right, clock = sn.MemorySource(CLICKS), sn.MemorySource(CLICKS), sn.ManualClock("2026-01-01 09:00")
    query = sn.stream(left).union(sn.stream(right)).query(clock=clock)
    right.add([{"at": "2026-01-01 00:03", "n": 1}])
    query.step()
    for second in range(10, 15):
        clock.advance("1 minute")
        left.add([{"at": f"2026-01-01 00:00:{second}", "n": 1}])
        query.step()
    assert query.sources == [repr(left), f"{right!r}: silent since 2026-01-01 09:00, 5 batches"]


def test_one_that_never_spoke_is_silent_from_the_beginning() -> None:
    left, right = sn.MemorySource(CLICKS), sn.MemorySource(CLICKS)
    query = sn.stream(left).union(sn.stream(right)).query()
    assert query.sources == [repr(left), repr(right)]
    left.add([{"at": "2026-01-01", "n": 1}])
    query.step()
    assert query.sources == [repr(left), f"{right!r}: silent from the beginning, 1 batch"]
