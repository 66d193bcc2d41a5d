"""``make release``: the last commit by its tag, built, checked, and tried in an environment of its own."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAG = re.compile(r"v(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
LINES = re.compile(r"```python\n(.*?)```", re.DOTALL)
REPORT = "print('the lines of README run:', len(query.result), 'windows,', len(query.late), 'late rows')"


class ReleaseError(Exception):
    """Why there is no release."""


def version_of(tags: Sequence[str]) -> str:
    """Return the version that the tags of a commit name."""
    found = [match[1] for tag in tags if (match := TAG.fullmatch(tag))]
    if len(found) != 1:
        raise ReleaseError(f"release: the last commit has the tags {list(tags)}; give it one, such as git tag v1.2.3.")
    return found[0]


def check_changes(changes: str, version: str) -> None:
    """Raise unless the list of changes has a section for a version, with a date."""
    if re.search(rf"^## {re.escape(version)}, \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE) is None:
        raise ReleaseError(f"release: CHANGELOG.md has no line '## {version}, YYYY-MM-DD'; write it, and tag again.")


def export(repository: Path, folder: Path, version: str) -> None:
    """Write the files of a repository's last commit into a folder, with the version of its tag."""
    archive = folder.with_suffix(".zip")  # a tar wants Python 3.11.4 to be unpacked safely
    run("git", "archive", "--format=zip", f"--output={archive}", "HEAD", where=repository)
    shutil.unpack_archive(archive, folder)
    package = folder / "streamnb" / "__init__.py"
    text, changed = re.subn(
        r'^__version__ = ".*"$', f'__version__ = "{version}"', package.read_text(), flags=re.MULTILINE
    )
    assert changed == 1
    package.write_text(text)


def check_built(folder: Path, version: str) -> None:
    """Raise unless there is one wheel and one sdist of the version, with a description and a licence."""
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        told = archive.read(f"streamnb-{version}.dist-info/METADATA").decode()
    for line in (f"Version: {version}", "License-Expression: BSD-3-Clause", "Description-Content-Type: text/markdown"):
        if f"\n{line}\n" not in told:
            raise ReleaseError(f"release: {wheel.name} does not say {line!r}; mend pyproject.toml.")
    with tarfile.open(sdist) as tar:
        if f"streamnb-{version}/pyproject.toml" not in tar.getnames():
            raise ReleaseError(f"release: {sdist.name} has no pyproject.toml.")


def try_out(built: Path, folder: Path, readme: str) -> None:
    """Install the wheel, and then the sdist, where nothing else is, and run the code of README."""
    run(sys.executable, "-m", "venv", str(folder))
    python = str(folder / "bin" / "python")
    for name in (*built.glob("*.whl"), *built.glob("*.tar.gz")):
        print(f"Trying {name.name} in an environment of its own.", flush=True)
        run(python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--upgrade", str(name))
        run(python, "-I", "-c", "\n".join([*LINES.findall(readme), REPORT]), where=folder)
        run(python, "-I", "-m", "streamnb", "doctor", where=folder)
        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "streamnb")


def run(*command: str, where: Path | None = None) -> None:
    """Run a command; what it says is shown."""
    subprocess.run(command, check=True, cwd=where)


def tags() -> list[str]:
    """Return the tags of the last commit."""
    command = ["git", "tag", "--points-at", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split()


def main() -> None:
    """Leave a wheel, an sdist and their sums in ``dist``; nothing is uploaded."""
    version = version_of(tags())
    with tempfile.TemporaryDirectory(prefix="streamnb-release-") as name:
        source, built = Path(name) / "source", Path(name) / "dist"
        export(ROOT, source, version)
        check_changes((source / "CHANGELOG.md").read_text(), version)
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source))
        check_built(built, version)
        try_out(built, Path(name) / "venv", (source / "README.md").read_text())
        (ROOT / "dist").mkdir(exist_ok=True)
        for path in sorted(built.iterdir()):
            shutil.copy(path, ROOT / "dist")
            print(hashlib.sha256(path.read_bytes()).hexdigest(), f"dist/{path.name}")


if __name__ == "__main__":
    try:
        main()
    except ReleaseError as error:
        sys.exit(str(error))
