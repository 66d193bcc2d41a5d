"""from_rate: so many rows a second."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import PlanError


def test_rows_come_as_time_passes() -> None:
    clock = sn.ManualClock("2026-01-01")
    query = sn.from_rate(2, clock=clock).query(clock=clock)
    assert query.step() is None
    clock.advance("1s")
    query.step()
    clock.advance("1500ms")
    query.step()
    assert [list(rows["value"]) for rows in query.emitted] == [[0, 1], [2, 3, 4]]
    assert [f"{time:%S.%f}" for time in query.result["timestamp"]] == [
        "00.500000",
        "01.000000",
        "01.500000",
        "02.000000",
        "02.500000",
    ]


def test_a_row_is_there_when_its_time_has_come_and_not_before() -> None:
    clock = sn.ManualClock("2026-01-01")
    query = sn.from_rate(3, clock=clock).query(clock=clock)
    for _ in range(40):
        clock.advance("100ms")
        query.step()
    assert len(query.result) == 12
    assert (query.result["timestamp"].max() - query.result["timestamp"].min()).total_seconds() == pytest.approx(
        11 / 3, abs=1e-5
    )


def test_fewer_than_one_row_a_second() -> None:
    clock = sn.ManualClock("2026-01-01")
    query = sn.from_rate(0.1, clock=clock).query(clock=clock)
    clock.advance("25s")
    assert list(query.run().result["value"]) == [0, 1]


def test_the_same_rows_come_again_after_rewinding() -> None:
    clock = sn.ManualClock("2026-01-01")
    query = sn.from_rate(2, clock=clock).query(clock=clock)
    clock.advance("3s")
    first = query.run().result
    assert query.rewind(-1).run().result.equals(first)


def test_it_is_a_stream_like_any_other() -> None:
    clock = sn.ManualClock("2026-01-01")
    frame = sn.from_rate(10, clock=clock).with_watermark("timestamp", "0s")
    query = frame.group_by(sn.window("timestamp", "1s")).agg(n=sn.count()).query(clock=clock)
    clock.advance("3s")
    assert list(query.run().result["n"]) == [9, 10, 10]


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_no_rate_at_all(rate: float) -> None:
    with pytest.raises(PlanError, match=rf"from_rate: rows_per_second={rate} gives none; ") as error:
        sn.from_rate(rate)
    assert error.value.code == "OPTION_INVALID"
