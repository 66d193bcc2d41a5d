"""The views of a query in JupyterLab: tabs, links between them, data that tries to be markup, and a shortened soak."""

from __future__ import annotations

from collections.abc import Callable

import bokeh
import pytest

from tests.browser.lab import ARTIFACTS, Lab, Notebook

Open = Callable[[str], Notebook]
EVIL = "<img src=x onerror=alert(1)>"

STORM = """
import streamnb as sn
flights = sn.data.landings("JFK", "2013-02-08")
hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
q = hourly.query(name="hourly")
for _ in range(22):
    q.step()
q
"""
JOINED = """
import streamnb as sn
shown, clicked = (sn.MemorySource({"at": "datetime", "ad": "string"}) for _ in range(2))
left, right = (sn.stream(source).with_watermark("at", "2 minutes") for source in (shown, clicked))
clicks = left.join(right.rename({"at": "seen"}), on="ad", how="left",
                   within=sn.between("seen", after="0s", before="5 minutes", of="at")).filter(sn.col("ad") != "ad3")
q = clicks.query(name="joined")
for minute in range(14):
    seen = [{"at": f"2024-01-01 09:{minute:02}:40", "ad": f"ad{minute}"}] if minute % 3 else []
    sn.add({shown: [{"at": f"2024-01-01 09:{minute:02}:00", "ad": f"ad{minute}"}], clicked: seen})
    q.step()
flights = sn.data.landings("JFK", "2013-02-08")
hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
"""
WHAT_IF = 'sn.what_if(hourly, delay=["1 hour", "3 hours", "6 hours", "12 hours"])'
GROWING = """
g = flights.group_by("carrier").agg(n=sn.count()).query("update", name="growing")
g
"""
MARKUP = f"""
import streamnb as sn
evil = {EVIL!r}
source = sn.MemorySource({{"at": "datetime", evil: "string"}})
frame = sn.stream(source).with_watermark("at", "1 minute").group_by(sn.window("at", "1 minute"), evil)
e = frame.agg(n=sn.count()).query("update", name=evil)
for minute in (1, 9, 9, 1, 1):
    source.add([{{"at": f"2024-01-01 09:0{{minute}}:00", evil: evil}}])
    e.step()
e
"""
BUSY = """
import numpy as np, pandas as pd
rng = np.random.default_rng(1)
n = 100_000
at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 900, 30 * n)), "s")
events = pd.DataFrame({"at": at, "key": rng.integers(0, 2_000, 30 * n)})
stream = sn.from_pandas(events, rows=n).with_watermark("at", "10 seconds")
busy = stream.group_by(sn.window("at", "1 minute"), "key").agg(n=sn.count()).query("update", name="busy")
busy
"""
COUNTED = """
import gc, comm, threading
from ipywidgets.widgets import widget
gc.collect()
rss = int(open("/proc/self/statm").read().split()[1]) * 4096
print(len(widget._instances), len(comm.get_comm_manager().comms), threading.active_count(), rss, len(busy.trace))
"""
PLAYED = """least =>
  Number(document.querySelector(".jp-Notebook .sn-where")?.textContent.match(/batch (\\d+)/)?.[1] ?? -1) >= least"""
AT_REST = """() => [...document.querySelectorAll(".jp-RenderedSVG img")].some((img) => img.src.length > 100_000)"""
OPEN_TABLES = "() => document.querySelectorAll('.sn-behind').forEach((details) => (details.open = true))"
CROSS = """() => {
  const root = window.Bokeh.index.roots[0];
  const drawn = root.model.renderers.find((r) => r.glyph.y?.field === "dropped");
  const { x, dropped } = drawn.data_source.data;
  const i = [...dropped].findIndex((value) => Number.isFinite(value));
  const box = root.el.getBoundingClientRect();
  return [box.left + root.frame.x_scale.compute(x[i]), box.top + root.frame.y_scale.compute(dropped[i])];
}"""


