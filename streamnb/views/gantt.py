"""Gantt: what each worker did when, who waited, and for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from streamnb.views.chart import Frame, across, big, round_ticks
from streamnb.views.shapes import Choice, Figure, Part, Shape, Sheet, Slider, line, rect, table, text, upon

_LEFT, _WIDE, _TOP, _LANE = 92.0, 450.0, 30.0, 30.0
_SIDE = 590.0
_ROLES = ("ontime", "late", "second")
_MOST_KEYS = 12


@dataclass(frozen=True)
class Task:
    """The rows of one key on one worker, from ``start`` to ``end`` in seconds; ``stopped`` where a copy was quicker."""

    worker: int
    stage: int
    key: str
    rows: int
    start: float
    end: float
    backup: bool = False
    stopped: bool = False

    def ended(self, end: float) -> Task:
        """Return the task as it was ended, since a copy of it is done."""
        return replace(self, end=end, stopped=True)


@dataclass(frozen=True)
class Schedule:
    """What ``workers`` workers did; ``ends`` are those of the stages, ``slow`` how much longer each worker takes."""

    workers: int
    tasks: tuple[Task, ...]
    ends: tuple[float, ...]
    slow: tuple[float, ...]

    @property
    def end(self) -> float:
        """Return when the last worker is done, in seconds."""
        return max(self.ends, default=0.0)

    @property
    def idle(self) -> float:
        """Return the share of all workers' time in which nobody worked."""
        busy = sum(task.end - task.start for task in self.tasks)
        return 1 - busy / (self.workers * self.end) if self.end else 0.0


def gantt_sheet(plan: Schedule, controls: Sequence[Part] = ()) -> Sheet:
    """Lay out a lane a worker, and beside them the rows of each key."""
    title = f"{plan.workers} workers are done after {plan.end:.2f} s, and idle {plan.idle:.0%} of that time."
    lead = (
        "Simulated workers, real keys. A key lives on the worker that Spark's hash names; a row takes a millisecond. "
        "Hatched: waiting for the others."
    )
    busiest = max(plan.tasks, key=lambda task: task.end, default=None)
    spoken = f"{title} The last is worker {busiest.worker}, with {busiest.key}." if busiest else title
    return Sheet(title, (*controls, _figure(plan)), spoken, lead, _key(plan.tasks))


def _key(tasks: Sequence[Task]) -> tuple[tuple[Shape, str], ...]:
    """Return the looks of tasks that were copied, where there are any."""
    looks = (
        (any(task.backup for task in tasks), 0.45, "a copy, begun by a worker that waited"),
        (any(task.stopped for task in tasks), 0.15, "ended: its copy was done first"),
    )
    return tuple(
        (rect(2, 3, 20, 10, "muted", alpha=alpha, line="muted", stroke=1.2, r=2), words)
        for there, alpha, words in looks
        if there
    )


def _figure(plan: Schedule) -> Figure:
    height = _LANE * plan.workers
    frame = Frame(_LEFT, _TOP, _WIDE, height, 0, plan.end * 1.02 or 1.0)
    roles = _roles_of(plan.tasks)
    drawn: list[Shape] = [text(2, 16, "worker", "ink", 13, bold=True)]
    drawn += across(frame, [(at, f"{at:g}") for at in round_ticks(0, frame.high_x, 6)], "seconds")
    for worker in range(plan.workers):
        drawn += _lane(plan, worker, frame, roles)
    for end in plan.ends:
        drawn.append(line([(frame.x(end), _TOP - 6), (frame.x(end), frame.bottom)], "ink", 1.6))
    drawn += _keys(plan.tasks, roles)
    rows = [
        (t.worker, t.stage + 1, t.key, t.rows, round(t.start, 3), round(t.end, 3), _word(t))
        for t in sorted(plan.tasks, key=lambda t: (t.worker, t.start))
    ]
    heads = ("worker", "stage", "key", "rows", "start, s", "end, s", "")
    shown = len(_counted(plan.tasks)[:_MOST_KEYS])
    deep = max(_TOP + height + 56, _TOP + 22 * (shown + 1) + 20)
    note = "" if len(rows) <= 500 else f"The first 500 of {len(rows):,} tasks."
    return Figure("Tasks of each worker", int(deep), tuple(drawn), table("Tasks", heads, rows[:500], note))


def _word(task: Task) -> str:
    return "copy" if task.backup else "ended by its copy" if task.stopped else ""


