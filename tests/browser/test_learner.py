"""Five lessons as a learner takes them: guess, run, use the figure, answer wrongly, then rightly; in both themes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from streamnb.learn.check import exercise
from tests.browser.lab import ARTIFACTS, Notebook
from tests.notebooks.kernel import read

Open = Callable[[str], Notebook]

SET_SOURCE = """([i, source]) =>
  window.jupyterapp.shell.currentWidget.content.widgets[i].model.sharedModel.setSource(source)"""


@dataclass(frozen=True)
class Learner:
    """What a learner does in a lesson: cells are named by the end of their ids."""

    lesson: str
    predict: str
    guess: str
    told: str
    figure: str
    wrong: str
    because: str

    @property
    def number(self) -> str:
        return self.lesson[:2]

    def cell(self, name: str) -> int:
        names = [cell.id for cell in read(self.lesson).cells]
        return names.index(f"{self.number}-{name}")


LEARNERS = (
    Learner(
        "00_batch_or_stream", "predict", "5000", "you said 5000; it is 92228", "dashboard",
        'def by_airport(rows):\n    return rows.group_by(sn.window("dep", "24 hours", "1 hour"), "origin")'
        ".agg(landed=sn.count())",
        "that counts by departure",
    ),
    Learner(
        "03_how_long_to_wait", "predict", "15", "you said 15: right", "dashboard",
        'answer = {"delay": 8, "median_wait": 11.0}', "not yet",
    ),
    Learner(
        "04_what_to_send_and_when", "predict", "complete", "you said complete: right", "modes",
        'modes = {"audit file": "update", "departure board": "update", "bar chart": "complete"}',
        "takes no line back",
    ),
    Learner(
        "06_crash_lab", "predict", "0", "you said 0; it is 322", "lab",
        "def exact(rows, batch_id, db):\n    append(rows, batch_id, db)",
        "appended again",
    ),
    Learner(
        "15_change_the_rules", "predict", "6", "you said 6; it is 3", "diff",
        "def change(q, better, at_batch):\n    q.evolve(better)", "evolve does not wait",
    ),
)  # fmt: skip


def answer(notebook: Notebook, learner: Learner) -> None:
    cell = notebook.cell(learner.cell(learner.predict))
    cell.locator("button", has_text="That is my guess").wait_for()
    if cell.locator("input").count():
        cell.locator("input").first.fill(learner.guess)
        cell.locator("input").first.press("Tab")
    else:
        cell.locator("button", has_text=learner.guess).first.click()
    cell.locator("button", has_text="That is my guess").click()
    cell.get_by_text(f"you said {learner.guess}").first.wait_for()


def look(notebook: Notebook, learner: Learner) -> None:
    """Use the figure, and see that it answers."""
    figure = notebook.cell(learner.cell(learner.figure))
    if learner.figure == "lab":
        figure.locator("select").first.select_option("before commit")
        figure.locator("svg text", has_text="322 twice").first.wait_for()
        return
    if learner.figure == "diff":
        figure.locator("svg text", has_text="batch").first.wait_for()
        return
    where = figure.locator(".sn-where").first
    where.wait_for()
    before = where.inner_text()
    for _ in range(6):
        figure.locator("button.sn-step").first.click()
    notebook.page.wait_for_function("([e, was]) => e.innerText !== was", arg=[where.element_handle(), before])
    where.filter(has_text="batch").wait_for()


def picture(notebook: Notebook, learner: Learner) -> None:
    for theme in ("Light", "Dark"):
        notebook.set_theme(f"JupyterLab {theme}")
        figure = notebook.cell(learner.cell(learner.figure)).locator(".sn-dashboard, svg:has(text)").first
        figure.scroll_into_view_if_needed()
        figure.screenshot(path=ARTIFACTS / f"learner-{learner.number}-{theme.lower()}.png")
    notebook.set_theme("JupyterLab Light")


def check(notebook: Notebook, learner: Learner, source: str) -> str:
    """Type an answer, run it and its check, and return what the check says."""
    notebook.page.evaluate(SET_SOURCE, [learner.cell("exercise-a"), source])
    notebook.run_cell(learner.cell("exercise-a"))
    notebook.run_cell(learner.cell("check-a"))
    outputs = notebook.outputs(learner.cell("check-a"))
    assert len(outputs) == 1, outputs
    return "".join(outputs[0]["data"]["text/plain"])


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: learner.lesson)
def test_a_learner_takes_a_lesson(open_notebook: Open, learner: Learner):
    notebook = open_notebook(f"{learner.lesson}.ipynb")
    kinds = [cell.cell_type for cell in read(learner.lesson).cells]
    ran = iter(range(len(kinds)))

    def run_to(name: str) -> None:
        for i in ran:
            if kinds[i] == "code":
                notebook.run_cell(i)
            if i == learner.cell(name):
                return

    run_to(learner.predict)
    answer(notebook, learner)
    run_to(learner.figure)
    look(notebook, learner)
    picture(notebook, learner)
    run_to("check-a")
    notebook.cell(learner.cell(learner.predict)).get_by_text(learner.told).first.wait_for()
    assert learner.because in check(notebook, learner, learner.wrong)
    right = exercise(f"{learner.number}.A").source()
    assert check(notebook, learner, right) == "right"
    assert notebook.errors == []
