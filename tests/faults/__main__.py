"""make faults: all that can hurt a query, at length. ``python -m tests.faults [kills]``; 1,300 unless told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.faults.changing import lives
from tests.faults.damage import damage
from tests.faults.explorer import explore
from tests.faults.kills import Nursery, aligned, campaign, table
from tests.faults.mutants import MUTANTS
from tests.faults.programs import PROGRAMS
from tests.faults.space import can_mount, fail_everywhere, fail_in_the_sink, fill_up

KILLS = 1_300
CHANGES = 300
LEFT_AT = (None, "sink.end")
WAYS = ("bit flip", "truncation", "zeros", "deletion", "appended", "swapped sibling")


def kills(least: int) -> list[str]:
    """Kill, and say where, and what was wrong."""
    stories = campaign(least)
    print(table(stories))
    count, wrong = sum(len(s.kills) for s in stories), [str(s) for s in stories if not s.exact]
    print(f"{count} kills in {len(stories)} lives; {len(wrong)} lives not exact")
    return wrong


def changes(least: int) -> list[str]:
    """Kill queries before, during and after their logic changes."""
    with Nursery() as nursery:
        found = lives(nursery.change, least)
    wrong = [str(life) for life in found if life.wrong]
    count = sum(len(life.kills) for life in found)
    print(f"{count} kills around changes of logic, rules and params; {len(wrong)} lives not exact")
    return wrong


def mutants() -> list[str]:
    """Break one rule after the other; say how it was noticed."""
    lives = {name: campaign(200, name) for name in MUTANTS}
    for name, stories in lives.items():
        count = sum(len(s.kills) for s in stories)
        print(f"{name}: {'not noticed' if stories[-1].exact else 'noticed'} after {count} kills: {stories[-1]}")
    return [f"{name}: not noticed" for name, stories in lives.items() if stories[-1].exact]


def power_cuts() -> list[str]:
    """Try every disk that a power cut may leave; then with a disk that is never told to wait."""
    lines: list[list[object]] = [["power cut", "calls", "disks", "exact", "refused", "wrong"]]
    wrong: list[str] = []
    for name in PROGRAMS:
        found = explore(name, 1)
        silent = found.outcomes["wrong"]
        lines.append([name, found.prefixes, found.tried, found.outcomes["exact"], _refused(found.outcomes), silent])
        wrong += found.silent
    for without in ("fsync", "sync"):
        found = explore("window append", 1, without, enough=200)
        row = [found.prefixes, found.tried, found.outcomes["exact"], _refused(found.outcomes), found.outcomes["wrong"]]
        lines.append([f"window append, no {without}", *row])
        wrong += [] if found.tried > found.outcomes["exact"] else [f"a missing {without} is not noticed"]
    print("\n".join(aligned(lines)))
    return wrong


def _refused(outcomes: dict[str, int]) -> int:
    return sum(count for outcome, count in outcomes.items() if outcome not in {"exact", "wrong"})


def damages() -> list[str]:
    """Damage every file of checkpoints left in several places."""
    found = [damage(name, seed, stop, flips=4, cuts=2) for name in PROGRAMS for seed, stop in enumerate(LEFT_AT)]
    lines: list[list[object]] = [["damage", "exact", "refused", "wrong"]]
    for way in WAYS:
        told = {o: sum(f.by_way[way, o] for f in found) for o in {o for f in found for o in f.outcomes}}
        lines.append([way, told.get("exact", 0), _refused(told), told.get("wrong", 0)])
    print("\n".join(aligned(lines)))
    print(f"{sum(f.tried for f in found)} damaged checkpoints")
    return [line for f in found for line in f.silent]


def failures() -> list[str]:
    """Let every call of the disk fail, and the sink; fill a small disk."""
    found = [find(name, 1) for name in PROGRAMS for find in (fail_everywhere, fail_in_the_sink)]
    calls = {call for f in found for call in f.calls}
    print(", ".join(f"{sum(f.calls[call] for f in found)} × {call}" for call in sorted(calls)), "failed, then worked")
    wrong = [line for f in found for line in f.silent]
    return wrong + (full_disks() if can_mount() else [])


def full_disks() -> list[str]:
    """Fill small disks of several sizes, then give them space."""
    wrong = []
    for kilobytes in (48, 80, 112, 160):
        full, exact = fill_up("window append", 3, kilobytes)
        print(f"disk of {kilobytes} kB: full after {full} batches; {'exact' if exact else 'wrong'} when it had space")
        wrong += [] if exact else [f"disk of {kilobytes} kB"]
    return wrong


def main(words: list[str]) -> int:
    least = int(words[0]) if words else KILLS
    parts: list[Callable[[], list[str]]] = [
        lambda: kills(least),
        lambda: changes(CHANGES),
        mutants,
        power_cuts,
        damages,
        failures,
    ]
    wrong: list[str] = []
    for part in parts:
        started = time.monotonic()
        wrong += part()
        print(f"({time.monotonic() - started:.0f} s)\n", flush=True)
    print("\n".join(wrong) or "nothing lost, nothing doubled, nothing wrong in silence")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
