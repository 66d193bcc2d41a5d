"""Child: one run of a program, in a process forked for it, until it is done or dead.

``python -m tests.faults.child`` has imported all that a run needs and has asked nothing of Polars, whose threads would
not survive a fork. It forks a child for every line of JSON that it is given and answers with one: how the child ended.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import select
import signal
import sys
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

from streamnb import points
from streamnb.query import Query
from tests.faults.changing import CHANGING, Changing
from tests.faults.file_program import FileProgram
from tests.faults.mutants import MUTANTS
from tests.faults.programs import PROGRAMS, Program
from tests.faults.ruled import Ruled

DONE, REFUSED = 0, 3
ALL: dict[str, Program | FileProgram | Changing | Ruled] = {**PROGRAMS, **CHANGING, "files": FileProgram()}


@dataclass(frozen=True)
class Run:
    """One run: a program, how its rows are cut, and where it dies: at a point, or some seconds after its start."""

    program: str
    folder: str
    seed: int
    size: int
    point: str | None = None
    count: int = 1
    after: float | None = None
    mutant: str | None = None


class Killer:
    """Kills this process when a point is reached for the ``count``-th time; a mutant may act there first."""

    def __init__(self, run: Run) -> None:
        self._run, self._left = run, run.count
        self._hook = MUTANTS[run.mutant]() if run.mutant else None
        self.query: Query | None = None

    def __call__(self, point: str) -> None:
        if self._hook is not None and self.query is not None:
            self._hook(point, self.query)
        self._left -= point == self._run.point
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def live(run: Run) -> None:
    """Run a program to its end, if it is let."""
    killer = Killer(run)
    points.listen(killer)
    query = killer.query = ALL[run.program].open(Path(run.folder), run.seed, run.size, name="hurt")
    query.run()
    query.stop()


def _child(run: Run) -> None:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # what a query says is no answer
            live(run)
    except BaseException as error:  # noqa: BLE001  told to the parent
        Path(run.folder, "error").write_text(f"{type(error).__name__}: {error}")
        os._exit(REFUSED)
    os._exit(DONE)


def _ended(pid: int, after: float | None) -> int:
    """Wait for a child, killing it after some seconds if so told; return its exit code, negative if a signal's."""
    descriptor = os.pidfd_open(pid)
    if after is not None and not select.select([descriptor], [], [], after)[0]:
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
    warnings.filterwarnings("ignore", category=RuntimeWarning, message=".*fork")
    gc.freeze()  # a child then copies fewer pages
    for line in sys.stdin:
        run = Run(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            _child(run)
        sys.stdout.write(f"{_ended(pid, run.after)}\n")
        sys.stdout.flush()


def told(run: Run) -> str:
    """Return the line that asks for a run."""
    return json.dumps(asdict(run)) + "\n"


if __name__ == "__main__":
    main()
