"""A forecast and a comparison with Spark in JupyterLab: both themes, and the knobs of the forecast."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.lab import ARTIFACTS, Lab, Notebook

pytestmark = pytest.mark.browser

FORECAST = """
import pandas as pd, polars as pl, streamnb as sn
flights = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
hourly = flights.group_by(sn.window("dep", "1 hour"), "carrier").agg(n=sn.count()).query(name="hourly").run()
sn.forecast(hourly, partitions=60, rate=5_000)
"""
COMPARISON = """
from streamnb.spark.compare import BatchCompared, Comparison
def batch(n, theirs):
    out, at = hourly.emitted[n], pd.Timestamp("2013-02-08 09:00", tz="UTC") + pd.Timedelta(minutes=30 * n)
    ours = pl.from_pandas(out)
    return BatchCompared(n, 20 + n, ours, ours.head(theirs), (at, at), (n % 3, n % 3))
Comparison("hourly", tuple(batch(n, 2 if n == 9 else None or 99) for n in range(len(hourly.emitted))))
"""


def test_answers_are_drawn_in_both_themes(open_notebook: Callable[[str], Notebook], lab: Lab):
    notebook = open_notebook(lab.write("drawn.ipynb", [FORECAST, COMPARISON]))
    for cell, words in enumerate(("Forecast: the busiest of 60 partitions", "Spark differ in 1 of")):
        notebook.run_cell(cell)
        notebook.cell(cell).locator(".sn-finding", has_text=words).wait_for()
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        for cell, name in enumerate(("forecast", "comparison")):
            box = notebook.cell(cell).locator(".sn-dashboard").first
            box.scroll_into_view_if_needed()
            box.screenshot(path=ARTIFACTS / f"{name}-{theme.lower()}.png")
    slider = notebook.cell(0).locator("input[type=range]").first
    slider.fill("7")
    notebook.cell(0).locator(".sn-finding", has_text="the busiest of 7 partitions").wait_for()
    assert notebook.errors == []
