"""from_pandas: a table as a stream, in order of arrival."""

from __future__ import annotations

from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, DataError, PlanError

MINUTES = [1, 30, 31, 59, 60, 61, 150]
TABLE = pd.DataFrame({"arrived": pd.Timestamp("2026-01-01") + pd.to_timedelta(MINUTES, unit="min"), "m": MINUTES})


def units(frame: sn.StreamFrame) -> list[list[int]]:
    query = frame.query().run()
    return [list(rows["m"]) for rows in query.emitted]


@pytest.mark.parametrize(
    "table",
    [
        TABLE,
        TABLE.astype({"arrived": "datetime64[ns]"}),
        TABLE.set_index("m", drop=False),
        pl.from_pandas(TABLE),
        pl.from_pandas(TABLE).cast({"arrived": pl.Datetime("ms")}),
        pa.Table.from_pandas(TABLE),
        TABLE.to_dict("list"),
        TABLE.to_dict("records"),
    ],
)
def test_a_unit_is_what_arrived_up_to_and_with_its_last_moment(table: Any) -> None:
    frame = sn.from_pandas(table, arrival="arrived", every="30 min")
    assert units(frame) == [[1, 30], [31, 59, 60], [61], [150]]


def test_rows_come_in_order_of_arrival_and_else_as_they_stand() -> None:
    table = pd.DataFrame({"arrived": pd.to_datetime(["2026-01-02", "2026-01-01", "2026-01-02"]), "m": [1, 2, 3]})
    assert units(sn.from_pandas(table, arrival="arrived")) == [[2, 1, 3]]
    assert units(sn.from_pandas(table)) == [[1, 2, 3]]


def test_a_unit_can_be_so_many_rows() -> None:
    assert units(sn.from_pandas(TABLE, rows=3)) == [[1, 30, 31], [59, 60, 61], [150]]
    assert units(sn.from_pandas(TABLE, rows=100)) == [MINUTES]


def test_without_a_measure_the_table_is_one_unit() -> None:
    assert units(sn.from_pandas(TABLE)) == [MINUTES]


def test_a_batch_has_the_time_at_which_its_unit_was_complete() -> None:
    query = sn.from_pandas(TABLE, arrival="arrived", every="30 min").query().run()
    assert [trace.time.strftime("%H:%M") for trace in query.trace] == ["00:30", "01:00", "01:30", "02:30"]


def test_a_batch_without_input_follows_at_once() -> None:
    frame = sn.from_pandas(TABLE, arrival="arrived", every="30 min").with_watermark("arrived", "0s")
    query = frame.group_by(sn.window("arrived", "10 min")).agg(n=sn.count()).query().run()
    assert query.trace[-1].no_data
    assert query.trace[-1].time == query.trace[-2].time
    assert query.rewind(1).run().trace[-1].time == query.trace[-2].time


def test_times_before_1970_and_with_a_zone_are_cut_the_same_way() -> None:
    for first in (pd.Timestamp("1969-06-01"), pd.Timestamp("2026-01-01", tz="Asia/Kolkata")):
        table = TABLE.assign(arrived=first + pd.to_timedelta(MINUTES, unit="min"))
        assert units(sn.from_pandas(table, arrival="arrived", every="30 min")) == [[1, 30], [31, 59, 60], [61], [150]]


def test_collect_sees_all_of_it() -> None:
    assert list(sn.from_pandas(TABLE, arrival="arrived", every="30 min").collect()["m"]) == MINUTES


def test_two_replays_are_read_in_step() -> None:
    left = sn.from_pandas(TABLE.iloc[::2], arrival="arrived", every="30 min")
    right = sn.from_pandas(TABLE.iloc[1::2], arrival="arrived", every="30 min")
    assert [sorted(unit) for unit in units(left.union(right))] == [[1, 30], [31, 59, 60], [61], [150]]


@pytest.mark.parametrize("measure", [{}, {"rows": 3}, {"arrival": "arrived", "every": "30 min"}])
def test_an_empty_table_is_a_stream_without_rows(measure: dict[str, Any]) -> None:
    frame = sn.from_pandas(TABLE.head(0), **measure)
    assert units(frame) == []
    assert list(frame.schema) == ["arrived", "m"]


def test_changing_the_table_afterwards_changes_nothing() -> None:
    table = TABLE.copy()
    frame = sn.from_pandas(table, rows=3)
    table.loc[:, "m"] = 0
    assert units(frame)[0] == [1, 30, 31]


def test_a_row_without_arrival_would_be_lost() -> None:
    table = TABLE.assign(arrived=TABLE["arrived"].where(TABLE["m"] != 31))
    with pytest.raises(DataError, match=r"from_pandas: 1 rows have no 'arrived' and would never arrive; "):
        sn.from_pandas(table, arrival="arrived")


def test_a_row_without_event_time_is_a_row() -> None:
    table = TABLE.assign(at=TABLE["arrived"].where(TABLE["m"] != 31))
    assert (
        len(sn.from_pandas(table, arrival="arrived", every="30 min").with_watermark("at", "0s").query().run().result)
        == 7
    )


def test_an_arrival_of_strings() -> None:
    with pytest.raises(
        PlanError, match=r"from_pandas: arrival 'arrived' is String, not a datetime; use pd.to_datetime."
    ) as error:
        sn.from_pandas(TABLE.astype({"arrived": str}), arrival="arrived")
    assert error.value.code == "EVENT_TIME_TYPE"


def test_an_event_time_of_strings() -> None:
    with pytest.raises(PlanError, match=r"with_watermark: 'arrived' is String, .*str.to_datetime"):
        sn.from_pandas(TABLE.astype({"arrived": str})).with_watermark("arrived", "0s")


def test_an_arrival_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"from_pandas: no column 'arrives'; did you mean 'arrived'?"):
        sn.from_pandas(TABLE, arrival="arrives")


@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ({"every": "30 min"}, "from_pandas: every= cuts by the time of arrival; give arrival=, its column."),
        ({"arrival": "arrived", "every": "0s"}, "from_pandas: every='0s' is no time at all; write '30 min'."),
        ({"arrival": "arrived", "every": "-5 min"}, "from_pandas: every='-5 min' is no time at all; write '30 min'."),
        ({"rows": 0}, "from_pandas: rows=0 makes no progress; give 1 or more."),
        ({"rows": -1}, "from_pandas: rows=-1 makes no progress; give 1 or more."),
        (
            {"arrival": "arrived", "every": "30 min", "rows": 3},
            "from_pandas: every='30 min' and rows=3 are two measures; give one.",
        ),
    ],
)
def test_a_measure_that_makes_no_sense(measure: dict[str, Any], words: str) -> None:
    with pytest.raises(PlanError) as error:
        sn.from_pandas(TABLE, **measure)
    assert (str(error.value), error.value.code) == (words, "OPTION_INVALID")


def test_something_that_is_no_table() -> None:
    with pytest.raises(DataError, match=r"from_pandas: cannot take rows from int; "):
        sn.from_pandas(5)
