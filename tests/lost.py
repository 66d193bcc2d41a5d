"""What a power cut may take: the last records of a checkpoint's log."""

from __future__ import annotations

import os
from pathlib import Path

from streamnb.batch_log import Kind
from streamnb.log_file import LogReader


def lose_commits(checkpoint: Path, count: int = 1) -> int:
    """Cut the log before its ``count``-th last commit; return the batch of that."""
    newest = max((checkpoint / "log").iterdir(), key=lambda path: int(path.name))
    with LogReader(newest) as reader:
        lost = [record for record in reader.records() if record.kind == Kind.COMMIT][-count]
    os.truncate(newest, lost.start)
    return lost.batch
