"""A lesson as a newcomer meets it: JupyterLab in Chromium, all cells run, buttons clicked, figures seen to change."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable

import pytest

from tests.browser.lab import ARTIFACTS, Lab, Notebook

Open = Callable[[str], Notebook]

START = """
import streamnb as sn
flights = sn.data.landings("JFK", "2013-02-08")
hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
q = hourly.query(name="hourly")
q
"""
BUSY = """
import numpy as np, pandas as pd
at = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(6_000), "s")
events = pd.DataFrame({"at": at, "seen": at + pd.to_timedelta(np.arange(6_000) % 40, "s"), "key": np.arange(6_000) % 7})
stream = sn.from_pandas(events, arrival="seen", every="20s").with_watermark("at", "10 seconds")
busy = stream.group_by(sn.window("at", "1 minute")).agg(n=sn.count()).query("update", name="busy")
busy
"""
LATENCIES = """
import json
from streamnb.views.display import dashboard_of
print(json.dumps(list(dashboard_of(busy).panel.live.latencies_ms)))
"""

ANSWERS = """async times => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const answers = [];
  for (let i = 0; i < times; i++) {
    const asked = performance.now();
    await kernel.requestExecute({ code: "1 + 1" }).done;
    answers.push(performance.now() - asked);
  }
  return answers;
}"""


def button(notebook: Notebook, cell: int, name: str):
    return notebook.cell(cell).locator(f"button.sn-{name}").first


KEPT = """part => JSON.stringify(
  window.jupyterapp.shell.currentWidget.content.widgets[0].model.outputs.toJSON()).includes(part)"""


@pytest.fixture(scope="module")
def own(lab: Lab) -> str:
    return lab.write("dashboard.ipynb", [START, BUSY, "1 + 1", LATENCIES, "q.stop(); busy.stop()"])


def test_step_back_play_and_pause_are_seen(open_notebook: Open, own: str):
    notebook = open_notebook(own)
    notebook.run_cell(0)
    step = button(notebook, 0, "step")
    step.wait_for()
    for _ in range(6):
        step.click()
    notebook.wait_for_text("watermark 05:22")
    shapes = notebook.shapes()
    for _ in range(4):
        step.click()
    notebook.wait_for_text("watermark 07:48")
    assert notebook.shapes() > shapes
    button(notebook, 0, "back").click()
    notebook.wait_for_text("watermark 07:25")
    play = notebook.cell(0).locator("button", has_text="play").first
    play.click()
    notebook.cell(0).locator(".sn-status", has_text="done").wait_for(timeout=60_000)
    notebook.wait_for_text("watermark 14:28")
    assert notebook.errors == []


def test_the_keyboard_steps_and_goes_back(open_notebook: Open, own: str):
    notebook = open_notebook(own)
    notebook.run_cell(0)
    button(notebook, 0, "step").wait_for()
    button(notebook, 0, "step").focus()
    where = notebook.cell(0).locator(".sn-where").first
    for key, words in (("ArrowRight", "batch 0 of 0"), ("ArrowRight", "batch 1 of 1"), ("ArrowLeft", "batch 0 of 1")):
        notebook.page.keyboard.press(key)
        where.filter(has_text=words).wait_for()
    assert len(notebook.outputs(0)) >= 1
    assert notebook.errors == []


def test_two_views_of_a_query_agree(open_notebook: Open, lab: Lab):
    name = lab.write("twice.ipynb", [START, "q"])
    notebook = open_notebook(name)
    notebook.run_all()
    places = notebook.page.locator(".jp-Notebook:visible .sn-where")
    places.nth(1).wait_for()
    button(notebook, 0, "step").click()
    for n in (0, 1):
        places.nth(n).filter(has_text="batch 0 of 0").wait_for()
    assert notebook.errors == []


def test_the_saved_lesson_keeps_a_picture_and_a_table(open_notebook: Open, lab: Lab):
    name = lab.write("saved.ipynb", [START])
    notebook = open_notebook(name)
    notebook.run_cell(0)
    button(notebook, 0, "step").wait_for()
    notebook.cell(0).locator("button", has_text="play").first.click()
    notebook.cell(0).locator(".sn-status", has_text="done").wait_for(timeout=60_000)
    picture, rows = "watermark 14:28", "Result after batch 31"
    for part in (picture, rows):
        notebook.page.wait_for_function(KEPT, arg=part, timeout=30_000)
    notebook.save()
    saved = json.loads((lab.notebooks / name).read_text())
    kept = {mime: "".join(text) for output in saved["cells"][0]["outputs"] for mime, text in output["data"].items()}
    assert picture in kept["image/svg+xml"]
    assert rows in kept["text/html"]


def test_playing_leaves_the_kernel_free(open_notebook: Open, own: str):
    """The figures go to the artefacts; nothing here asserts a time."""
    notebook = open_notebook(own)
    notebook.run_cell(0)
    notebook.run_cell(1)
    cell = notebook.cell(1)
    cell.locator("button", has_text="play").first.wait_for()
    cell.locator(".sn-speed").first.select_option("10")
    cell.locator("button", has_text="play").first.click()
    cell.locator(".sn-where", has_text=re.compile(r"batch [6-9]\d")).first.wait_for(timeout=60_000)
    notebook.run_cell(3)
    latencies = json.loads("".join(notebook.outputs(3)[0]["text"]))
    answers = notebook.page.evaluate(ANSWERS, 20)
    notebook.run_cell(4)
    figures = {
        "event_to_paint_ms": {"median": statistics.median(latencies), "most": max(latencies), "frames": len(latencies)},
        "kernel_answers_ms": {"median": statistics.median(answers), "most": max(answers), "asked": len(answers)},
    }
    (ARTIFACTS / "playing.json").write_text(json.dumps(figures, indent=1))
    assert len(latencies) > 0
    assert notebook.errors == []
