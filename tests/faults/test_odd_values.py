"""Odd values through a checkpoint: as keys and as values of state they come back bit for bit, and are found again."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb import state_files

UTC, ZURICH = pl.Datetime("us", "UTC"), pl.Datetime("us", "Europe/Zurich")
HOUR = dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
ODD: dict[str, tuple[Any, list[Any]]] = {
    "floats": (
        pl.Float64(),
        [float("nan"), -0.0, float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, 0.1, None],
    ),
    "short floats": (pl.Float32(), [float("nan"), -0.0, float("inf"), 1.401298464324817e-45, None]),
    "integers": (pl.Int64(), [-(2**63), 2**63 - 1, 0, None]),
    "large integers": (pl.UInt64(), [2**64 - 1, 2**53 + 1, 0, None]),
    "booleans": (pl.Boolean(), [True, False, None]),
    "decimals": (
        pl.Decimal(38, 10),
        [Decimal("1234567890123456789012345678.0123456789"), Decimal("-0.0000000001"), None],
    ),
    "text": (pl.String(), ["", " ", "\0", "é", "e\u0301", FAMILY, "\u202eabc\u202c", "\ufeff", "a\nb\r\n", None]),
    "long text": (pl.String(), ["x" * 2**20, "x" * (2**20 - 1) + "y"]),
    "bytes": (pl.Binary(), [b"", b"\0", b"\xff\xfe", bytes(range(256)), None]),
    "times": (
        pl.Datetime("us"),
        [
            dt.datetime(1, 1, 1),
            dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
            dt.datetime(1969, 12, 31, 23, 59, 59, 999999),
            None,
        ],
    ),
    "times in UTC": (UTC, [HOUR, HOUR + dt.timedelta(microseconds=1), None]),
    "times around a change of the clock": (ZURICH, [HOUR - dt.timedelta(hours=n) for n in range(-2, 3)]),
    "dates": (pl.Date(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "durations": (pl.Duration("us"), [dt.timedelta(0), dt.timedelta(microseconds=-1), dt.timedelta(10**5), None]),
    "lists": (pl.List(pl.Float64()), [[], [None], [float("nan"), -0.0], [1.0] * 1000, None]),
    "lists of lists": (pl.List(pl.List(pl.String())), [[[]], [["a", None], None], [], None]),
    "dictionaries": (
        pl.Struct({"a": pl.Int64(), "b": pl.Struct({"c": pl.List(pl.String())})}),
        [{"a": 1, "b": {"c": ["x", None]}}, {"a": None, "b": {"c": []}}, {"a": None, "b": {"c": None}}],
    ),
}


def bits(value: Any) -> Any:
    """Return a value as something that is equal only if every bit is."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, Mapping):
        return {name: bits(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | pl.Series):
        return [bits(inner) for inner in value]
    return (repr(value), str(getattr(value, "tzinfo", "")))


def tables(query: sn.Query) -> list[Any]:
    return [(table.schema, sorted(map(repr, map(bits, table.frame().rows())))) for table in query._tables]


def by_key(source: sn.MemorySource) -> sn.StreamFrame:
    kept = {"first": sn.first("v"), "last": sn.last("v"), "all": sn.collect_list("v")}
    return sn.stream(source).group_by("k").agg(n=sn.count(), **kept)


def by_number(source: sn.MemorySource) -> sn.StreamFrame:
    return sn.stream(source).group_by("i").agg(n=sn.count(), last=sn.last("v"), first=sn.first("v"))


@pytest.mark.parametrize("snapshot", [False, True], ids=["delta", "snapshot"])
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("frame", [by_key, by_number])
def test_odd_values_come_back_and_are_found_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    frame: Any,
    snapshot: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(state_files, "SNAPSHOT_DELTAS", 1 if snapshot else 1000)
    monkeypatch.setattr(state_files, "SNAPSHOT_BYTES", 2**40)
    dtype, values = ODD[kind]
    source = sn.MemorySource({"i": "int64", "k": dtype, "v": dtype})
    column = pl.Series(values, dtype=dtype)
    rows = pl.DataFrame({"i": range(len(values)), "k": column, "v": column})
    source.add(rows)
    query = frame(source).query("update", checkpoint=tmp_path).run()
    if frame is by_key:
        assert bits(query._tables[0].frame()["k"]) == bits(column)
    before = tables(query)
    query.stop()
    assert bool(list((tmp_path / "state").glob("0/*.snapshot"))) == snapshot
    again = frame(source).query("update", checkpoint=tmp_path)
    assert tables(again) == before
    source.add(rows)
    again.run()
    assert again._memory.batches()[-1]["n"].to_list() == [2] * len(values)
    again.stop()
    assert tables(frame(source).query("update", checkpoint=tmp_path)) == tables(again)


def test_missing_times_of_pandas_are_null(tmp_path: Path) -> None:
    source = sn.MemorySource({"k": "datetime", "v": "float64"})
    source.add(pd.DataFrame({"k": [pd.NaT, pd.Timestamp("2026-01-01")], "v": [float("nan"), 1.0]}))
    query = by_key(source).query("update", checkpoint=tmp_path).run()
    query.stop()
    state = by_key(source).query("update", checkpoint=tmp_path).state
    assert state["k"].isna().tolist() == [True, False]
