"""Space: a disk or a sink that fails once, at every call in turn; and a file system that is really full."""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import streamnb as sn
from streamnb.errors import StreamnbError
from tests.faults.disks import Failing, Table, using
from tests.faults.explorer import SIZE
from tests.faults.programs import PROGRAMS, held_by, scratch, wrong

CODES = (errno.ENOSPC, errno.EIO)


@dataclass
class Failures:
    """How many failures were tried, which calls failed, and what was wrong afterwards."""

    tried: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)


def fail_everywhere(name: str, seed: int, every: int = 1) -> Failures:
    """Let every ``every``-th call of a life fail, with no space and with an error of the device in turn."""
    found, at = Failures(), 0
    while True:
        disk = Failing(at, CODES[at % 2])
        ok = _recovers(name, seed, disk, again=bool(at // 2 % 2))
        if not disk.failed:
            return found
        found.tried += 1
        found.calls[disk.failed.partition(" ")[0]] += 1
        if not ok:
            found.silent.append(f"{name}: {os.strerror(CODES[at % 2])} at call {at}, {disk.failed}")
        at += every


def _recovers(name: str, seed: int, disk: Failing, *, again: bool) -> bool:
    """Run on a disk that fails once; then go on with the same query, or ``again`` with a new one."""
    program = PROGRAMS[name]
    with scratch() as folder, using(disk):
        table, query = Table(key=program.key), None
        try:
            query = program.open(Path(folder), seed, SIZE, sink=table)
            query.run()
        except (OSError, StreamnbError):
            query = _renewed(query, again=again) or program.open(Path(folder), seed, SIZE, sink=table)
            query.run()
        query.stop()
        return wrong(table.rows, name, seed) == (0, 0)


def _renewed(query: sn.Query | None, *, again: bool) -> sn.Query | None:
    if query is not None and again:
        query.stop()
        return None
    return query


def fail_in_the_sink(name: str, seed: int) -> Failures:
    """Let the sink fail for good before and after it has taken each batch; then mend it and go on."""
    found, at = Failures(), 0
    while (ok := _sink_recovers(name, seed, at)) is not None:
        found.tried += 1
        found.calls["sink"] += 1
        if not ok:
            found.silent.append(f"{name}: the sink fails {'after' if at % 2 else 'before'} batch {at // 2}")
        at += 1
    return found


def _sink_recovers(name: str, seed: int, at: int) -> bool | None:
    """Return whether all is well after the sink has failed at a batch; None if there is no such batch."""
    program, broken = PROGRAMS[name], [True]

    def fail() -> None:
        if broken[0] and len(query.trace) == at // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with scratch() as folder:
        table = Table(key=program.key)
        setattr(table, "after" if at % 2 else "before", fail)
        query = program.open(Path(folder), seed, SIZE, sink=table, sink_retries=0)
        try:
            query.run()
        except StreamnbError:
            broken[0] = False
            query.run().stop()
            return wrong(table.rows, name, seed) == (0, 0)
        query.stop()
        return None


# -- a file system that is really full


@contextmanager
def small_disk(kilobytes: int) -> Iterator[Path]:
    """Mount a file system of so many kilobytes; only root may."""
    with scratch() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], check=True)  # noqa: S607  wherever it is
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607  wherever it is


def grow(folder: Path) -> None:
    """Give a small disk space."""
    subprocess.run(["mount", "-o", "remount,size=16m", os.fspath(folder)], check=True)  # noqa: S607  wherever it is


def can_mount() -> bool:
    try:
        with small_disk(160):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


def fill_up(name: str, seed: int, kilobytes: int) -> tuple[int, bool]:
    """Run with checkpoint and SQLite sink on a disk that gets full; give it space, go on.

    Return how many batches had happened when it was full (-1: it never was), and whether the sink is exact then.
    """
    with small_disk(kilobytes) as folder:
        query, full = None, -1
        try:
            query = PROGRAMS[name].open(folder, seed, 3)
            query.run()
        except (OSError, StreamnbError):
            full = 0 if query is None else len(query.trace)
            grow(folder)
            query = query or PROGRAMS[name].open(folder, seed, 3)
            query.run()
        query.stop()
        return full, wrong(held_by(folder / "sink.db"), name, seed) == (0, 0)
