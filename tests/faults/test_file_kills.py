"""Killed at every write of what only some queries write: files of the log, dead letters, snapshots. Each file once."""

from __future__ import annotations

import random
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import streamnb as sn
from streamnb.points import MORE_POINTS
from tests.faults.child import DONE, Run
from tests.faults.file_program import bad, counts, write
from tests.faults.kills import Nursery

POINTS = [point for point in MORE_POINTS if point.partition(".")[0] in {"log", "dead_letters", "snapshot"}]


def test_files_and_dead_letters_are_taken_once_however_often_the_process_dies(tmp_path: Path) -> None:
    rng, killed = random.Random(3), list[str]()  # noqa: S311  a story, not a secret
    with Nursery() as nursery:
        for number in range(8):
            folder = tmp_path / str(number)
            folder.mkdir()
            write(folder / "in")
            for point in [*rng.sample(POINTS, len(POINTS)), None]:
                ended = nursery.run(Run("files", str(folder), number, rng.choice([12, 20, 33]), point=point))
                assert ended in {-signal.SIGKILL, DONE}, (folder / "error").read_text()
                killed += [str(point)] * (ended == -signal.SIGKILL)
            with closing(sqlite3.connect(folder / "sink.db")) as db:
                assert dict(db.execute("SELECT k, n FROM out")) == counts()
            assert sorted(sn.recover(folder / "checkpoint").dead_letters["raw"]) == bad()
            if set(killed) == set(POINTS):
                return
    raise AssertionError(f"never killed at {set(POINTS) - set(killed)}")
