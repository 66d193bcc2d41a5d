"""The playgrounds as a learner uses them: pull, choose, type, break it, and go on; in both themes."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Locator

from tests.browser.lab import ARTIFACTS, Lab, Notebook
from tests.browser.test_learner import SET_SOURCE
from tests.notebooks.kernel import read

Open = Callable[[str], Notebook]
PLAYGROUND, WORKBENCH = "P1_watermark_playground", "P2_query_workbench"


def cell_of(lesson: str, name: str) -> int:
    return [cell.id for cell in read(lesson).cells].index(name)


def pictures(notebook: Notebook, shown: Locator, name: str) -> None:
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        shown.scroll_into_view_if_needed()
        notebook.screenshot(f"{name}-{theme.lower()}")
    notebook.set_theme("JupyterLab Light")


def control(figure: Locator, label: str) -> Locator:
    return figure.locator(".sn-control", has_text=label).locator("input, select").first


def pull(notebook: Notebook, mark: Locator, up: float) -> None:
    box = mark.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    mouse = notebook.page.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x, y - up / 2)
    mouse.move(x, y - up)
    notebook.page.locator(".sn-finding", has_text="drops 1 of 12 rows").first.wait_for()
    mouse.up()


def test_a_mark_is_pulled_until_one_row_is_dropped(open_notebook: Open):
    notebook = open_notebook(f"{PLAYGROUND}.ipynb")
    notebook.run_cell(cell_of(PLAYGROUND, "P1-play"))
    figure = notebook.cell(cell_of(PLAYGROUND, "P1-play")).locator(".sn-dashboard").first
    figure.locator(".sn-finding", has_text="drops none of 12 rows").wait_for()
    mark = figure.locator("[data-drag='5']")
    mark.scroll_into_view_if_needed()
    pull(notebook, mark, up=184)
    figure.locator("tr", has_text="Make it drop exactly one row.").get_by_text("done").wait_for()
    pictures(notebook, figure.locator("svg[role=img]").first, "playground")
    control(figure, "the watermark waits").fill("25")
    figure.locator(".sn-finding", has_text="A 25-minute watermark drops none").wait_for()
    control(figure, "output mode").select_option("update")
    control(figure, "begin with").select_option("a phone in flight mode")
    figure.locator("tr", has_text="Make it drop exactly one row.").get_by_text("3 rows are dropped").wait_for()
    line = figure.get_by_text("To share it:").inner_text().removeprefix("To share it: ")
    other = cell_of(PLAYGROUND, "P1-shared")
    notebook.page.evaluate(SET_SOURCE, [other, line])
    notebook.run_cell(other)
    notebook.cell(other).locator(".sn-dashboard").get_by_text(line).wait_for()
    notebook.page.evaluate(SET_SOURCE, [other, 'sn.playground("10 minutes, please")'])
    notebook.run_cell(other)
    assert "is no preset; copy the line under a playground" in notebook.outputs(other)[0]["evalue"]
    assert notebook.errors == []


def test_a_query_is_typed_broken_mended_and_taken_along(open_notebook: Open, lab: Lab):
    notebook = open_notebook(f"{WORKBENCH}.ipynb")
    notebook.run_cell(cell_of(WORKBENCH, "P2-bench"))
    bench = notebook.cell(cell_of(WORKBENCH, "P2-bench"))
    bench.locator("button.sn-step").first.wait_for()
    editor = bench.locator(".sn-editor textarea")
    typed = editor.input_value()

    def run(code: str, said: str) -> None:
        editor.fill(code)
        editor.blur()
        bench.get_by_role("button", name="run", exact=True).click()
        bench.get_by_text(said).first.wait_for()

    run("rowz.limit(3)", "your code raises NameError: name 'rowz' is not defined")
    run(typed.replace('"dep"', '"dap"'), "did you mean 'dep'")
    run("3 + 4", "the last line")
    run("rows.filter(", "SyntaxError")
    pictures(notebook, bench.get_by_text("SyntaxError").first, "workbench-broken")
    bench.get_by_role("checkbox", name="duplicate").check()
    bench.locator("select").nth(1).select_option("update")
    editor.fill(typed.replace("3 hours", "4 hours"))
    editor.blur()
    bench.get_by_role("button", name="run", exact=True).click()
    bench.get_by_text("SyntaxError").first.wait_for(state="detached")
    bench.locator("button.sn-step").first.click()
    bench.locator(".sn-where", has_text="batch 0").first.wait_for()
    pictures(notebook, bench.locator("button.sn-step").first, "workbench")
    bench.get_by_role("button", name="as PySpark").click()
    bench.get_by_text('withWatermark("dep", "4 hours")').first.wait_for()
    bench.locator("input[type=text]").last.fill("own.ipynb")
    bench.locator("input[type=text]").last.blur()
    bench.get_by_role("button", name="save as lesson").click()
    bench.get_by_text("saved as own.ipynb").first.wait_for()
    assert "4 hours" in (lab.notebooks / "own.ipynb").read_text()
    bench.get_by_role("button", name="save as lesson").click()
    bench.get_by_text("own.ipynb is there already").first.wait_for()
    assert notebook.errors == []
    assert ARTIFACTS.joinpath("workbench-dark.png").exists()
