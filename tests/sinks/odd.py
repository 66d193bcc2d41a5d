"""Odd values of every type, for the tests of what a sink keeps."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl

SEOUL = dt.timezone(dt.timedelta(hours=9))


def odd() -> pl.DataFrame:
    """Return two rows, the second of nulls."""
    return pl.DataFrame(
        [
            pl.Series("id", [1, 2]),
            pl.Series("at", [dt.datetime(2026, 1, 1, 0, 0, 0, 1), None]),
            pl.Series("seoul", [dt.datetime(2026, 1, 1, 9, tzinfo=SEOUL), None], pl.Datetime("us", "Asia/Seoul")),
            pl.Series("day", [dt.date(1, 1, 1), None]),
            pl.Series("hour", [dt.time(23, 59, 59, 999_999), None]),
            pl.Series("gap", [dt.timedelta(days=-1, microseconds=500_000), None]),
            pl.Series("text", ["π '\"; --\n\u202e🐍", None]),
            pl.Series("empty", ["", None]),
            pl.Series("bytes", [b"\x00\xff", None]),
            pl.Series("money", [Decimal("12345678901234567890.01"), None], pl.Decimal(38, 2)),
            pl.Series("big", [2**63 - 1, None]),
            pl.Series("small", [-(2**63), None]),
            pl.Series("tiny", [-128, None], pl.Int8),
            pl.Series("single", [0.5, None], pl.Float32),
            pl.Series("inf", [float("-inf"), None]),
            pl.Series("zero", [-0.0, None]),
            pl.Series("yes", [True, None]),
            pl.Series("list", [["a", None], None]),
            pl.Series("struct", [{"x": 1, "y": [0.5]}, None]),
            pl.Series("nothing", [None, None]),
            pl.Series("kind", ["low", None], pl.Enum(["low", "high"])),
        ]
    )
