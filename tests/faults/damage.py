"""Damage: every file of a checkpoint changed in every way, and what a query says that is opened on it."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamnb import points
from tests.faults.disks import Held, Table
from tests.faults.explorer import SIZE, ending
from tests.faults.programs import PROGRAMS, scratch

Change = tuple[str, bytes | None]
"""What was done to a file, and what it holds then; None: it is gone."""


class _StopHere(BaseException):
    """The query is left where it stands."""


@dataclass
class Damages:
    """How many damaged checkpoints were tried, and what a query said of them."""

    outcomes: Counter[str] = field(default_factory=Counter)
    by_way: Counter[tuple[str, str]] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.outcomes.total()


def changes(file: Path, files: list[Path], rng: random.Random, flips: int, cuts: int) -> Iterator[Change]:
    """Return ways in which a file may be damaged."""
    content = file.read_bytes()
    for _ in range(flips):
        place, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
        yield "bit flip", content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    for _ in range(cuts):
        yield "truncation", content[: rng.randrange(len(content))]
    yield "zeros", bytes(len(content))
    yield "zeros", content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    yield "appended", content + bytes(8)
    yield "appended", content + content
    yield "deletion", None
    for sibling in files:
        if sibling != file and sibling.parent.parent == file.parent.parent:
            yield "swapped sibling", sibling.read_bytes()


def damage(name: str, seed: int, stop_at: str | None, flips: int, cuts: int) -> Damages:
    """Leave a program in its third batch (None: between two), and try every damage of every file of its checkpoint."""
    found, rng = Damages(), random.Random(seed)  # noqa: S311  a story, not a secret
    with scratch() as folder:
        held = _left(name, seed, Path(folder), stop_at)
        root = Path(folder, "checkpoint")
        files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != "LOCK")
        for file in files:
            for way, content in changes(file, files, rng, flips, cuts):
                with scratch() as other:
                    _damaged(root, Path(other, "checkpoint"), file.relative_to(root), content)
                    outcome = ending(name, seed, Path(other), held)
                found.outcomes[outcome] += 1
                found.by_way[way, outcome] += 1
                if outcome == "wrong":
                    found.silent.append(f"{name} left at {stop_at}: {way} of {file.relative_to(root)}")
    return found


def _left(name: str, seed: int, folder: Path, stop_at: str | None) -> Held:
    table = Table(key=PROGRAMS[name].key)
    query = PROGRAMS[name].open(folder, seed, SIZE, sink=table)
    assert query.step()
    assert query.step()
    assert query.step()
    if stop_at is not None:
        _stop(query, stop_at)
    query.stop()
    return table.held


def _stop(query: object, stop_at: str) -> None:
    def listener(point: str) -> None:
        if point == stop_at:
            raise _StopHere

    points.listen(listener)
    with suppress(_StopHere):
        query.step()  # type: ignore[attr-defined]
    points.listen(None)


def _damaged(root: Path, copy: Path, file: Path, content: bytes | None) -> None:
    shutil.copytree(root, copy)
    if content is None:
        (copy / file).unlink()
    else:
        (copy / file).write_bytes(content)
