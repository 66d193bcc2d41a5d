"""Find the Java that the tests on Spark need, or fetch one: ``python -m tests.spark.java``."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from streamnb.spark.session import OLDEST_JAVA, java_version
from tests.servers.programs import admin

PACKAGES = ("default-jre-headless", "openjdk-21-jre-headless", "openjdk-17-jre-headless")
"""The system's own Java may be too old, and not every system has every other."""
MISSING = f"no Java {OLDEST_JAVA} was found; type: sudo apt-get install {PACKAGES[-1]} (or set JAVA_HOME)"


def found() -> bool:
    """Tell whether there is a Java that PySpark starts with."""
    return (java_version() or 0) >= OLDEST_JAVA


def fetch() -> bool:
    """Try the system's packages; tell whether this brought a Java."""
    root = admin()
    if root is not None and Path("/etc/debian_version").exists():
        for package in PACKAGES:
            install = f"apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y {package}"
            command = [*root, "sh", "-c", install]
            print("+", shlex.join(command), flush=True)
            subprocess.run(command, check=False, timeout=900)
            if found():
                return True
    return found()


if __name__ == "__main__" and not (found() or fetch()):
    print(f"The tests on Spark will be skipped: {MISSING}", file=sys.stderr)
