"""The command ``streamnb``."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

import streamnb
from streamnb import cli
from streamnb.installed import findings


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    folder = tmp_path / "lessons"
    for name in ("00-first one.ipynb", "03-wait.ipynb", "data/small.csv", ".ipynb_checkpoints/00-first one.ipynb"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"original {name}")
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, lessons: Path) -> list[list[str]]:
    """Return the list that will hold the command JupyterLab is started with."""
    commands: list[list[str]] = []

    def become(command: list[str], environment: dict[str, str]) -> int:
        assert (Path(environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]) / "labconfig").is_dir()
        commands.append(command)
        return 0

    monkeypatch.setattr(cli, "_become", become)
    monkeypatch.setattr(cli, "course", lambda: lessons)
    return commands


def files(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_lab_copies_the_course_without_its_hidden_files(lessons: Path, tmp_path: Path):
    told = cli.copy_course(lessons, tmp_path / "mine")
    assert files(tmp_path / "mine") == {"00-first one.ipynb", "03-wait.ipynb", "data/small.csv"}
    assert told == [f"{tmp_path / 'mine'}: lessons and their files copied: 3."]


def test_a_changed_lesson_is_kept_and_named(lessons: Path, tmp_path: Path):
    mine = tmp_path / "mine"
    cli.copy_course(lessons, mine)
    (mine / "03-wait.ipynb").write_text("my answer")
    (mine / "data/small.csv").unlink()
    copied, kept = cli.copy_course(lessons, mine)
    assert (mine / "03-wait.ipynb").read_text() == "my answer"
    assert (mine / "data/small.csv").exists()
    assert copied.endswith(": lessons and their files copied: 1.")
    assert "03-wait.ipynb: kept with your changes" in kept


def test_nothing_is_copied_onto_the_course_itself(lessons: Path):
    before = files(lessons)
    assert cli.copy_course(lessons, lessons) == []
    assert files(lessons) == before


def test_lab_opens_the_first_lesson_and_passes_options_on(started: list[list[str]], tmp_path: Path):
    mine = tmp_path / "mine"
    assert cli.main(["lab", str(mine), "--no-browser", "--port", "8899"]) == 0
    (command,) = started
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={mine}" in command
    assert "--LabApp.default_url=/lab/tree/00-first%20one.ipynb" in command
    assert command[-3:] == ["--no-browser", "--port", "8899"]


def test_lab_without_a_folder_makes_one_here(started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lab", "--port", "8899"]) == 0
    assert started[0][-2:] == ["--port", "8899"]
    assert (tmp_path / "streamnb-course" / "03-wait.ipynb").exists()


@pytest.mark.parametrize("root", [True, False])
def test_only_root_asks_to_be_allowed(root: bool, monkeypatch: pytest.MonkeyPatch, lessons: Path):  # noqa: FBT001
    monkeypatch.setattr(cli, "_is_root", lambda: root)
    assert ("--allow-root" in cli.jupyter_command(lessons, [])) is root


def test_without_jupyterlab_one_line_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert cli.main(["lab", str(tmp_path / "mine")]) == 1
    assert capsys.readouterr().err == "lab: JupyterLab is not installed; type pip install 'streamnb[lab]'.\n"
    assert not (tmp_path / "mine").exists()


def test_a_file_is_no_folder_for_the_course(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "mine").write_text("")
    assert cli.main(["lab", str(tmp_path / "mine")]) == 1
    assert "is a file; name a folder" in capsys.readouterr().err


def test_doctor_prints_a_line_for_each_finding(capsys: pytest.CaptureFixture[str]):
    assert cli.main(["doctor"]) == 0
    printed = [tuple(line.split(maxsplit=1)) for line in capsys.readouterr().out.splitlines()]
    assert printed == findings()


def test_doctor_takes_no_more_words():
    with pytest.raises(SystemExit):
        cli.main(["doctor", "please"])


def test_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"streamnb {streamnb.__version__}\n"
