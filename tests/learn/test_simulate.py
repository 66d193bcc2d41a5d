"""The simulated streams: seeded, with the truth apart."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.learn import simulate

ALL = [simulate.clicks, simulate.payments, simulate.sensors]


@pytest.mark.parametrize("simulated", ALL)
def test_a_seed_tells_all(simulated):
    assert simulated(3).collect().equals(simulated(3).collect())
    assert not simulated(3).collect().equals(simulated(4).collect())


@pytest.mark.parametrize("simulated", ALL)
def test_rows_arrive_after_they_happen_and_some_out_of_order(simulated):
    rows = simulated(3).collect()
    assert (rows["arrived"] >= rows["at"]).all()
    assert rows["arrived"].is_monotonic_increasing
    assert not rows["at"].is_monotonic_increasing


def test_a_click_has_an_id_of_its_own():
    assert simulate.clicks(7).collect()["id"].is_unique


def test_visits_are_what_a_session_window_finds():
    visits = simulate.truth("clicks", 7)
    clicks = simulate.clicks(7).with_watermark("at", "1 hour")
    found = clicks.group_by(sn.session_window("at", "30 minutes"), "user").agg(clicks=sn.count()).collect()
    mine = sorted(zip(found["user"], found["window_start"], found["clicks"], strict=True))
    assert mine == sorted(zip(visits["user"], visits["first"], visits["clicks"], strict=True))


def test_fraud_is_known_only_to_the_truth():
    payments, frauds = simulate.payments(5).collect(), simulate.truth("payments", 5)
    assert "fraud" not in payments
    assert set(frauds["id"]) < set(payments["id"])
    assert set(frauds["fraud"]) == {"velocity", "far away", "small then large"}
    assert 0.005 < len(frauds) / len(payments) < 0.1


def test_the_faults_are_in_the_readings():
    rows, faults = simulate.sensors(5).collect(), simulate.truth("sensors", 5).set_index("machine")
    last = rows.groupby("machine")["at"].max()
    silent = faults.index[faults["fault"] == "silent"][0]
    assert last[silent] < faults.loc[silent, "begins"] <= last.drop(silent).min()
    hottest = rows.groupby("machine")["celsius"].max().nlargest(2).index
    assert set(hottest) == set(faults.index) - {silent}


def test_a_truth_that_is_not_there():
    with pytest.raises(sn.PlanError, match="'payments'"):
        simulate.truth("weather")
    assert isinstance(simulate.truth("sensors"), pd.DataFrame)