def tab(notebook: Notebook, cell: int, name: str) -> None:
    notebook.cell(cell).locator(f"button[data-tab={name}]").click()


def finding(notebook: Notebook, cell: int, words: str) -> None:
    notebook.cell(cell).locator(".sn-finding", has_text=words).wait_for()


def test_a_clicked_mark_is_found_in_the_table_and_back(open_notebook: Open, lab: Lab):
    notebook = open_notebook(lab.write("linked.ipynb", [STORM, "q.stop()"]))
    notebook.run_cell(0)
    notebook.wait_for_text("watermark ")
    notebook.cell(0).scroll_into_view_if_needed()
    before = notebook.shapes()
    notebook.page.mouse.click(*notebook.page.evaluate(CROSS))
    notebook.page.wait_for_function("before => window.streamnbProbe.shapes() > before", arg=before)
    assert notebook.page.evaluate("() => window.Bokeh.version") == bokeh.__version__
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        for name, words in (
            ("late", "was dropped"),
            ("state", "State holds"),
            ("delay", "A delay of 3 hours drops"),
            ("plan", "operators run"),
            ("metrics", "took"),
            ("sources", "read in this batch"),
            ("doctor", "Nothing in this query will surprise"),
        ):
            tab(notebook, 0, name)
            finding(notebook, 0, words)
            notebook.cell(0).locator(".sn-dashboard").first.screenshot(path=ARTIFACTS / f"{name}-{theme.lower()}.png")
    tab(notebook, 0, "late")
    notebook.cell(0).locator(".sn-figure").first.wait_for(state="hidden")
    notebook.cell(0).locator("tr[data-mark=picked]:visible").wait_for()
    notebook.cell(0).locator("tr[data-pick]:visible", has_text="B6 673 02-08").click()
    finding(notebook, 0, "B6 673 02-08 was dropped")
    notebook.cell(0).locator("button.sn-back").first.click()
    notebook.cell(0).locator(".sn-words", has_text="has not arrived yet").wait_for()
    tab(notebook, 0, "plane")
    notebook.wait_for_text("watermark ")
    assert notebook.errors == []


def test_every_other_view_is_drawn_in_both_themes(open_notebook: Open, lab: Lab):
    cells = [JOINED, "sn.joins(q)", "sn.windows('10 minutes')", "sn.modes(hourly)", "sn.plan(clicks)", WHAT_IF, GROWING]
    notebook = open_notebook(lab.write("others.ipynb", [*cells, "q.stop(); g.stop()"]))
    views = {1: "joins", 2: "windows", 3: "modes", 4: "ladder", 5: "what_if", 6: "doctor_found"}
    for cell in range(len(cells)):
        notebook.run_cell(cell)
    notebook.cell(3).locator("button.sn-play").click()
    finding(notebook, 3, "three output modes")
    tab(notebook, 6, "doctor")
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        for cell, name in views.items():
            shown = notebook.cell(cell).locator(".sn-dashboard").first
            shown.scroll_into_view_if_needed()
            shown.locator(".sn-finding").first.wait_for()
            shown.screenshot(path=ARTIFACTS / f"{name}-{theme.lower()}.png")
    notebook.cell(4).locator("select").select_option("1")
    finding(notebook, 4, "Rule 1 of ")
    notebook.cell(5).locator(".sn-picture [data-pick='0']").first.click()
    finding(notebook, 5, "A delay of 1 hour drops 52 of 145 rows")
    assert notebook.cell(6).locator(".streamnb-findings summary", has_text="state grows").count() == 1
    assert notebook.cell(6).locator(".sn-tabs .sn-note", has_text="! 1").count() == 1
    assert notebook.errors == []


