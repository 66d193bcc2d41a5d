"""The reference notebook: what the docstrings say, and it runs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.make_reference import PATH, notebook
from tests.notebooks.kernel import played


def test_it_is_what_the_docstrings_say_now():
    assert nbformat.writes(notebook()) == PATH.read_text(encoding="utf-8").rstrip("\n"), (
        "reference.ipynb: it is older than the docstrings; type python -m tests.make_reference."
    )


@pytest.mark.notebook
def test_it_runs(tmp_path: Path):
    done = played(nbformat.read(PATH, as_version=4), tmp_path)
    assert [cell.id for cell in done.cells for out in cell.get("outputs", []) if out.output_type == "error"] == []
