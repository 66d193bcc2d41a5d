"""Jupyter Notebook 7, the other front end that ``streamnb[lab]`` brings: the same dashboard, the same buttons."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.browser.lab import ARTIFACTS, Lab, Notebook
from tests.browser.test_course import START


def test_a_query_is_stepped_in_notebook_7(lab: Lab, browser: Browser):
    name = lab.write("seven.ipynb", [START])
    notebook = Notebook(lab, browser)
    page = notebook.page
    page.goto(lab.url(name).replace("/lab/tree/", "/notebooks/"), wait_until="domcontentloaded")

    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    own = list(notebook.errors)  # what Notebook 7 complains about by itself
    page.keyboard.press("Shift+Enter")
    step = page.locator("button.sn-step").first
    step.wait_for(timeout=60_000)
    for _ in range(6):
        step.click()
    notebook.wait_for_text("watermark 05:22")
    page.screenshot(path=ARTIFACTS / "notebook7.png")
    assert notebook.errors == own
    notebook.close()
    lab.end_kernels()