def test_names_keys_and_values_that_are_markup_stay_text(open_notebook: Open, lab: Lab):
    notebook = open_notebook(lab.write("markup.ipynb", [MARKUP, "sn.plan(frame.agg(n=sn.count()))", "e.stop()"]))
    notebook.page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    notebook.run_cell(0)
    notebook.wait_for_text("watermark ")
    for name in ("state", "late", "delay", "plan", "metrics", "sources"):
        tab(notebook, 0, name)
        notebook.cell(0).locator(".sn-picture svg:visible").first.wait_for()
        notebook.page.evaluate(OPEN_TABLES)
        assert notebook.page.locator(".sn-dashboard img").count() == 0
    tab(notebook, 0, "state")
    notebook.cell(0).locator("td", has_text=EVIL).first.wait_for()
    notebook.run_cell(1)
    notebook.cell(1).locator(".sn-picture svg:visible").first.wait_for()
    assert notebook.page.locator(".sn-dashboard img").count() == 0
    assert notebook.errors == []


REPORT = """
import streamnb as sn
rows = sn.data.landings(None, "2013-02-08").with_watermark("dep", "3 hours")
hourly = rows.group_by(sn.window("dep", "1 hour"), "origin").agg(n=sn.count())
live = hourly.query("update", sink=sn.bars("window_start", "n", by="origin"), name="live")
over = hourly.query("update", sink=sn.line("window_start", "n", by="origin"), name="over")
rows = hourly.query("update", sink=sn.table(limit=6), name="rows")
flags = hourly.filter(sn.col("n") > 14).query("append", sink=sn.flags("origin"), name="flags")
"""


def test_a_live_sink_follows_its_query_in_both_themes(open_notebook: Open, lab: Lab):
    steps = "for q in (live, over, rows, flags):\n    for _ in range(25): q.step()"
    notebook = open_notebook(lab.write("report.ipynb", [REPORT, steps, "live.rewind(9)", "live.stop()"]))
    notebook.run_cell(0)
    finding(notebook, 0, "bars: no batch has given anything out yet")
    notebook.run_cell(1)
    finding(notebook, 0, "n by window_start and origin: 36 bars, 22 of them final")
    finding(notebook, 0, "Given out so far: 36 rows")
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        for number in range(4):
            shown = notebook.cell(0).locator(".sn-dashboard").nth(number)
            shown.screenshot(path=ARTIFACTS / f"report-{number}-{theme.lower()}.png")
    notebook.run_cell(2)
    finding(notebook, 0, "n by window_start and origin: 17 bars, 4 of them final")
    assert notebook.errors == []


def test_big_batches_are_sampled_and_nothing_grows(open_notebook: Open, lab: Lab):
    notebook = open_notebook(lab.write("soak.ipynb", ["import streamnb as sn", BUSY, COUNTED, "busy.stop()"]))
    notebook.run_cell(0)
    notebook.run_cell(1)
    cell = notebook.cell(1)
    cell.locator(".sn-speed").first.select_option("10")
    cell.locator("button", has_text="play").first.click()
    counted: list[list[int]] = []
    for batches in (5, 9, 28):
        notebook.page.wait_for_function(PLAYED, arg=batches, timeout=90_000)
        tab(notebook, 1, "state")
        finding(notebook, 1, "State holds")
        tab(notebook, 1, "plane")
        notebook.wait_for_text("watermark ")
        cell.locator("button.sn-play").first.click()
        notebook.page.wait_for_function(AT_REST)
        notebook.run_cell(2)
        words = "".join(notebook.outputs(2)[0]["text"]).split()
        counted.append([*map(int, words), nodes(notebook)])
        assert any("rows shown" in text for text in notebook.texts())
        cell.locator("button.sn-play").first.click()
    _, first, last = counted
    assert first[:3] == last[:3]
    assert last[3] - first[3] < 600e6
    assert last[5] < 1.3 * first[5]
    assert notebook.errors == []


def nodes(notebook: Notebook) -> int:
    """Count the page's nodes after a garbage collection."""
    session = notebook.context.new_cdp_session(notebook.page)
    session.send("HeapProfiler.collectGarbage")
    found: int = session.send("Memory.getDOMCounters")["nodes"]
    session.detach()
    return found
