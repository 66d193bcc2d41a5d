"""A backlog larger than what is held: the memory of the process stays where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.faults.backlog import write


def test_a_backlog_of_100_megabytes_is_read_with_flat_memory(tmp_path: Path) -> None:
    written = write(tmp_path / "a.jsonl", 100_000_000)
    child = subprocess.run(
        [sys.executable, "-m", "tests.faults.backlog", str(tmp_path)], capture_output=True, text=True, check=True
    )
    found = json.loads(child.stdout)
    held = found["held"]
    assert found["rows"] + found["late"] == written
    assert len(held) >= 23
    assert max(held) - held[len(held) // 2] < 20_000_000
