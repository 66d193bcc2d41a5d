"""A kernel of this interpreter on this repository, to run the notebooks of the course with."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
COURSE = ROOT / "notebooks"
LESSONS = sorted(path.stem for path in COURSE.glob("[0-9P]*_*.ipynb"))


class ThisPython(AsyncKernelManager):
    """Starts kernels with the interpreter of the tests, on this repository, whatever kernels are installed."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            env={"PYTHONPATH": str(ROOT)},
            display_name="Python 3",
            language="python",
        )


def read(lesson: str) -> Any:
    """Return a notebook as it is committed."""
    return nbformat.read(COURSE / f"{lesson}.ipynb", as_version=4)


def played(notebook: Any, folder: Path) -> Any:
    """Return a copy of a notebook, run from top to bottom in ``folder``."""
    copied = copy.deepcopy(notebook)
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(copied, timeout=300, kernel_manager_class=ThisPython, resources=resources).execute()
    return copied
