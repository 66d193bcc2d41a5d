"""README's picture, from a run of README's own lines in a real JupyterLab: ``python -m tests.browser.picture``."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.lab import Lab, Notebook, launch
from tests.lacking import give_up

ROOT = Path(__file__).parents[2]
STEPS = 22


def lines() -> str:
    """Return the first Python of README up to where its query is run."""
    (code,) = re.findall(r"```python\n(import .*?)query\.step\(\)", (ROOT / "README.md").read_text(), re.DOTALL)
    return f"{code}query"


def take(notebook: Notebook, theme: str) -> Path:
    """Step through the storm until some rows are dropped and some are still to come, and keep the dashboard."""
    notebook.set_theme(f"JupyterLab {theme}")
    notebook.run_cell(0)
    cell = notebook.cell(0)
    for _ in range(STEPS):
        cell.locator("button.sn-step").first.click()
    cell.locator(".sn-where", has_text=f"batch {STEPS - 1} of").first.wait_for()
    notebook.wait_for_text("watermark 12:56")
    path = ROOT / ".github" / f"dashboard-{theme.lower()}.png"
    box = cell.locator(".sn-dashboard").first.bounding_box()
    assert box is not None
    notebook.page.screenshot(path=path, clip=box | {"width": 830, "height": 770})
    return path


def main() -> None:
    """Take it in both themes."""
    program = chromium.find() or give_up(chromium.MISSING)
    with (
        tempfile.TemporaryDirectory() as folder,
        Lab(Path(folder)) as lab,
        sync_playwright() as playwright,
        launch(playwright, program) as browser,
    ):
        for theme in ("Light", "Dark"):
            notebook = Notebook(lab, browser, width=1300, height=1400, scale=1.5)
            take(notebook.open(lab.write(f"{theme}.ipynb", [lines()])), theme)
            notebook.close()


if __name__ == "__main__":
    main()
