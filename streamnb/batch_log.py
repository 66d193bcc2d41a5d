"""Batch log: what every batch was going to do, what it changed in state, and that it has happened, in one order.

``log/0``, ``log/1`` … are read one behind the other; the last is written. Each begins with where the one before it
ended, so that older ones can go. A record of a batch takes back what was written of it, and of later ones, before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from streamnb.durable import Store
from streamnb.errors import CheckpointError
from streamnb.log_file import LogFile, LogReader, Record, head_of, record

FOLDER = "log"


class Kind(IntEnum):
    """What a record is."""

    BASE = 1  # the batch that the files before this one ended with
    BEGIN = 2  # what a batch is going to do
    CHANGES = 3  # what it changed in state
    COMMIT = 4  # it has happened
    BACK = 5  # all behind a batch is forgotten


@dataclass(frozen=True)
class Intent:
    """What a batch is going to do: the offsets up to which it reads, its time, and the watermark it runs with.

    ``given`` are the params that it goes by, and the versions of its rules.
    """

    offsets: Sequence[Any]
    time: int
    replayed: bool
    watermark: int
    has_data: bool
    policy: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """What a source took between two offsets (from None: all up to the second), in its own words."""

    start: Any
    end: Any
    note: Any


Notes = Mapping[int, Note]


@dataclass(frozen=True)
class Recovered:
    """Where a checkpoint stands: the last batch done, and the one that was begun and must be done again, if any."""

    done: int
    offsets: Sequence[Any] | None
    late: int
    watermark: int
    policy: str
    again: Intent | None
    notes: Mapping[int, Sequence[Any]] = field(default_factory=dict)
    taken_back: Mapping[int, Intent] = field(default_factory=dict)


@dataclass
class _Told:
    """What the records say, by batch."""

    bases: dict[int, int] = field(default_factory=dict)  # the file that begins with it
    summaries: dict[int, Notes] = field(default_factory=dict)
    intents: dict[int, Intent] = field(default_factory=dict)
    notes: dict[int, Notes] = field(default_factory=dict)
    changes: dict[int, tuple[int, Record]] = field(default_factory=dict)  # in which file, and where
    commits: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    taken_back: dict[int, tuple[Intent, Notes]] = field(default_factory=dict)  # by rewinding; they are done again

    @property
    def _standing(self) -> list[dict[int, Any]]:
        return [self.bases, self.summaries, self.intents, self.notes, self.changes, self.commits]

    def back(self, to: int) -> None:
        """Forget what was told of later batches."""
        for told in self._standing:
            for number in [number for number in told if number > to]:
                del told[number]

    def take_back(self, to: int) -> None:
        """Go back to a batch, and keep what the later ones did, to be done again."""
        self.taken_back |= {n: (self.intents[n], self.notes.get(n, {})) for n in self.commits if n > to}
        self.back(to)

    def forget(self, before: int) -> None:
        """Forget what was told of earlier batches."""
        for told in [*self._standing, self.taken_back]:
            for number in [number for number in told if number < before]:
                del told[number]

    def base(self, number: int, file: int, body: Mapping[str, Any]) -> None:
        """Begin a file. One that the last was not ended for was left by an interrupt, and begins nothing."""
        if self.bases and (number not in self.commits or number != max(self.intents)):
            return
        self.bases[number] = file
        self.summaries[number] = _notes(body["notes"])
        self.taken_back = {int(n): (Intent(**i), _notes(notes)) for n, (i, notes) in body.get("taken_back", {}).items()}
        if number >= 0:
            self.intents[number], self.commits[number] = Intent(**body["intent"]), body["commit"]


class Log:
    """The log of one query. ``load`` reads it and changes nothing; ``open`` makes it ready to be written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._told = _Told()
        self._end = 0  # of the last file
        self._file: LogFile | None = None

    def load(self) -> Log:
        """Read what was written."""
        self._told, files = _Told(), self._files()
        if not files:
            raise CheckpointError(f"checkpoint: {self._store.path / FOLDER} is missing; restore it or start anew.")
        for file in range(files[0], files[-1] + 1):
            self._read(file)
        return self

    def _files(self) -> list[int]:
        return self._store.numbers(FOLDER) if (self._store.path / FOLDER).exists() else []

    def _read(self, file: int) -> None:
        with LogReader(self._store.path / FOLDER / str(file)) as reader:
            found = reader.records()
            self._end = found[-1].end
            for head in found:
                self._take(file, head, {} if head.kind == Kind.CHANGES else json.loads(reader.read(head)))

    def _take(self, file: int, head: Record, body: Mapping[str, Any]) -> None:
        told, number = self._told, head.batch
        match head.kind:
            case Kind.BASE:
                told.base(number, file, body)
            case Kind.BEGIN:
                told.back(number - 1)
                told.intents[number], told.notes[number] = Intent(**body["intent"]), _notes(body["notes"])
            case Kind.CHANGES:
                told.changes[number] = file, head
            case Kind.COMMIT:
                told.commits[number] = body
            case Kind.BACK:
                told.take_back(number)

    def open(self) -> Log:
        """Read the log, cut off what is torn, and stand at its end; begin it if there is none."""
        if not self._files():
            self._create(0, -1, {})
        self.load()
        self._stand(self._files()[-1], self._end)
        return self

    def _stand(self, file: int, end: int) -> None:
        path, disk = self._store.path / FOLDER / str(file), self._store.disk
        new, old = LogFile(path, disk, end), self._file
        new.settle(path.stat().st_size)
        self._file = new
        if old is not None:
            old.close()

    def _create(self, file: int, done: int, notes: Notes) -> int:
        body: dict[str, Any] = {"notes": _told(notes)}
        behind = {n: (vars(intent), _told(told)) for n, (intent, told) in self._told.taken_back.items() if n > done}
        body |= {"taken_back": behind} if behind else {}
        if done >= 0:
            body |= {"intent": vars(self.intent(done)), "commit": self.commit_of(done)}
        told = _json(body)
        content = record(str(file), head_of(told, Kind.BASE, done), told)
        self._store.place(f"{FOLDER}/{file}", content, FOLDER)
        return len(content)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    # -- one batch

    def begin(self, batch_id: int, intent: Intent, notes: Notes) -> None:
        """Write what a batch is going to do."""
        body = {"intent": vars(intent), "notes": _told(notes)}
        self._add(Kind.BEGIN, batch_id, _json(body), "offsets")
        self._told.back(batch_id - 1)
        self._told.intents[batch_id], self._told.notes[batch_id] = intent, notes

    def change(self, batch_id: int, content: bytes) -> None:
        """Write what a batch changed in state."""
        head = self._add(Kind.CHANGES, batch_id, content, "state")
        self._told.changes[batch_id] = self._current, head

    def commit(self, batch_id: int, body: Mapping[str, Any]) -> None:
        """Write that a batch has happened."""
        self._add(Kind.COMMIT, batch_id, _json(body), "commits")
        self._told.commits[batch_id] = body

    def back(self, to: int) -> None:
        """Forget the batches behind one, but for what must be known to do them again."""
        self._add(Kind.BACK, to, b"{}", "rewind")
        self._told.take_back(to)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        if self._file is not None:
            self._file.sync()

    def _add(self, kind: Kind, batch_id: int, content: bytes, point: str) -> Record:
        assert self._file is not None  # noqa: S101  it is open
        return self._file.add(kind, batch_id, content, point)

    # -- files

    def roll(self, batch_id: int, summaries: Notes) -> None:
        """Go on in a new file, after a batch; ``summaries`` stand for all notes of the sources so far."""
        self.sync()
        file = self._current + 1
        self._stand(file, self._create(file, batch_id, summaries))
        self._told.bases[batch_id], self._told.summaries[batch_id] = file, summaries

    @property
    def _current(self) -> int:
        assert self._file is not None  # noqa: S101  it is open
        return int(self._file.path.name)

    def drop(self, before: int, stands: Callable[[Mapping[str, Any]], bool]) -> Mapping[str, Any] | None:
        """Remove files of batches before ``before``, up to a beginning that ``stands`` without them; return its commit.

        None if nothing can go.
        """
        bases = [n for n in self._told.bases if 0 <= n <= before and stands(self._told.commits[n])]
        if not bases:
            return None
        for file in self._files():
            if file < self._told.bases[max(bases)]:
                self._store.remove(f"{FOLDER}/{file}")
                self._store.sync(FOLDER)  # so that never one in between is missing
        self._told.forget(max(bases))
        return self.commit_of(max(bases))

    # -- what it says

    def intent(self, batch_id: int) -> Intent:
        return self._told.intents[batch_id]

    def intents(self, last: int) -> dict[int, Intent]:
        """Return what the batches up to one were to do, as far back as the log goes."""
        return {number: intent for number, intent in self._told.intents.items() if number <= last}

    def commit_of(self, batch_id: int) -> Mapping[str, Any]:
        """Return what was written when a batch had happened."""
        return self._told.commits[batch_id]

    def changed(self, batch_id: int) -> bytes:
        """Return what a batch changed in state."""
        if batch_id not in self._told.changes:
            raise CheckpointError(
                f"checkpoint: {self._store.path / FOLDER} lacks what batch {batch_id} changed; "
                "restore it or start anew."
            )
        file, head = self._told.changes[batch_id]
        with LogReader(self._store.path / FOLDER / str(file)) as reader:
            return reader.read(head)

    @property
    def begun(self) -> list[int]:
        return sorted(self._told.intents)

    @property
    def done(self) -> list[int]:
        return sorted(self._told.commits)

    @property
    def with_changes(self) -> list[int]:
        return sorted(self._told.changes)

    def first(self) -> int:
        """Return the earliest batch that can be gone back to; -1 is the beginning."""
        return min(self._told.bases)

    def recovered(self) -> Recovered | None:
        """Return where the log ends; None if no batch has ever begun."""
        behind = {n: told for n, told in sorted(self._told.taken_back.items()) if n > max(self.begun, default=-1)}
        if not self.begun and not behind:
            return None
        begun, last = max(self.begun, default=-1), max(self.done, default=-1)
        if begun not in {last, last + 1}:
            raise CheckpointError(
                f"checkpoint: {self._store.path} has begun batch {begun} and finished {last}; "
                "records are missing between; restore the log or start anew."
            )
        again = self.intent(begun) if begun > last else None
        intent = self.intent(last) if last >= 0 else None
        watermark = self.commit_of(last)["next_watermark"] if last >= 0 else 0
        taken_back = {number: before for number, (before, _) in behind.items()}
        *_, furthest = (found for found in (intent, again, *taken_back.values()) if found is not None)
        offsets = None if intent is None else intent.offsets
        late = 0 if intent is None else intent.watermark
        notes = self._all_notes(furthest.offsets, [told for _, told in behind.values()])
        return Recovered(last, offsets, late, watermark, furthest.policy, again, notes, taken_back)

    def _all_notes(self, offsets: Sequence[Any], behind: Sequence[Notes]) -> dict[int, list[Any]]:
        """Return what the sources noted, and what they had ``behind`` that; a gap is a CheckpointError."""
        newest = max(self._told.summaries)
        later = [self._told.notes[n] for n in sorted(self._told.notes) if n > newest]
        notes = [self._told.summaries[newest], *later, *behind]
        sources = sorted({source for told in notes for source in told})
        return {n: self._chained(n, [told[n] for told in notes if n in told], offsets[n]) for n in sources}

    def _chained(self, source: int, notes: Sequence[Note], offset: Any) -> list[Any]:
        place: Any = None
        for note in notes:
            if note.start != place and note.start is not None:
                break
            place = note.end
        if place != offset:
            raise CheckpointError(
                f"checkpoint: {self._store.path / FOLDER} tells what source {source} had read up to {place!r}, "
                f"and the last batch reads up to {offset!r}; restore what is missing."
            )
        return [note.note for note in notes]


def _json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def _told(notes: Notes) -> dict[int, Any]:
    return {source: vars(note) for source, note in notes.items()}


def _notes(told: Mapping[str, Mapping[str, Any]]) -> Notes:
    return {int(source): Note(**note) for source, note in told.items()}
