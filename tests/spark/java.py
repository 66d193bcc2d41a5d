"""Find the Java that the tests on Spark need, or fetch one: ``python -m tests.spark.java``."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from streamnb.spark.session import has_java
from tests.servers.programs import admin

MISSING = "no Java was found; type: sudo apt-get install default-jre-headless (or set JAVA_HOME)"
APT = "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y default-jre-headless"


def fetch() -> bool:
    """Try the system's packages; tell whether this brought a Java."""
    root = admin()
    if root is not None and Path("/etc/debian_version").exists():
        command = [*root, "sh", "-c", APT]
        print("+", shlex.join(command), flush=True)
        subprocess.run(command, check=False, timeout=900)
    return has_java()


if __name__ == "__main__" and not (has_java() or fetch()):
    print(f"The tests on Spark will be skipped: {MISSING}", file=sys.stderr)
