"""Explorer: every disk that a power cut may leave behind, and what a query says that is opened on it.

A model of what POSIX promises: the content of a file is on the disk after its fsync, a name after the fsync of its
folder. What is not may be there or not, each on its own and in any order, and content that is not may be missing, cut
short or zeros. The sink holds what it held when its call returned.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from streamnb.errors import StreamnbError
from tests.faults.disks import Held, Operation, Recorder, Table, using
from tests.faults.programs import PROGRAMS, scratch, wrong

SIZE = 18
_ALL_SUBSETS = 4
Image = Mapping[str, bytes | None]
"""A disk: the content of every file by its path; None is a folder."""


@dataclass
class _File:
    content: bytes = b""
    kept: int = 0
    added: list[int] = field(default_factory=list)
    """How much of it is on the disk, and where each piece behind that begins."""

    def write(self, content: bytes, at: int) -> None:
        self.added.append(at)
        self.content = self.content[:at].ljust(at, bytes(1)) + content

    def sync(self) -> None:
        self.kept, self.added = len(self.content), []

    def cut(self, size: int) -> None:
        self.content = self.content[:size]
        self.sync()

    def versions(self) -> list[bytes]:
        """Return what a reader may find after a power cut: each piece that may be missing, in any order, or torn."""
        kept, rest = self.content[: self.kept], self.content[self.kept :]
        if not rest:
            return [self.content]
        half = len(rest) // 2
        torn = [
            rest,
            b"",
            rest[:half],
            bytes(len(rest)),
            bytes(half) + rest[half:],
            rest[:half] + bytes(len(rest) - half),
        ]
        ends = [*(at - self.kept for at in self.added[1:]), len(rest)]
        for start, end in itertools.pairwise([0, *ends]):
            torn += [rest[:start], rest[:start] + bytes(end - start) + rest[end:]]
        return [kept + version for version in dict.fromkeys(torn)]


@dataclass(frozen=True)
class _Naming:
    """A change of names: what a path leads to now (None: nothing), and the path that it took that from, if any."""

    path: str
    leads_to: _File | str | None
    taken_from: str = ""


@dataclass
class Model:
    """What is on the disk for certain, and the changes of names that may be."""

    names: dict[str, _File | str] = field(default_factory=dict)
    pending: list[_Naming] = field(default_factory=list)
    now: dict[str, _File | str] = field(default_factory=dict)

    def do(self, operation: Operation) -> None:
        kind, path, other, content, at = operation
        if kind == "sync":
            self._sync(path)
        elif isinstance(file := self.now.get(path), _File) and kind in {"data", "append"}:
            file.write(content, at)
        elif isinstance(file, _File) and kind == "fsync":
            file.sync()
        elif isinstance(file, _File) and kind == "cut":
            file.cut(at)
        else:
            new: dict[str, _Naming] = {
                "create": _Naming(path, _File()),
                "mkdir": _Naming(path, "folder"),
                "remove": _Naming(path, None),
                "rename": _Naming(other, self.now.get(path), path),
            }
            self.pending.append(new[kind])
            _apply(self.now, new[kind])

    def _sync(self, folder: str) -> None:
        for naming in [n for n in self.pending if _parent(n.path) == folder]:
            _apply(self.names, naming)
            self.pending.remove(naming)

    def images(self) -> Iterator[Image]:
        """Return every disk that a power cut now may leave."""
        for chosen in _subsets(self.pending):
            names = dict(self.names)
            for naming in chosen:
                _apply(names, naming)
            yield from _contents(names)


def _apply(names: dict[str, _File | str], naming: _Naming) -> None:
    names.pop(naming.taken_from, None)
    if naming.leads_to is None:
        names.pop(naming.path, None)
    else:
        names[naming.path] = naming.leads_to


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _subsets(pending: Sequence[_Naming]) -> Iterator[Sequence[_Naming]]:
    """Return all choices among a few; of many none, all, each alone, all but each, and all in the other order."""
    if len(pending) <= _ALL_SUBSETS:
        for size in range(len(pending) + 1):
            yield from itertools.combinations(pending, size)
    else:
        yield from ([], pending, pending[::-1])
        for i, one in enumerate(pending):
            yield from ([one], [*pending[:i], *pending[i + 1 :]])


def _contents(names: Mapping[str, _File | str]) -> Iterator[Image]:
    """Return the disks with these names: one with the files as they were written, others with one file torn."""
    there = {path: file for path, file in names.items() if _parent(path) == "." or _parent(path) in names}
    whole = {path: file.content if isinstance(file, _File) else None for path, file in there.items()}
    yield whole
    for path, file in there.items():
        for version in file.versions()[1:] if isinstance(file, _File) else []:
            yield {**whole, path: version}


@dataclass
class Finding:
    """How many different disks were tried, and what a query opened on them said."""

    prefixes: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    silent: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.outcomes.total()


def explore(name: str, seed: int = 0, without: str = "", enough: int | None = None) -> Finding:
    """Record one life of a program, with a restart in the middle, and try every disk after each of its operations.

    ``enough`` ends it when so many disks were not exact. With ``without`` it begins when the sink has a batch: until
    then a disk may forget all.
    """
    finding, model, seen = Finding(), Model(), set[tuple[object, ...]]()
    for operation, held in recorded(name, seed, without):
        model.do(operation)
        if without and held[1] is None:
            continue
        finding.prefixes += 1
        for image in model.images():
            key = (frozenset(image.items()), held)
            if key not in seen:
                seen.add(key)
                outcome = said(name, seed, image, held)
                finding.outcomes[outcome] += 1
                if outcome == "wrong":
                    finding.silent.append(f"{name} after {operation.kind} {operation.path}: {sorted(image)}")
                if finding.tried - finding.outcomes["exact"] == enough:
                    return finding
    return finding


def recorded(name: str, seed: int, without: str) -> list[tuple[Operation, Held]]:
    """Return the operations of one life, each with what the sink held by then."""
    with scratch() as folder:
        table, root = Table(key=PROGRAMS[name].key), Path(folder, "checkpoint")
        disk = Recorder(root, table, without)
        for path in ("log", "state", "dead_letters"):
            (root / path).mkdir(parents=True)
            disk._note("mkdir", root / path)
        disk.sync(root)
        with using(disk):
            query = PROGRAMS[name].open(Path(folder), seed, SIZE, sink=table)
            assert query.step()
            assert query.step()
            query.stop()
            PROGRAMS[name].open(Path(folder), seed, SIZE, sink=table).run().stop()
        return disk.done


def said(name: str, seed: int, image: Image, held: Held) -> str:
    """Return what a query says on a disk: ``exact``, ``wrong``, or the name of its error."""
    with scratch() as folder:
        for path, content in sorted(image.items(), key=lambda item: item[1] is not None):
            target = Path(folder, "checkpoint", path)
            if content is None:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        return ending(name, seed, Path(folder), held)


def ending(name: str, seed: int, folder: Path, held: Held) -> str:
    """Run a program to its end on what is in a folder and a table: ``exact``, ``wrong``, or the name of its error."""
    table = Table(held, PROGRAMS[name].key)
    try:
        query = PROGRAMS[name].open(folder, seed, SIZE, sink=table)
        query.run().stop()
    except StreamnbError as error:
        return type(error).__name__
    return "exact" if wrong(table.rows, name, seed) == (0, 0) else "wrong"
