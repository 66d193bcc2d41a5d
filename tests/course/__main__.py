"""Render the course as pages that need neither kernel nor network: ``python -m tests.course FOLDER [LESSON …]``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from nbformat.v4 import new_code_cell

from tests.course.pages import index_page, lesson_page, title_of
from tests.notebooks.kernel import COURSE, LESSONS, played, read


def render(lesson: str, folder: Path) -> Path:
    """Run a lesson, write its page into ``folder``, and return where it is."""
    path = [(name, title_of(read(name))) for name in LESSONS]
    notebook = read(lesson)
    with tempfile.TemporaryDirectory(prefix="streamnb-course-") as scratch:
        recorded = Path(scratch, "figures")
        recorded.mkdir()
        Path(scratch, "run").mkdir()
        before = new_code_cell("from tests.course import record\nrecord.begin()")
        after = new_code_cell(f"record.finish({str(recorded)!r})")
        notebook.cells = [before, *notebook.cells, after]
        done = played(notebook, Path(scratch, "run"))
        done.cells = done.cells[1:-1]
        figures = {int(file.stem): file.read_text(encoding="utf-8") for file in recorded.glob("*.html")}
    where = folder / f"{lesson}.html"
    where.write_text(lesson_page(done, figures, path, lesson), encoding="utf-8")
    return where


def main(folder: Path, lessons: list[str]) -> None:
    """Render lessons, by their numbers, or all of them, with the page of the path."""
    folder.mkdir(parents=True, exist_ok=True)
    for lesson in LESSONS:
        if not lessons or lesson.partition("_")[0] in lessons:
            print(render(lesson, folder), flush=True)
    index = index_page((COURSE / "README.md").read_text(encoding="utf-8"))
    (folder / "index.html").write_text(index, encoding="utf-8")
    print(folder / "index.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