def _counted(tasks: Sequence[Task]) -> list[tuple[str, int]]:
    """Return the keys of the first stage with their rows, the largest first."""
    counts: Counter[str] = Counter()
    for task in tasks:
        if not task.backup and task.stage == 0:
            counts[task.key] += task.rows
    return counts.most_common()


def _roles_of(tasks: Sequence[Task]) -> Mapping[str, str]:
    """Give the three largest keys a colour, by what they begin with: a salted key keeps that of its key."""
    whole: Counter[str] = Counter()
    for key, rows in _counted(tasks):
        whole[_plain(key)] += rows
    return {key: role for (key, _), role in zip(whole.most_common(3), _ROLES, strict=False)}


def _plain(key: str) -> str:
    return key.partition(" · ")[0]


def _lane(plan: Schedule, worker: int, frame: Frame, roles: Mapping[str, str]) -> list[Shape]:
    top = _TOP + _LANE * worker + 4
    factor = plan.slow[worker]
    mine = sorted((task for task in plan.tasks if task.worker == worker), key=lambda task: task.start)
    name = f"{worker}" if factor == 1 else f"{worker}, ×{factor:g} slower"
    drawn = [text(_LEFT - 8, top + 15, name, "ink" if factor == 1 else "dropped_text", 12, anchor="end")]
    at = 0.0
    for task in mine:
        drawn += [*_waiting(frame, at, task.start, top), *_bar(task, frame, top, roles.get(_plain(task.key), "muted"))]
        at = task.end
    return [*drawn, *_waiting(frame, at, plan.end, top)]


def _bar(task: Task, frame: Frame, top: float, role: str) -> list[Shape]:
    left, right = frame.x(task.start), frame.x(task.end)
    word = _word(task)
    tip = f"{task.key}: {task.rows:,} rows, {task.end - task.start:.3f} s{', ' + word if word else ''}"
    looks = {"line": role if task.backup or task.stopped else "ground", "stroke": 1.2, "r": 2, "tip": tip}
    alpha = 0.15 if task.stopped else 0.45 if task.backup else 1.0
    found = [rect(left, top, max(right - left, 1.0), _LANE - 8, role, alpha=alpha, **looks)]
    label = task.key + (f" ({word})" if word else "")
    if 8 * len(label) + 6 < right - left:
        inside = upon(role) if alpha == 1.0 else "ink"
        found.append(text((left + right) / 2, top + 15, label, inside, 11.5, anchor="middle", bold=True))
    return found


def _waiting(frame: Frame, start: float, end: float, top: float) -> list[Shape]:
    if end - start < 1e-9:
        return []
    left, right = frame.x(start), frame.x(end)
    return [rect(left, top, right - left, _LANE - 8, None, hatch="muted", tip=f"idle for {end - start:.3f} s")]


def _keys(tasks: Sequence[Task], roles: Mapping[str, str]) -> list[Shape]:
    """Draw the rows of each key at the side."""
    counted = _counted(tasks)
    most = counted[0][1] if counted else 1
    drawn = [text(_SIDE, 16, f"rows by key ({len(counted):,})", "ink", 13, bold=True)]
    for n, (key, rows) in enumerate(counted[:_MOST_KEYS]):
        top = _TOP + 4 + 22 * n
        wide = 56 * rows / most
        drawn.append(text(_SIDE, top + 11, key[:10], "muted", 11.5, tip=key))
        drawn.append(rect(_SIDE + 68, top, max(wide, 1.0), 14, roles.get(_plain(key), "muted"), r=2))
        drawn.append(text(_SIDE + 72 + wide, top + 11, big(rows), "ink", 11))
    return drawn


def controls(n: int, salt: int | None, slow: tuple[int, float], *, backup: bool) -> tuple[Part, ...]:
    """Return what the reader may change; ``salt`` is None where the plan says it."""
    worker, factor = slow
    salts = (
        () if salt is None else (Slider("salt", "salt", 1, 64, 1, salt, f"{salt} to a key" if salt > 1 else "none"),)
    )
    return (
        Slider("n", "workers", 1, 16, 1, n, f"{n}"),
        *salts,
        Slider("worker", "slow one", 0, n - 1, 1, worker, f"worker {worker}"),
        Slider("factor", "how slow", 1, 6, 0.5, factor, f"×{factor:g}"),
        Choice("backup", "backup tasks", (("no", "no"), ("yes", "yes")), "yes" if backup else "no"),
    )
