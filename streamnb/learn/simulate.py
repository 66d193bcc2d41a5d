"""Simulated streams, for what no public data shows: seeded, small, with the truth kept apart."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from streamnb.errors import one_of

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame

START = pd.Timestamp("2026-03-02 08:00")
PAGES = ("home", "search", "product", "basket", "checkout")
CITIES = ("Seoul", "Busan", "Tokyo", "Berlin", "New York")


def clicks(seed: int = 0, users: int = 60, hours: float = 3.0, every: str = "5 min") -> StreamFrame:
    """Stream the clicks of visitors of a shop. Simulated.

    ``id`` (one per click), ``user``, ``page``, ``at`` (the phone's clock) and ``arrived``. A visit is a handful of
    clicks a minute or so apart; one phone in ten is offline for some minutes and sends its clicks when it is back.
    Clicks are sent once here; ``sn.chaos.duplicate`` adds the retries.

    >>> sn.simulate.clicks(seed=7).schema.names()
    ['id', 'user', 'page', 'at', 'arrived']
    """
    return _replay(_clicks(seed, users, hours), every)


def payments(seed: int = 0, cards: int = 200, days: int = 3, every: str = "10 min") -> StreamFrame:
    """Stream card payments, some of them fraud. Simulated.

    ``id``, ``card``, ``amount`` (euro), ``city``, ``at`` and ``arrived`` (a few seconds later). Three kinds of fraud
    are planted: many payments within minutes, two far-away cities within the hour, and a small payment followed by a
    large one. Which ones they are is only in ``sn.simulate.truth("payments", seed)``.

    >>> sn.simulate.payments(seed=7).schema.names()
    ['id', 'card', 'amount', 'city', 'at', 'arrived']
    """
    return _replay(_payments(seed, cards, days).drop(columns="fraud"), every)


def payment_table(seed: int = 0, cards: int = 200, days: int = 3) -> pd.DataFrame:
    """Return simulated payments as a table with the truth, ``fraud``: empty, or the kind of it. Simulated.

    >>> import streamnb as sn
    >>> rows = sn.simulate.payment_table(seed=1)
    >>> (rows["fraud"] != "").sum()
    np.int64(75)
    """
    return _payments(seed, cards, days).copy()


def sensors(seed: int = 0, machines: int = 8, hours: float = 24.0, every: str = "10 min") -> StreamFrame:
    """Stream the temperatures of machines, a reading a minute each. Simulated.

    ``machine``, ``celsius``, ``at`` and ``arrived`` (seconds later; some readings come minutes late). Two machines
    overheat slowly and one goes silent; ``sn.simulate.truth("sensors", seed)`` says which, and when.

    >>> sn.simulate.sensors(seed=7).schema.names()
    ['machine', 'celsius', 'at', 'arrived']
    """
    return _replay(_sensors(seed, machines, hours)[0], every)


def truth(name: str, seed: int = 0) -> pd.DataFrame:
    """Return what a simulation knows and its stream does not tell, for the default sizes.

    ``"payments"``: the ``id`` of every fraud and its kind. ``"sensors"``: machine, fault and when it begins.
    ``"clicks"``: the visits, with user, first and last click and number of clicks.

    >>> sn.simulate.truth("payments", seed=7).shape
    (75, 2)
    """
    kinds = {"clicks": _visits, "payments": _frauds, "sensors": _faults}
    if name not in kinds:
        raise one_of("truth", "name", name, tuple(kinds))
    return kinds[name](seed)


def _replay(rows: pd.DataFrame, every: str) -> StreamFrame:
    from streamnb.frame import from_pandas

    return from_pandas(rows.copy(), arrival="arrived", every=every)


# -- clicks


@lru_cache(maxsize=8)
def _clicks(seed: int, users: int, hours: float) -> pd.DataFrame:
    random = np.random.default_rng([seed, 1])
    visits = [_visit(random, user, hours) for user in range(users) for _ in range(1 + random.poisson(0.5))]
    rows = pd.concat(visits).sort_values(["at", "user"], ignore_index=True)
    rows.insert(0, "id", [f"c{n:05d}" for n in range(len(rows))])
    return rows.assign(arrived=_back_online(random, rows))


def _visit(random: np.random.Generator, user: int, hours: float) -> pd.DataFrame:
    count = 2 + random.poisson(5)
    at = random.uniform(0, hours * 3600) + np.concatenate([[0], random.exponential(70, count - 1).cumsum()])
    page = np.minimum(random.geometric(0.45, count) - 1, len(PAGES) - 1)
    return pd.DataFrame({"user": f"u{user:03d}", "page": np.array(PAGES)[page], "at": _times(at)})


def _back_online(random: np.random.Generator, rows: pd.DataFrame) -> pd.Series:
    """Return when each click arrives: seconds later, or when the user's phone is online again."""
    names = sorted(rows["user"].unique())
    offline = [name for name in names if random.random() < 0.1]
    since = {name: rows.loc[rows["user"] == name, "at"].iloc[0] for name in offline}
    until = {name: since[name] + pd.Timedelta(seconds=float(random.uniform(300, 1200))) for name in offline}
    soon = rows["at"] + pd.to_timedelta(random.exponential(2, len(rows)), unit="s").round("us")
    back = rows["user"].map(until).astype("datetime64[us]")
    return soon.where(back.isna() | (soon >= back), back).astype("datetime64[us]")


def _visits(seed: int) -> pd.DataFrame:
    rows = _clicks(seed, 60, 3.0).sort_values(["user", "at"])
    new = rows.groupby("user")["at"].diff() >= pd.Timedelta("30 min")
    grouped = rows.assign(visit=new.groupby(rows["user"]).cumsum()).groupby(["user", "visit"])["at"]
    return grouped.agg(first="min", last="max", clicks="size").reset_index().drop(columns="visit")


# -- payments


@lru_cache(maxsize=8)
def _payments(seed: int, cards: int, days: int) -> pd.DataFrame:
    random = np.random.default_rng([seed, 2])
    parts = [_honest(random, card, days) for card in range(cards)]
    chosen = random.permutation(cards)[: max(3, cards // 10)]
    parts += [_FRAUDS[n % 3](random, int(card), days) for n, card in enumerate(chosen)]
    rows = pd.concat(parts).sort_values(["at", "card"], ignore_index=True)
    rows.insert(0, "id", [f"p{n:05d}" for n in range(len(rows))])
    late = pd.to_timedelta(random.exponential(3, len(rows)), unit="s").round("us")
    return rows.assign(arrived=(rows["at"] + late).astype("datetime64[us]"))


def _honest(random: np.random.Generator, card: int, days: int) -> pd.DataFrame:
    count = 1 + random.poisson(4 * days)
    at = np.sort(random.integers(0, days, count) * 86_400 + random.uniform(0, 14 * 3600, count))
    return _paid(card, at, random.lognormal(3.2, 0.8, count), _home(card), "")


def _velocity(random: np.random.Generator, card: int, days: int) -> pd.DataFrame:
    at = random.uniform(0, days * 86_400 - 36_000) + np.sort(random.uniform(0, 240, 8))
    return _paid(card, at, random.uniform(20, 90, 8), _home(card), "velocity")


def _far_away(random: np.random.Generator, card: int, days: int) -> pd.DataFrame:
    start = random.uniform(0, days * 86_400 - 36_000)
    there = CITIES[(CITIES.index(_home(card)) + 2) % len(CITIES)]
    here = _paid(card, np.array([start]), random.uniform(10, 60, 1), _home(card), "")
    far = _paid(card, np.array([start + random.uniform(600, 3000)]), random.uniform(80, 400, 1), there, "far away")
    return pd.concat([here, far])


def _small_then_large(random: np.random.Generator, card: int, days: int) -> pd.DataFrame:
    start = random.uniform(0, days * 86_400 - 36_000)
    at = np.array([start, start + random.uniform(60, 500)])
    return _paid(card, at, np.array([1.0, random.uniform(700, 1500)]), _home(card), "small then large")


_FRAUDS = (_velocity, _far_away, _small_then_large)


def _home(card: int) -> str:
    return CITIES[card % 3]


def _paid(card: int, at: np.ndarray, amount: np.ndarray, city: str, fraud: str) -> pd.DataFrame:
    columns = {"card": f"card {card:03d}", "amount": amount.round(2), "city": city, "at": _times(at), "fraud": fraud}
    return pd.DataFrame(columns)


def _frauds(seed: int) -> pd.DataFrame:
    rows = _payments(seed, 200, 3)
    return rows.loc[rows["fraud"] != "", ["id", "fraud"]].reset_index(drop=True)


# -- sensors


@lru_cache(maxsize=8)
def _sensors(seed: int, machines: int, hours: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng([seed, 3])
    minutes = int(hours * 60)
    hot, warm, silent = (int(n) for n in random.permutation(machines)[:3])
    begins = {n: int(random.uniform(0.4, 0.7) * minutes) for n in (hot, warm, silent)}
    parts = []
    for machine in range(machines):
        minute = np.arange(begins[silent] if machine == silent else minutes)
        heat = 0.05 * np.maximum(0, minute - begins[machine]) if machine in (hot, warm) else 0.0
        noise = random.normal(0, 0.8, len(minute))
        celsius = (62 + machine % 3 + 3 * np.sin(minute / 229) + noise + heat).round(2)
        at = _times(minute * 60 + machine * 7)
        parts.append(pd.DataFrame({"machine": f"m{machine}", "celsius": celsius, "at": at}))
    rows = pd.concat(parts).sort_values(["at", "machine"], ignore_index=True)
    soon, late = random.exponential(2, len(rows)), random.uniform(60, 900, len(rows))
    wait = np.where(random.random(len(rows)) < 0.03, late, soon)
    rows["arrived"] = (rows["at"] + pd.to_timedelta(wait, unit="s").round("us")).astype("datetime64[us]")
    faults = pd.DataFrame({
        "machine": [f"m{n}" for n in (hot, warm, silent)],
        "fault": ["overheats", "overheats", "silent"],
        "begins": _times(np.array([begins[n] for n in (hot, warm, silent)]) * 60),
    })  # fmt: skip
    return rows, faults


def _faults(seed: int) -> pd.DataFrame:
    return _sensors(seed, 8, 24.0)[1].copy()


def _times(seconds: np.ndarray) -> pd.Series:
    return pd.Series(START + pd.to_timedelta(np.asarray(seconds, float), unit="s").round("ms")).astype("datetime64[us]")
