"""What ``make release`` asks for before it builds anything."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from tests.lacking import give_up
from tests.release import ReleaseError, check_changes, export, run, version_of

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("tags", "version"), [(["v1.2.3"], "1.2.3"), (["nightly", "v1.2.0rc1"], "1.2.0rc1")])
def test_the_version_is_the_tag_s(tags, version):
    assert version_of(tags) == version


@pytest.mark.parametrize("tags", [[], ["1.2.3"], ["v1.2"], ["v1.2.3", "v1.2.4"]])
def test_without_one_tag_there_is_no_release(tags):
    with pytest.raises(ReleaseError, match=r"git tag v1\.2\.3"):
        version_of(tags)


def test_a_version_needs_its_changes_with_a_date():
    check_changes("# Changes\n\n## 1.2.3, 2026-11-22\n\n- all\n", "1.2.3")
    for changes in ("## 1.2.3, not released yet\n", "## 1.2.30, 2026-11-22\n", ""):
        with pytest.raises(ReleaseError, match=r"has no line '## 1\.2\.3, YYYY-MM-DD'"):
            check_changes(changes, "1.2.3")


def test_what_is_built_is_the_commit_with_the_version_of_its_tag(tmp_path):
    if shutil.which("git") is None:
        give_up("no git was found; type: sudo apt-get install git")
    package = tmp_path / "repository" / "streamnb" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text('"""A package."""\n\n__version__ = "0.1.0"\n')
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=all"]):
        run(*git, *command, where=tmp_path / "repository")
    package.write_text("what is not committed")
    export(tmp_path / "repository", tmp_path / "source", "9.8.7")
    assert (tmp_path / "source/streamnb/__init__.py").read_text() == '"""A package."""\n\n__version__ = "9.8.7"\n'
    assert not (tmp_path / "source/.git").exists()


def test_the_citation_agrees_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (cited,) = re.findall(r"```bibtex\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    title, authors = re.findall(r"title = \{(\w+):", cited), re.findall(r"author = \{\{(.+?)\}\}", cited)
    assert (title, authors) == ([project["name"]], [project["authors"][0]["name"]])
