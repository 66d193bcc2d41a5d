"""A program that reads files: lines of JSON, some of them bad, and a CSV file; its snapshots come often."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import streamnb as sn
from streamnb import checkpoint, state_files

LINES, BAD = 480, 12


class FileProgram:
    """Counts values in update mode; bad lines go to the dead letters."""

    name = "files"

    def open(self, folder: Path, seed: int, size: int, **options: Any) -> sn.Query:
        checkpoint.RETAIN, state_files.SNAPSHOT_DELTAS = 10, 4
        source = sn.from_files(str(folder / "in" / "*"), {"k": "int64"}, max_bytes_per_batch=10 * size)
        sink = sn.sinks.SQLite(folder / "sink.db", "out", key="k")
        options = {"sink": sink, "checkpoint": folder / "checkpoint"} | options
        query = source.group_by("k").agg(n=sn.count()).query("update", **options)
        step = query.step

        def stepped() -> Any:
            done = step()
            if query._journal.checkpoint is not None:
                query._journal.checkpoint.state.wait()  # so that a kill finds the snapshot at work
            return done

        query.step = stepped  # type: ignore[method-assign]
        query.run = lambda: [None for _ in iter(query.step, None)] and query  # type: ignore[assignment,method-assign,return-value]
        return query


def write(folder: Path) -> None:
    """Write the files: two of lines, some bad, and one of CSV."""
    folder.mkdir()
    for part in range(2):
        lines = [_line(n) for n in range(part * LINES // 2, (part + 1) * LINES // 2)]
        (folder / f"{part}.jsonl").write_text("".join(lines))
    (folder / "2.csv").write_text("k\n" + "".join(f"{n % 7}\n" for n in range(50)) + "bad\n")


def _line(number: int) -> str:
    return f"{{bad {number}}}\n" if number % (LINES // BAD) == 3 else json.dumps({"k": number % 7}) + "\n"


def counts() -> Counter[int]:
    """Return how often each value stands in the files."""
    lines = [json.loads(line)["k"] for n in range(LINES) if "bad" not in (line := _line(n))]
    return Counter([*lines, *(n % 7 for n in range(50))])


def bad() -> list[str]:
    """Return the bad records."""
    return sorted([*(line.strip() for n in range(LINES) if "bad" in (line := _line(n))), "bad"])
