"""make bench: how fast a batch is, as ratios measured side by side in one run.

``python -m tests.bench.run W1 W3`` runs some workloads, ``--light`` leaves Spark, Pathway and Bytewax out, ``--rounds
3`` is quicker. Prints a table; writes ``bench.json`` and ``RESULTS.md`` beside itself when all workloads ran, or with
``--write``. Figures compare within a run, not with another run.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import polars as pl

from tests.bench import more, workloads
from tests.bench.measure import Figure, line, table
from tests.bench.workloads import Options

WORKLOADS: dict[str, Callable[[Options], list[Figure]]] = {
    **{f"W{n}": getattr(workloads, f"w{n}") for n in range(1, 5)},
    **{f"W{n}": getattr(more, f"w{n}") for n in range(5, 11)},
}
_HERE = Path(__file__).parent


def machine() -> dict[str, object]:
    """Return what the figures depend on besides the code."""
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
        "polars": f"{pl.__version__}, {pl.thread_pool_size()} threads",
        **{name: version(name) for name in ("numpy", "pandas", "streamz", "pyspark")},
    }


def report(figures: Sequence[Figure]) -> str:
    """Return RESULTS.md: shortfalls first."""
    facts = ", ".join(f"{name} {value}" for name, value in machine().items())
    short, rest = [f for f in figures if f.short], [f for f in figures if not f.short]
    missing = sorted({"Spark", "Pathway", "Bytewax"} - {word for f in figures for word in f.name.split(" ")})
    busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
    beware = (
        " **Others used the machine too:** what is told in seconds is theirs as well; processor time is ours.\n"
        if busy
        else ""
    )
    why = "`make bench` installs Pathway and Bytewax beside us, where `RIVALS_PYTHON` finds them"
    absent = f"\n\nNot measured: {', '.join(missing)} ({why}; `--light` leaves all three out)." if missing else ""
    return (
        "# What `make bench` measured\n\n"
        f"{facts}. The load is that of the last minute, the bench's own included. Medians over the rounds; every"
        " ratio is between contenders that took turns in one run. W1 files reads the same Parquet files with every"
        f" contender; W1 memory has the rows in memory.{beware}{absent}\n\n"
        f"## Short of what was wanted\n\n{table(short)}\n\n## The rest\n\n{table(rest)}\n"
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="W1", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--light", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    names = given.workloads or list(WORKLOADS)
    options = Options(given.rounds, heavy=not given.light)
    figures: list[Figure] = []
    for name in names:
        found = WORKLOADS[name](options)
        print(*map(line, found), sep="\n", flush=True)
        figures += found
    if given.write or len(names) == len(WORKLOADS):
        written = {**machine(), "figures": [asdict(f) for f in figures]}
        (_HERE / "bench.json").write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
        (_HERE / "RESULTS.md").write_text(report(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
