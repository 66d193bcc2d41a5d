"""The process that is really killed for ``sn.crash(…, real=True)``: a fresh interpreter, and a child of it a trial."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from streamnb.crashing.dying import dying, hearing, like, made
from streamnb.crashing.strategies import STRATEGIES, Trying, yours
from streamnb.errors import PlanError, QueryError


@dataclass(frozen=True)
class Task:
    """One trial: its folder, how it writes, and where it dies."""

    folder: str
    strategy: str
    point: str
    batch: int
    key: list[str]


def run(
    make: Callable[[], object], writes: Sequence[Callable[..., object] | None], tasks: Sequence[Task]
) -> list[bool]:
    """Run every task in a child that dies; return which were killed."""
    given = {
        "make": _source(make),
        "writes": [None if write is None else _source(write) for write in writes],
        "tasks": [asdict(task) for task in tasks],
    }
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", "-m", "streamnb.crashing.child"]
    ended = subprocess.run(  # noqa: S603  this interpreter
        command, input=json.dumps(given), capture_output=True, text=True, env=environment, check=False
    )
    codes = _codes(tasks)
    if ended.returncode or any(code not in {0, -signal.SIGKILL} for code in codes) or len(codes) != len(tasks):
        last = (ended.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise QueryError(f"crash: the other process failed: {last}; what it is given must import all it needs itself.")
    return [code == -signal.SIGKILL for code in codes]


def _codes(tasks: Sequence[Task]) -> list[int]:
    """Return how every child ended."""
    with suppress(FileNotFoundError):
        return [int(Path(task.folder, "ended").read_text()) for task in tasks]
    return []


def _source(function: Callable[..., object]) -> list[str]:
    """Return a function's name and text."""
    name = getattr(function, "__name__", "")
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        text = ""
    if not text.startswith(("def ", "@")):
        raise PlanError(
            f"crash: real=True needs a function written with def, and {function!r} has no source; write one.",
            code="OPTION_INVALID",
        )
    return [name, text]


# -- in the child


def main() -> None:
    """Fork a child for every task, and note how it ended. Nothing has asked Polars yet: its threads survive no fork."""
    given = json.load(sys.stdin)
    for write, task in zip(given["writes"], given["tasks"], strict=True):
        pid = os.fork()
        if pid == 0:
            _live(given["make"], write, Task(**task))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        Path(task["folder"], "ended").write_text(str(code))


def _live(make: Any, write: Any, task: Task) -> NoReturn:
    code = 1
    try:
        _run(_function(make), None if write is None else _function(write), task)
        code = 0
    except Exception as error:  # noqa: BLE001  told to the parent
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(code)


def _run(make: Callable[[], Any], write: Callable[..., object] | None, task: Task) -> None:
    ours = {strategy.name: strategy for strategy in STRATEGIES}
    strategy = ours[task.strategy] if write is None else yours(task.strategy, write)
    query, folder = made(make()), Path(task.folder)
    sink = Trying(folder / "sink.db", strategy, task.key, upsert=query._mode == "update")  # noqa: SLF001
    with dying(task.point, task.batch, die=_killed), hearing(sink.hear):
        like(query)(sink=sink, checkpoint=folder / "checkpoint").run().stop()


def _function(given: Sequence[str]) -> Callable[..., Any]:
    """Define a function anew from its text."""
    name, text = given
    names: dict[str, Any] = {"__name__": "crash"}
    exec(compile(text, f"<{name}>", "exec"), names)  # noqa: S102  the parent's own function
    function: Callable[..., Any] = names[name]
    return function


def _killed(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
