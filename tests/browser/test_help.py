"""What JupyterLab tells while one types: TAB completes our names, Shift+TAB shows the docstring."""

from __future__ import annotations

import contextlib
import inspect

from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as NotYetError

import streamnb as sn
from tests.browser.lab import Lab, Notebook
from tests.browser.test_lab_smoke import Open

SETUP = "import streamnb as sn\nquery = sn.data.landings('JFK', '2013-02-08').query()"
TRIES = 20


def press(notebook: Notebook, i: int, keys: str, shown: Locator) -> None:
    """Press keys behind the text of a cell until something shows: JupyterLab waits a second only for the kernel."""
    notebook.cell(i).locator(".cm-content").click()
    notebook.page.keyboard.press("Control+End")
    for _ in range(TRIES):
        notebook.page.keyboard.press(keys)
        with contextlib.suppress(NotYetError):
            return shown.wait_for(timeout=3_000)
    raise AssertionError(keys)


def test_names_are_completed_and_docstrings_shown(open_notebook: Open, lab: Lab):
    notebook = open_notebook(lab.write("help.ipynb", [SETUP, "query.w", "sn.suggest_watermark("]))
    notebook.run_cell(0)

    press(notebook, 1, "Tab", notebook.page.locator(".jp-Completer-item", has_text="why_no_output"))
    offered = notebook.page.locator(".jp-Completer-item").all_inner_texts()
    for name in ("watermark", "watermarks", "why", "why_no_output"):
        assert any(name in text.split() for text in offered)
    notebook.page.keyboard.press("Escape")

    press(notebook, 2, "Shift+Tab", notebook.page.locator(".jp-Tooltip"))
    rule = (inspect.getdoc(sn.suggest_watermark) or "").splitlines()[0]
    assert rule in " ".join(notebook.page.locator(".jp-Tooltip").inner_text().split())
