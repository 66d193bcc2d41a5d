"""The lessons: each runs from top to bottom in a fresh kernel, and each has the shape of a lesson."""

from __future__ import annotations

import copy
import re
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from streamnb.learn.check import exercise
from tests.notebooks.kernel import COURSE, LESSONS, played, read

DETAILS = re.compile(r"<details>.*?</details>", re.DOTALL)
FENCED = re.compile(r"```python\n(.*?)```", re.DOTALL)

TAUGHT = [lesson for lesson in LESSONS if not lesson.startswith("P")]
"""Those with exercises; a playground has none."""

every_lesson = pytest.mark.parametrize("lesson", LESSONS)


def run(notebook: Any, folder: Path) -> dict[str, Any]:
    """Run a notebook in ``folder``; return its code cells by id."""
    return {cell.id: cell for cell in code_cells(played(notebook, folder))}


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def between_code(notebook: Any) -> list[str]:
    """Return the prose of each stretch of Markdown, without what is folded away."""
    stretches = groupby(notebook.cells, key=lambda cell: cell.cell_type)
    return [
        DETAILS.sub("", "\n".join(cell.source for cell in cells)) for kind, cells in stretches if kind == "markdown"
    ]


def verdicts(cells: dict[str, Any], kind: str) -> list[str]:
    """Return what the cells of a kind that check an exercise said."""
    checks = [cell for name, cell in cells.items() if kind in name]
    return [output.data["text/plain"] for cell in checks for output in cell.outputs if "data" in output]


def tried_twice(notebook: Any) -> Any:
    """Return the notebook with the solution that ``sn.solution`` shows before each check, checked, and taken back.

    So one run tells both: that the solutions are right where they stand, and that the lesson goes on without any.
    """
    done = copy.deepcopy(notebook)
    done.cells = []
    stubs: list[Any] = []
    for cell in notebook.cells:
        number, _, letter = cell.id.partition("-check-")
        stubs += [cell] if "-exercise-" in cell.id and cell.cell_type == "code" else []
        if letter:
            done.cells += [as_solved(stub) for stub in stubs]
            done.cells.append(copied(cell, f"{number}-solved-{letter}", cell.source))
            done.cells += [copied(stub, f"{stub.id}-{letter}", stub.source) for stub in stubs]
        done.cells.append(cell)
    return done


def as_solved(stub: Any) -> Any:
    number, _, letter = stub.id.partition("-exercise-")
    source = exercise(f"{number}.{letter.upper()}").source()
    return copied(stub, f"{number}-solution-{letter}", source)


def copied(cell: Any, name: str, source: str) -> Any:
    other = copy.deepcopy(cell)
    other.update(id=name, source=source)
    return other


@pytest.mark.notebook
@every_lesson
def test_a_lesson_runs_from_top_to_bottom(lesson: str, tmp_path: Path):
    cells = run(tried_twice(read(lesson)), tmp_path)
    streams = [(name, out.text) for name, cell in cells.items() for out in cell.outputs if out.get("name") == "stderr"]
    assert streams == []
    assert set(verdicts(cells, "-check-")) == ({"not tried"} if lesson in TAUGHT else set())
    assert set(verdicts(cells, "-solved-")) == ({"right"} if lesson in TAUGHT else set())
    assert list(tmp_path.iterdir()) == []


def test_the_path_names_every_lesson_in_order():
    path = (COURSE / "README.md").read_text(encoding="utf-8")
    assert LESSONS != []
    assert re.findall(r"\]\((\S+_\S+)\.ipynb\)", path) == LESSONS
    assert [lesson for lesson in LESSONS if not re.fullmatch(r"(\d\d|P\d)_[a-z0-9_]+", lesson)] == []


@every_lesson
def test_no_output_is_committed(lesson: str):
    notebook = read(lesson)
    assert [cell.id for cell in code_cells(notebook) if cell.outputs or cell.execution_count] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}


@every_lesson
def test_a_cell_has_a_readable_id_of_its_own(lesson: str):
    names = [cell.id for cell in read(lesson).cells]
    number = lesson.partition("_")[0]
    assert [name for name in names if not re.fullmatch(rf"{number}(-[a-z]+)+", name)] == []
    assert len(set(names)) == len(names)


@every_lesson
def test_a_code_cell_is_short(lesson: str):
    notebook = read(lesson)
    sources = [cell.source for cell in code_cells(notebook)]
    folded = [code.strip() for cell in notebook.cells for code in FENCED.findall(cell.source)]
    assert [code for code in sources + folded if len(code.splitlines()) > 12] == []
    assert [line for code in sources + folded for line in code.splitlines() if len(line) > 110] == []


@every_lesson
def test_there_is_little_to_read_between_code(lesson: str):
    assert [text for text in between_code(read(lesson)) if len(re.findall(r"\w\S*", text)) > 60] == []


@every_lesson
def test_the_last_cell_asserts_the_facts(lesson: str):
    last = read(lesson).cells[-1]
    assert last.cell_type == "code"
    assert last.source.splitlines()[-1].startswith("assert ")


@every_lesson
def test_a_bold_number_of_the_prose_is_asserted(lesson: str):
    notebook = read(lesson)
    asserted = set(re.findall(r"\d[\d_.]*", notebook.cells[-1].source.replace("_", "")))
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    bold = {number.replace(",", "") for number in re.findall(r"\*\*(\d[\d.,]*)\*\*", prose)}
    assert bold - asserted == set()


NO_FACT = re.compile(
    r"`[^`]*`|\]\([^)]*\)|\*\*[^*]*\*\*|\d+:\d\d|\d+ (?:February|March)(?: \d{4})?"
    r"|[Ll]essons? \d\d(?:(?:, | and | to | or )\d\d)*|^\*\d+ minutes.*$",
    re.MULTILINE,
)
"""Code, links, what is bold, times, dates and lessons."""


@every_lesson
def test_any_other_number_of_the_prose_is_in_the_code(lesson: str):
    notebook = read(lesson)
    code = "\n".join(cell.source for cell in code_cells(notebook))
    known = {number.replace("_", "") for number in re.findall(r"\d[\d_.]*", code)}
    prose = "\n".join(NO_FACT.sub("", cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    told = {number.replace(",", "") for number in re.findall(r"(?<!\w)\d[\d.,]*\d(?!\w)", prose)}
    assert told - known == set()
