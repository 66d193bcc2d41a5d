"""Answers that are drawn: a forecast with its assumptions, a comparison with Spark batch by batch."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb.spark.compare import BatchCompared, Comparison
from streamnb.views.comparison import Compared
from streamnb.views.forecast import Foretold
from streamnb.views.shapes import Choice, Figure, Grid, Sheet, Slider, Words
from streamnb.views.sheet_svg import sheet_html, sheet_svg
from streamnb.views.shown import subject_of

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def forecast():
    """Return a forecast over 1,000 rows in 1,000 seconds, nine tenths of them of one user."""
    users = ["hot"] * 900 + [f"user {n}" for n in range(100)]
    rows = pd.DataFrame({"at": pd.date_range("2024-01-01", periods=1000, freq="s"), "user": users})
    clicks = sn.from_pandas(rows, rows=250).with_watermark("at", "1 minute")
    return sn.forecast(clicks.group_by("user").agg(n=sn.count()).query("update").run())


def batch(number, ours, theirs, **more):
    schema = {"user": pl.String(), "n": pl.Int64()}
    here, there = (pl.DataFrame(rows, schema, orient="row") for rows in (ours, theirs))
    at = pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(minutes=number)
    told: dict[str, Any] = {"watermarks": (at, at), "dropped": (number, number)} | more
    return BatchCompared(number, 2, here, there, **told)


@pytest.fixture
def comparison():
    same = [batch(n, [("ann", n)], [("ann", n)]) for n in range(9)]
    return Comparison(EVIL, (*same, batch(9, [(EVIL, 1)], [("ann", 1), ("bob", 2)])))


def sheet_of(answer: Any) -> Sheet:
    subject = subject_of(answer)
    assert subject is not None
    return subject.sheet()


def parts(sheet: Sheet, kind: type[Any]) -> list[Any]:
    return [part for part in sheet.parts if isinstance(part, kind)]


def texts(sheet: Sheet) -> list[str]:
    return [shape["text"] for figure in parts(sheet, Figure) for shape in figure.shapes if shape["kind"] == "text"]


def test_a_forecast_says_that_it_is_one_and_what_it_assumes(forecast):
    sheet = sheet_of(forecast)
    assert sheet.title.startswith("Forecast: the busiest of 200 partitions gets 90.")
    assert "nothing here was measured on a cluster" in sheet.lead
    said = [words.text for words in parts(sheet, Words)]
    assert said[0] == "A forecast, not a measurement. It assumes:"
    assert [f"· {point}" for point in forecast.assumptions] == said[1:]
    assert all(figure.label.startswith("Forecast: ") and figure.table.rows for figure in parts(sheet, Figure))
    assert "even: 0.50% each" in texts(sheet)


def test_the_bars_are_the_shares_and_the_state_is_a_dashed_line(forecast):
    spread, day = parts(sheet_of(forecast), Figure)
    bars = [shape for shape in spread.shapes if shape["kind"] == "rect"]
    shares = [share for share in forecast.shares() if share]
    assert len(bars) == len(shares)
    heights = [bar["h"] / bars[0]["h"] for bar in bars]
    assert heights == pytest.approx([share / shares[0] for share in shares], abs=0.01)
    (line,) = [shape for shape in day.shapes if shape["kind"] == "line" and len(shape["points"]) == 25]
    assert line["dash"]


def test_partitions_and_salt_can_be_changed(forecast):
    told = Foretold(forecast)
    told.hear("partitions", 10)
    told.hear("salt", "8")
    told.hear("salt", "3")
    sheet = told.sheet()
    assert parts(sheet, Slider)[0].value == 10
    assert parts(sheet, Choice)[0].value == "8"
    bars = [shape for shape in parts(sheet, Figure)[0].shapes if shape["kind"] == "rect"]
    assert max(bar["h"] for bar in bars if "fill" in bar) < max(bar["h"] for bar in bars if "fill" not in bar) / 2
    told.hear("partitions", 1)
    assert "all rows go to the one partition" in told.sheet().title


def test_a_comparison_shows_both_sides_of_every_batch(comparison):
    sheet = sheet_of(comparison)
    assert sheet.title == f"{EVIL!r} and Spark differ in 1 of 10 batches: [9]; see differences."
    (figure,) = parts(sheet, Figure)
    assert figure.label == "10 batches here and on Spark, 1 of them different"
    differences, batches = parts(sheet, Grid)
    assert [row.cells[1:] for row in differences.rows] == [
        ("here", EVIL, "1"), ("Spark", "ann", "1"), ("Spark", "bob", "2"),
    ]  # fmt: skip
    assert [row.mark for row in batches.rows] == [""] * 9 + ["picked"]
    crosses = [shape for shape in figure.shapes if shape["kind"] == "cross" and "tip" in shape]
    assert [cross["tip"] for cross in crosses] == ["batch 9 differs"]


def test_where_all_is_the_same_nothing_is_marked():
    nothing = batch(0, [], [], watermarks=(None, None), dropped=(0, 0))
    sheet = Compared(Comparison("q", (nothing,))).sheet()
    assert sheet.title == "'q' and Spark agree: 1 batch, 0 rows."
    assert not [s for s in parts(sheet, Figure)[0].shapes if s["kind"] == "cross" and "tip" in s]
    assert "None has been set." in texts(sheet)


def test_what_is_drawn_is_plain_and_inert(forecast, comparison, tmp_path):
    for answer in (forecast, comparison):
        sheet = sheet_of(answer)
        assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
        assert EVIL not in sheet_svg(sheet) + sheet_html(sheet)
        assert EVIL not in sn.save_html(answer, tmp_path / "page.html").read_text()


def test_outside_of_a_notebook_it_is_told_in_words(forecast, capsys):
    forecast._ipython_display_()
    assert "It assumes: 101 keys spread as" in capsys.readouterr().out
