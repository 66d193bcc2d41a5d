"""JupyterLab itself works here: without this, no other browser test says anything."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.browser.lab import Lab, Notebook

SLIDER = "import ipywidgets\nprint(1)\nipywidgets.IntSlider(value=7)"
PAINT = """
from IPython.display import HTML
HTML('<canvas width="300" height="40"></canvas>')
"""
DRAW = """() => {
  const canvas = document.querySelector(".jp-OutputArea canvas");
  const context = canvas.getContext("2d");
  context.fillText("watermark 10:31", 10, 20);
  context.clearRect(0, 0, 300, 40);
  context.fillText("watermark 11:00", 10, 20);
  context.fillRect(0, 0, 5, 5);
}"""

Open = Callable[[str], Notebook]


@pytest.fixture(scope="module")
def smoke(lab: Lab) -> str:
    return lab.write("smoke.ipynb", [SLIDER, "print(2)", PAINT])


def test_a_widget_is_drawn_without_an_error(open_notebook: Open, smoke: str):
    notebook = open_notebook(smoke)
    notebook.run_cell(0)
    assert notebook.outputs(0)[0]["text"] == "1\n"
    notebook.cell(0).locator(".widget-readout", has_text="7").wait_for()
    assert notebook.errors == []


def test_all_cells_run_and_are_saved(open_notebook: Open, lab: Lab):
    name = lab.write("smoke-saved.ipynb", [SLIDER, "print(2)"])
    notebook = open_notebook(name)
    notebook.run_all()
    assert notebook.outputs(1)[0]["text"] == "2\n"
    notebook.save()
    saved = json.loads((lab.notebooks / name).read_text())
    assert saved["cells"][1]["outputs"][0]["text"] == ["2\n"]


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_both_themes(open_notebook: Open, smoke: str, theme: str):
    notebook = open_notebook(smoke)
    notebook.run_cell(0)
    notebook.set_theme(f"JupyterLab {theme}")
    assert notebook.page.evaluate("document.body.dataset.jpThemeLight") == str(theme == "Light").lower()
    assert notebook.screenshot(f"smoke-{theme.lower()}").stat().st_size > 0
    assert notebook.errors == []


def test_the_probe_knows_which_texts_stand_on_a_canvas(open_notebook: Open, smoke: str):
    notebook = open_notebook(smoke)
    notebook.run_cell(2)
    notebook.page.evaluate(DRAW)
    notebook.wait_for_text("11:00")
    assert "watermark 10:31" not in notebook.texts()
    assert notebook.first_painted().keys() >= {"watermark 10:31", "watermark 11:00"}
    assert notebook.shapes() == 1
    assert notebook.counts()["fillText"] == 2
    assert notebook.counts()["messages"] > 0
