"""Find the servers that the tests start and that pip lacks, or fetch them: ``python -m tests.servers.programs``."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PACKAGES = {"redis-server": "redis-server", "mosquitto": "mosquitto", "nats-server": "nats-server"}
"""The Debian package of each program."""


def find(program: str) -> str | None:
    """Return where a program is; Debian keeps some where only root looks."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")


def missing(program: str) -> str:
    """Return the line that says how to get a program."""
    return f"no {program} was found; type: sudo apt-get install {PACKAGES[program]}"


def fetch(programs: Iterable[str]) -> None:
    """Try the system's packages. Nothing is started: the run level says so to Debian's install scripts."""
    rights = admin()
    if rights is None or not Path("/etc/debian_version").exists():
        return
    packages = " ".join(PACKAGES[program] for program in programs)
    install = f"apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y {packages}"
    command = [*rights, "sh", "-c", install]
    print("+", shlex.join(command), flush=True)
    subprocess.run(command, check=False, timeout=900)


def admin() -> Sequence[str] | None:
    """Return what makes a command run as root without a question, or None."""
    if sys.platform == "win32":
        return None
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], check=False, capture_output=True).returncode == 0:
        return [sudo, "-n"]
    return None


def main() -> None:
    absent = [program for program in PACKAGES if find(program) is None]
    if absent:
        fetch(absent)
    for program in absent:
        if find(program) is None:
            print(f"Its tests will be skipped: {missing(program)}", file=sys.stderr)


if __name__ == "__main__":
    main()
