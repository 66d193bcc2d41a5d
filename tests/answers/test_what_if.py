"""What if: each setting gives just what a query with it gives; and a delay that is suggested keeps what it says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, DataError, PlanError


def hourly(delay: str = "3 hours", every: str | None = None) -> sn.StreamFrame:
    landings = sn.data.landings("JFK", "2013-02-08")
    rows = landings if every is None else sn.from_pandas(landings.collect(), arrival="arr", every=every)
    return rows.with_watermark("dep", delay).group_by(sn.window("dep", "1 hour")).agg(n=sn.count())


def test_three_hours_drop_only_flights_of_five_and_more():
    (result,) = sn.what_if(hourly().query().run(), delay="3 hours").results
    assert (result.rows, result.dropped) == (145, 23)
    assert result.slow is not None
    assert (result.slow.name, result.slow.dropped, result.slow.rows) == (
        "arrived 5 hours or more after they happened", 23, 45,
    )  # fmt: skip
    assert result.wait == pd.Timedelta("5h30min")


@pytest.mark.parametrize("delay", ["1 hour", "4 hours", "12 hours"])
def test_another_delay_is_what_a_query_with_it_gives(delay):
    (result,) = sn.what_if(hourly().query().run(), delay=delay).results
    query = hourly(delay).query().run()
    assert (result.dropped, result.batches) == (len(query.late), len(query.trace))
    assert result.written == len(query.result)
    assert result.state_rows == max(p.state_operators[0].num_rows_total for p in query.progress)


@pytest.mark.parametrize("trigger", ["5 min", "1 hour", "4 hours"])
def test_another_trigger_is_what_a_query_with_it_gives(trigger):
    (result,) = sn.what_if(hourly(), trigger=trigger).results
    query = hourly(every=trigger).query().run()
    assert (result.dropped, result.batches) == (len(query.late), len(query.trace))


def test_settings_side_by_side_and_the_frontier():
    told = sn.what_if(hourly(), delay=["1 hour", "3 hours", "6 hours"], output_mode=["append", "update"])
    table = told.table
    assert len(table) == 6
    assert table.groupby("output_mode")["completeness"].apply(lambda c: c.is_monotonic_increasing).all()
    update = table[table["output_mode"] == "update"]
    assert (update["latency"] == pd.Timedelta(0)).all()
    assert {result.setting.output_mode for result in told.frontier} == {"update"}
    assert "<strong>" in told._repr_html_()


def test_the_worst_hit_group_is_of_the_columns_named():
    (result,) = sn.what_if(hourly(), delay="2 hours", by="dest").results
    assert result.worst is not None
    assert result.worst.column == "dest"
    late = hourly("2 hours").query().run().late
    assert result.worst.dropped == (late["dest"] == result.worst.name.removeprefix("dest=")).sum()


def test_what_was_read_by_hand_is_run_again_batch_by_batch():
    rows = sn.MemorySource({"ts": "datetime"})
    query = sn.stream(rows).with_watermark("ts", "0s").group_by(sn.window("ts", "1 min")).agg(n=sn.count()).query()
    with pytest.raises(PlanError, match="nothing is read"):
        sn.what_if(query, delay="1 min")
    for at in ("00:00", "00:05", "00:04", "00:01"):
        rows.add([{"ts": f"2024-01-01 {at}"}])
        query.run()
    results = sn.what_if(query, delay=["0s", "2 min", "1 hour"]).results
    assert [result.dropped for result in results] == [len(query.late), 1, 0] == [2, 1, 0]


def test_a_mode_that_the_plan_cannot_run_in_is_refused():
    with pytest.raises(PlanError, match="complete mode"):
        sn.what_if(sn.data.landings("JFK", "2013-02-08"), output_mode="complete")
    with pytest.raises(PlanError, match="without with_watermark"):
        sn.what_if(sn.data.landings("JFK", "2013-02-08"), delay="1h")


@pytest.mark.parametrize("keep", [0.5, 0.9, 0.99, 1.0])
def test_a_suggested_delay_keeps_that_share_row_by_row_and_a_shorter_one_does_not(keep):
    flights = sn.data.landings("JFK", "2013-02-08").collect()
    told = sn.suggest_watermark(flights, "dep", "arr", keep=keep)
    assert kept(flights, told.shortest) >= keep
    assert kept(flights, told.delay) == pytest.approx(told.kept)
    if told.shortest:
        assert kept(flights, told.shortest - pd.Timedelta("1ms")) < keep


def kept(flights: pd.DataFrame, delay: pd.Timedelta) -> float:
    """Return the share of rows that are on time, one row a batch, judged by all rows before."""
    times = flights.sort_values("arr", kind="stable")["dep"].to_numpy()
    newest = np.concatenate([times[:1] - np.timedelta64(1, "D"), np.maximum.accumulate(times)[:-1]])
    return float(np.mean(times > newest - delay.to_timedelta64()))


def test_a_suggestion_names_clocks_that_are_ahead_and_refuses_nonsense():
    table = pd.DataFrame({"at": pd.to_datetime(["2024-01-01", "2024-01-02"]), "got": pd.Timestamp("2024-01-01")})
    told = sn.suggest_watermark(table, "at", "got")
    assert told.ahead == 1
    assert "ahead of time" in repr(told)
    with pytest.raises(ColumnNotFoundError):
        sn.suggest_watermark(table, "at", "gut")
    with pytest.raises(PlanError, match="keep"):
        sn.suggest_watermark(table, "at", "got", keep=0)
    with pytest.raises(DataError):
        sn.suggest_watermark(table.head(0), "at", "got")
