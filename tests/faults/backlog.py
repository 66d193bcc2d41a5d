"""A process that reads a backlog of JSON lines and tells how much memory it holds after every batch."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import streamnb as sn

SCHEMA = {"at": "datetime", "key": "string", "text": "string", "value": "int64"}


def write(path: Path, size: int) -> int:
    """Write lines until a file has a size; return how many."""
    block, count = 10_000, 0
    with path.open("w") as file:
        while file.tell() < size:
            file.writelines(
                f'{{"at": "2026-01-01 {n // 36000:02d}:{n // 600 % 60:02d}:{n // 10 % 60:02d}", "key": "k{n % 50}", '
                f'"text": "{"lorem ipsum " * 12}{n}", "value": {n % 1000}}}\n'
                for n in range(count, count + block)
            )
            count += block
    return count


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(folder: Path) -> None:
    """Read a folder and print the memory after every batch, and how many rows were counted."""
    frame = sn.from_files(str(folder / "*.jsonl"), SCHEMA, max_bytes_per_batch=4 * 2**20).with_watermark(
        "at", "1 minute"
    )
    counted = frame.group_by(sn.window("at", "10 minutes"), "key").agg(n=sn.count(), longest=sn.max("text"))
    query = counted.query("update", checkpoint=folder / "checkpoint")
    held = []
    while query.step() is not None:
        held.append(resident())
    json.dump({"held": held, "rows": int(query.result["n"].sum()), "late": len(query.late)}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
