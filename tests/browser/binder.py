"""Binder's steps in an environment of its own, and lesson 00 in what they made: ``python -m tests.browser.binder``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import chromium
from tests.browser.lab import Lab, Notebook, launch
from tests.lacking import give_up

ROOT = Path(__file__).parents[2]
LESSON = "00_batch_or_stream.ipynb"


def binders_python() -> str:
    """Return the Python that ``binder/runtime.txt`` names, if one is here and runs; else this one."""
    name = (ROOT / "binder" / "runtime.txt").read_text().strip().replace("-", "")
    found = shutil.which(name)
    return found if found and not subprocess.run([found, "-c", ""], check=False).returncode else sys.executable


def build(folder: Path, python: str) -> Path:
    """Do what repo2docker does with ``binder/``: a copy of the commit, its requirements, ``postBuild``."""
    repository, environment = folder / "repository", folder / "environment"
    subprocess.run([shutil.which("git") or "git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    subprocess.run([python, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", "binder/requirements.txt"], cwd=repository, check=True)
    os.environ["PATH"] = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
    subprocess.run([str(repository / "binder" / "postBuild")], cwd=repository, check=True)
    return repository


def main(python: str) -> None:
    """Build it, start it as Binder does, and run the first lesson."""
    program = chromium.find() or give_up(chromium.MISSING)
    os.environ.pop("PYTHONPATH", None)
    with tempfile.TemporaryDirectory() as folder:
        repository = build(Path(folder), python)
        start = (str(repository / "binder" / "start"), "jupyter", "lab", f"--ServerApp.root_dir={repository}")
        rights = ("--allow-root",) if os.geteuid() == 0 else ()
        with (
            Lab(Path(folder), (*start, *rights), repository / "notebooks", "notebooks/") as lab,
            sync_playwright() as playwright,
            launch(playwright, program) as browser,
        ):
            notebook = Notebook(lab, browser).open(LESSON)
            notebook.run_all()
            notebook.screenshot("binder")
            failed = [error for error in notebook.errors if "streamnb" in error]
            notebook.close()
        assert failed == [], failed


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else binders_python())
