"""Render the course as pages that need neither kernel nor network: ``python -m tests.course FOLDER [LESSON …]``."""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from time import monotonic

from nbformat.v4 import new_code_cell

from tests.course.pages import index_page, lesson_page, title_of
from tests.notebooks.kernel import COURSE, LESSONS, played, read

REFERENCE = "reference"


def render(lesson: str, folder: Path) -> str:
    """Run a lesson, write its page into ``folder``, and tell where it is and how long that took."""
    began = monotonic()
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
    return f"{where}: {monotonic() - began:.0f} s"


def main(folder: Path, lessons: list[str]) -> None:
    """Render lessons, by their numbers, or all of them and the reference, with the page of the path.

    As many at once as there are processors: the work is done in the lessons' kernels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in (*LESSONS, REFERENCE) if not lessons or name.partition("_")[0] in lessons]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for told in pool.map(render, chosen, repeat(folder)):
            print(told, flush=True)
    index = index_page((COURSE / "README.md").read_text(encoding="utf-8"))
    (folder / "index.html").write_text(index, encoding="utf-8")
    print(folder / "index.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
