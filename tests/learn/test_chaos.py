"""Chaos does what it says, the same each time, and nothing else."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

import streamnb as sn
from streamnb.learn import chaos

HOUR = pd.Timedelta("1h")


def reports():
    return sn.data.landings("JFK", "2013-02-08")


def numbers(count=60, per_unit=1):
    source = sn.MemorySource({"n": "int64"})
    for start in range(0, count, per_unit):
        source.add({"n": list(range(start, min(count, start + per_unit)))})
    return source


def sizes(frame):
    return [p.num_input_rows for p in frame.query().run().progress]


def test_duplicates_come_in_their_own_unit():
    twice = chaos.duplicate(numbers(per_unit=10), p=1.0)
    assert sizes(twice) == [20] * 6
    assert sorted(twice.collect()["n"]) == sorted([*range(60)] * 2)


def test_duplicates_come_so_many_units_later():
    assert chaos.duplicate(numbers(4), p=1.0, after=2).query().run().result["n"].tolist() == [0, 1, 0, 2, 1, 3, 2, 3]


def test_duplicates_come_a_time_later_and_say_so():
    rows = chaos.duplicate(reports(), p=0.3, after="90 min", seed=4).collect()
    copies = rows[rows.duplicated("flight_id")]
    first = rows.drop_duplicates("flight_id").set_index("flight_id")["arr"]
    assert 20 < len(copies) < 70
    assert (copies["arr"] - first[copies["flight_id"]].to_numpy() == 1.5 * HOUR).all()
    assert len(first) == 145


def test_delayed_rows_arrive_in_the_unit_of_their_new_time():
    query = chaos.delay(reports(), p=0.2, by="2 hours").query().run()
    ticks = [
        pd.Timestamp(p.timestamp)
        for p, rows in zip(query.progress, query.emitted, strict=True)
        for _ in range(len(rows))
    ]
    assert (query.result["arr"] <= ticks).all()
    assert (pd.Series(ticks) - query.result["arr"] < 0.5 * HOUR).mean() > 0.99
    assert len(query.result) == 145


@pytest.mark.parametrize("per_unit", [1, 7, 60])
def test_reordered_rows_are_all_there_and_near_their_place(per_unit):
    order = chaos.reorder(numbers(per_unit=per_unit), k=5, seed=2).collect()["n"].to_numpy()
    assert sorted(order) == list(range(60))
    assert order.tolist() != list(range(60))
    assert np.abs(order - np.arange(60)).max() <= 5


def test_no_places_keep_the_order():
    assert chaos.reorder(numbers(per_unit=7), k=0).collect()["n"].tolist() == list(range(60))


def test_one_bad_clock():
    rows, true = chaos.bad_clock(reports(), "dep", "2 days", row=40).collect(), reports().collect()
    assert (rows["dep"] - true["dep"]).to_numpy().nonzero()[0].tolist() == [40]
    assert rows["dep"][40] - true["dep"][40] == pd.Timedelta("2 days")


def test_a_burst_comes_all_at_once():
    assert sizes(chaos.burst(numbers(10), units=4)) == [0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 2]


def test_a_share_is_lost():
    left = chaos.drop(numbers(600, 10), p=0.5, seed=1).collect()["n"]
    assert 250 < len(left) < 350
    assert left.is_monotonic_increasing


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda seed: chaos.duplicate(reports(), 0.2, after=1, seed=seed),
        lambda seed: chaos.delay(reports(), 0.2, by="1 hour", seed=seed),
        lambda seed: chaos.reorder(reports(), 4, seed=seed),
        lambda seed: chaos.bad_clock(reports(), "dep", p=0.1, seed=seed),
        lambda seed: chaos.drop(reports(), 0.2, seed=seed),
    ],
)
def test_a_seed_tells_all(wrapped):
    assert wrapped(1).collect().equals(wrapped(1).collect())
    assert not wrapped(1).collect().equals(wrapped(2).collect())


def test_a_query_rewinds_over_chaos():
    query = chaos.delay(numbers(20), 0.5, by=3).query().run()
    whole = query.result
    assert query.rewind(to=3).run().result.equals(whole)


def test_two_disturbances_add_up():
    assert len(chaos.drop(chaos.duplicate(numbers(), p=1.0), p=0.0).collect()) == 120


def test_nothing_disturbs_nothing():
    assert chaos.reorder(sn.MemorySource({"n": "int64"})).collect().empty


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: chaos.drop(numbers(), p=2), "drop: p=2 is no share"),
        (lambda: chaos.duplicate(numbers(), p=1.0, after="5 min").collect(), "this source tells none"),
        (lambda: chaos.bad_clock(reports(), "depp", row=1), "did you mean 'dep'"),
        (lambda: chaos.drop(reports().filter(sn.col("dep") > sn.col("arr"))), "put it right behind the source"),
        (lambda: chaos.drop(cast("Any", 7)), "it disturbs a source, not 7"),
        (lambda: chaos.reorder(numbers(), k=-1), "k=-1 is no number of places"),
        (lambda: chaos.burst(numbers(), units=0), "units=0 lets nothing through"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(sn.PlanError, match=message.replace("(", r"\(")):
        wrong()


def test_files_are_disturbed_and_what_is_no_row_in_them_goes_its_own_way(tmp_path):
    (tmp_path / "a.csv").write_text("at,v\n2024-01-01 10:00:00,1\n2024-01-01 10:01:00,oops\n2024-01-01 10:02:00,3\n")
    files = sn.from_files(f"{tmp_path}/*.csv", schema={"at": "datetime", "v": "int64"})
    with sn.chaos.duplicate(files, p=1.0).query() as query:
        assert query.run().result["v"].tolist() == [1, 3, 1, 3]
        assert sum(p.num_dead_letters for p in query.progress) == 1
