"""Schedule: who works when, if every key lives on one worker. Simulated workers; the keys are real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streamnb.views.gantt import Schedule, Task

Load = tuple[str, int, int]
"""A key, the worker it lives on, and its rows."""


def schedule(stages: Sequence[Sequence[Load]], n: int, slow: Mapping[int, float], *, backup: bool) -> Schedule:
    """Let ``n`` workers do the stages one after the other; a row takes a millisecond, on a slow worker more.

    Nobody begins a stage before the one below it has ended. A worker takes its own keys in turn. With ``backup`` one
    that has nothing left begins a copy of the task that would end last, if it would be done sooner; the other is ended.
    """
    tasks: list[Task] = []
    ends: list[float] = []
    for number, stage in enumerate(stages):
        done = _Stage(number, stage, n, slow, ends[-1] if ends else 0.0).run(backup=backup)
        tasks += done
        ends.append(max((task.end for task in done), default=ends[-1] if ends else 0.0))
    return Schedule(n, tuple(tasks), tuple(ends), tuple(slow.get(worker, 1.0) for worker in range(n)))


class _Stage:
    """One stage at work: who is free from when, what waits for whom, and what runs."""

    def __init__(self, number: int, loads: Sequence[Load], n: int, slow: Mapping[int, float], start: float) -> None:
        self._number, self._slow = number, slow
        self._free = [start] * n
        self._waiting = [[(key, rows) for key, worker, rows in loads if worker == w] for w in range(n)]
        self._done: list[Task] = []

    def run(self, *, backup: bool) -> list[Task]:
        while True:
            turns = [(self._free[w], w, None) for w, waiting in enumerate(self._waiting) if waiting]
            copies = [copy for w, waiting in enumerate(self._waiting) if not waiting and (copy := self._copy_by(w))]
            if not turns and not (backup and copies):
                return self._done
            start, worker, copied = min([*turns, *(copies if backup else [])], key=lambda turn: turn[:2])
            if copied is None:
                self._begin(start, worker, *self._waiting[worker].pop(0))
            else:
                self._copy(start, worker, copied)

    def _begin(self, start: float, worker: int, key: str, rows: int, *, backup: bool = False) -> Task:
        task = Task(worker, self._number, key, rows, start, start + self._takes(worker, rows), backup)
        self._free[worker] = task.end
        self._done.append(task)
        return task

    def _takes(self, worker: int, rows: int) -> float:
        return rows / 1000 * self._slow.get(worker, 1.0)

    def _copy_by(self, helper: int) -> tuple[float, int, Task] | None:
        """Return when a worker that is done could begin a copy, and of which task: one that it would end sooner."""
        free, copied = self._free[helper], {task.key for task in self._done if task.backup}
        useful = [
            (start, helper, task)
            for task in self._done
            if task.key not in copied and (start := max(free, task.start)) + self._takes(helper, task.rows) < task.end
        ]
        return min(useful, key=lambda turn: (turn[0], -turn[2].end), default=None)

    def _copy(self, start: float, helper: int, task: Task) -> None:
        copy = self._begin(start, helper, task.key, task.rows, backup=True)
        self._done[self._done.index(task)] = task.ended(copy.end)
        self._free[task.worker] = copy.end
