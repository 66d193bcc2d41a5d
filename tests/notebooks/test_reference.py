"""The reference notebook: what the docstrings say, and it runs."""

from __future__ import annotations

import nbformat

from tests.make_reference import PATH, notebook


def test_it_is_what_the_docstrings_say_now():
    assert nbformat.writes(notebook()) == PATH.read_text(encoding="utf-8").rstrip("\n"), (
        "reference.ipynb: it is older than the docstrings; type python -m tests.make_reference."
    )
