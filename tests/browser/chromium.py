"""Find the Chromium that the browser tests drive, or fetch one: ``python -m tests.browser.chromium``."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.servers.programs import admin

MISSING = "no Chromium was found; type: sudo apt-get install chromium libatomic1 (or set STREAMNB_CHROMIUM)"
APT = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium fonts-liberation libatomic1"
"""The last is for Playwright's driver, a Node.js that links it."""


def find() -> str | None:
    """Return a Chromium that starts: the one named in the environment, the system's, or Playwright's own.

    None too where Playwright cannot drive any.
    """
    own = _of_playwright()
    return own and next((program for program in _candidates(own) if _starts(program)), None)


def fetch() -> str | None:
    """Try the system's packages, then Playwright's download, and return the Chromium this brought."""
    for command in _ways():
        print("+", shlex.join(command), flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, check=False, timeout=900)
        if program := find():
            return program
    return None


def _of_playwright() -> str | None:
    """Return where Playwright keeps its Chromium, there or not; None if its driver does not start."""
    try:
        with sync_playwright() as playwright:
            return playwright.chromium.executable_path
    except Exception as error:  # noqa: BLE001  it raises no other
        print(f"Playwright: {error}", file=sys.stderr)
        return None


def _candidates(own: str) -> Iterator[str]:
    if named := os.environ.get("STREAMNB_CHROMIUM"):
        yield named
        return
    yield from filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    yield own


def _starts(program: str) -> bool:
    """A program may be a stub only: Ubuntu's asks for a snap."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([program, "--version"], check=False, capture_output=True, timeout=60).returncode == 0
    return False


def _ways() -> Iterator[Sequence[str]]:
    rights = admin()
    if rights is not None and Path("/etc/debian_version").exists():
        yield [*rights, "sh", "-c", APT]
        yield [*rights, sys.executable, "-m", "playwright", "install-deps", "chromium"]
    yield [sys.executable, "-m", "playwright", "install", "chromium"]


if __name__ == "__main__" and not (find() or fetch()):
    print(f"The browser tests will be skipped: {MISSING}", file=sys.stderr)
