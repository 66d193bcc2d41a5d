"""The command ``streamnb``: open the course in JupyterLab, or say what is installed."""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import streamnb
from streamnb.installed import findings

_PACKAGE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``streamnb`` with ``arguments`` (the command line's when None) and return its exit status."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "lab":
        return lab(rest)
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    for name, finding in findings():
        print(f"{name:<15} {finding}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="streamnb", description=streamnb.__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"streamnb {streamnb.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "lab",
        usage="streamnb lab [DIR] [options of jupyter lab]",
        help="copy the course into DIR and open it in JupyterLab",
        description="Copy the course into DIR (default: streamnb-course) and open it in JupyterLab."
        " A file that is there already stays as it is. Options go to jupyter lab: --no-browser --port 8899 ...",
        allow_abbrev=False,
    )
    commands.add_parser("doctor", help="say what is installed and what is missing", allow_abbrev=False)
    return parser


def lab(arguments: Sequence[str]) -> int:
    """Copy the course into the folder that ``arguments`` may begin with, and give the rest to JupyterLab."""
    named = bool(arguments) and not arguments[0].startswith("-")
    folder = Path(arguments[0] if named else "streamnb-course")
    if importlib.util.find_spec("jupyterlab") is None:
        return _fail("lab: JupyterLab is not installed; type pip install 'streamnb[lab]'.")
    if folder.exists() and not folder.is_dir():
        return _fail(f"lab: {str(folder)!r} is a file; name a folder for the course.")
    for line in copy_course(course(), folder):
        print(line)
    return _become(jupyter_command(folder, arguments[1:] if named else arguments), _environment())


def course() -> Path:
    """Return the folder of the lessons: packaged with a wheel, beside the package in the repository."""
    packaged = _PACKAGE / "course"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "notebooks"


def copy_course(source: Path, target: Path) -> list[str]:
    """Copy the lessons that ``target`` lacks and return what to tell: a file that differs is its owner's, and kept."""
    target.mkdir(parents=True, exist_ok=True)
    if target.samefile(source):
        return []
    lessons = [file.relative_to(source) for file in sorted(source.rglob("*")) if _is_lesson(file.relative_to(source))]
    new = [name for name in lessons if not (target / name).exists()]
    there = [name for name in lessons if name not in new]
    kept = [name for name in there if not filecmp.cmp(source / name, target / name, shallow=False)]
    for name in new:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    return _told(target, new, kept)


def _is_lesson(name: Path) -> bool:
    return bool(name.suffix) and not any(part.startswith((".", "__")) for part in name.parts)


def _told(target: Path, new: Sequence[Path], kept: Sequence[Path]) -> list[str]:
    lines = [f"{target}: lessons and their files copied: {len(new)}."] if new else []
    lines += [f"{target / name}: kept with your changes; delete it to get the lesson as it was." for name in kept]
    return lines


def jupyter_command(folder: Path, options: Sequence[str]) -> list[str]:
    """Return the command that starts JupyterLab on ``folder``, with its first lesson open."""
    first = next(iter(sorted(folder.glob("00*.ipynb"))), None)
    return [
        *(sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"),
        *([f"--LabApp.default_url=/lab/tree/{quote(first.name)}"] if first else []),
        *(["--allow-root"] if _is_root() else []),
        *options,
    ]


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _environment() -> dict[str, str]:
    """Return the environment for JupyterLab: ours, with its questions about news and updates off by default."""
    folders = [str(_PACKAGE / "jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")]
    return os.environ | {"JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, folders))}


def _become(command: list[str], environment: dict[str, str]) -> int:
    """Replace this process by ``command``, so that Ctrl-C and signals reach it; on Windows wait for it instead."""
    sys.stdout.flush()
    if sys.platform != "win32":
        os.execve(command[0], command, environment)  # noqa: S606  (our own interpreter, no shell wanted)
    return subprocess.call(command, env=environment)  # noqa: S603


def _fail(message: str) -> int:
    print(message, file=sys.stderr)
    return 1
