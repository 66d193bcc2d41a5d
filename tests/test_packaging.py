"""What is built, and what is in it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import streamnb

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "streamnb"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an sdist, and a wheel from that sdist, without the network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> set[str]:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def visible(folder: Path) -> set[str]:
    """Return the files of a folder, by their path in the repository, without caches."""
    names = (path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file())
    return {name.as_posix() for name in names if not any(part.startswith((".", "__pyc")) for part in name.parts)}


def test_modules_import_only_from_the_layers_below():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_the_wheel_has_every_file_of_the_package(wheel: set[str]):
    assert visible(PACKAGE) <= wheel
    assert "streamnb/py.typed" in wheel


def test_the_wheel_has_the_course(wheel: set[str]):
    lessons = {name.replace("notebooks/", "streamnb/course/", 1) for name in visible(ROOT / "notebooks")}
    assert any(name.endswith(".ipynb") for name in lessons)
    assert lessons <= wheel


def test_the_wheel_has_nothing_else(wheel: set[str]):
    assert {name.split("/")[0] for name in wheel} == {"streamnb", f"streamnb-{streamnb.__version__}.dist-info"}
    assert not [name for name in wheel if "checkpoint" in name and name.endswith(".ipynb")]


def test_the_sdist_has_what_the_tests_need(built: Path):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= {"LICENSE", "Makefile", "README.md", "pyproject.toml", "tests/test_packaging.py"}


def test_the_code_of_the_readme_runs_without_the_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        pytest.fail("it asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL))
    names: dict[str, object] = {}
    exec(code, names)  # noqa: S102  (our own README)
    assert len(names["query"].late) == 23  # type: ignore[attr-defined]
