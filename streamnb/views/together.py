"""Together: one frame under several output modes, stepped as one query."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamnb.errors import PlanError
from streamnb.player import Player
from streamnb.time import SECOND, duration

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from streamnb.frame import StreamFrame
    from streamnb.progress import Outline, Progress, Trace
    from streamnb.query import Query

MODES = ("append", "update", "complete")
_T = TypeVar("_T")


@dataclass(frozen=True, eq=False)
class Round:
    """One step of all: the batch that each mode did (modes that had nothing to do are left out), and where each stood.

    What it tells is read from the queries, which let go of the rows of old batches.
    """

    queries: Mapping[str, Query]
    did: Mapping[str, int]
    stood: Mapping[str, int]

    def trace(self, mode: str) -> Trace:
        """Return the story of what a mode did."""
        told = self.queries[mode].trace
        return told[max(0, self.did[mode] - told[0].batch_id)]

    def progress(self, mode: str) -> Progress:
        """Return the numbers of what a mode did."""
        told = self.queries[mode].progress
        return told[max(0, self.did[mode] - told[0].batch_id)]

    def emitted(self, mode: str) -> pl.DataFrame:
        """Return the rows that a mode gave out."""
        return self.queries[mode]._memory.rows(self.did[mode])  # noqa: SLF001  a trace lets go of them sooner

    @property
    def is_told(self) -> bool:
        """Whether its batches are still told of."""
        return all(number >= self.queries[mode].trace[0].batch_id for mode, number in self.did.items())


class _Told(Sequence[_T]):
    """One record a round, read when it is asked for."""

    def __init__(self, rounds: Sequence[Round], read: Callable[[Round], _T]) -> None:
        self._rounds, self._read = rounds, read

    def __len__(self) -> int:
        return len(self._rounds)

    @overload
    def __getitem__(self, at: int) -> _T: ...
    @overload
    def __getitem__(self, at: slice) -> list[_T]: ...
    def __getitem__(self, at: int | slice) -> _T | list[_T]:
        return list(map(self._read, self._rounds[at])) if isinstance(at, slice) else self._read(self._rounds[at])


class Together:
    """Queries of one frame under every output mode that it may have; ``refused`` says why not, for the others.

    They read the same input, unit by unit: what a round reads, all of them read. Shows itself as one query does.
    """

    def __init__(self, frame: StreamFrame) -> None:
        self.queries: dict[str, Query] = {}
        self.refused: dict[str, str] = {}
        from streamnb.query import Query

        for mode in MODES:
            try:
                self.queries[mode] = Query(frame.node, output_mode=mode)
            except PlanError as error:
                self.refused[mode] = str(error)
        if not self.queries:
            raise PlanError(f"modes: no output mode fits; {self.refused['append']}", code="OPTION_INVALID")
        first = next(iter(self.queries.values()))
        self.name: str = first.name
        self.outline: Outline = first.outline
        self.rounds: list[Round] = []
        self.let_go = 0  # how many rounds are no longer told of
        self.exception: BaseException | None = None
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.RLock()
        self._stopped = self._done = False
        self._player = Player(self.name, self._tick)

    def __repr__(self) -> str:
        return f"{', '.join(self.queries)} side by side"

    @property
    def trace(self) -> Sequence[Trace]:
        """One trace a round: that of the first mode that did something in it."""
        return _Told(self.rounds, lambda r: r.trace(next(iter(r.did))))

    @property
    def progress(self) -> Sequence[Progress]:
        """One progress a round, as ``trace``."""
        return _Told(self.rounds, lambda r: r.progress(next(iter(r.did))))

    @property
    def playing(self) -> bool:
        """Whether it steps by itself."""
        return self._player.playing

    @property
    def status(self) -> str:
        """As that of a query."""
        if self.exception is not None:
            return "failed"
        if self._stopped:
            return "stopped"
        return "done" if self._done else "playing" if self.playing else "idle"

    def step(self) -> bool:
        """Step every query once; return whether any of them did something."""
        with self._lock:
            done = {mode: query.step() for mode, query in self.queries.items()}
            progress = {mode: told for mode, told in done.items() if told is not None}
            self._done = not progress
            if progress:
                did = {mode: told.batch_id for mode, told in progress.items()}
                stood = {mode: q.trace[-1].batch_id if q.trace else -1 for mode, q in self.queries.items()}
                self.rounds.append(Round(self.queries, did, stood))
                gone = next(n for n, r in enumerate(self.rounds) if r.is_told)
                del self.rounds[:gone]
                self.let_go += gone
        self._changed()
        return bool(progress)

    def rewind(self, to: int) -> None:
        """Go back to the end of the round whose batch is ``to``."""
        with self._lock:
            at = next(n for n, trace in enumerate(self.trace) if trace.batch_id == to)
            for mode, query in self.queries.items():
                query.rewind(self.rounds[at].stood[mode])
            del self.rounds[at + 1 :]
            self._done = False
        self._changed()

    def play(self, every: str = "500ms") -> None:
        """Step by itself."""
        self._player.play(duration(every, "play") / SECOND)
        self._changed()

    def pause(self) -> None:
        """Stop stepping by itself."""
        self._player.pause()
        self._changed()

    def stop(self) -> None:
        """End the queries."""
        self._player.close()
        for query in self.queries.values():
            query.stop()
        self._stopped = True
        self._changed()

    def _tick(self) -> None:
        try:
            self.step()
        except Exception as error:  # noqa: BLE001  shown where a query's own would be
            self.exception = error
            self._player.fail()
            self._changed()

    def post(self, command: str, **arguments: Any) -> None:
        """Ask for a command and return at once."""

        def work() -> None:
            try:
                self.exception = None
                getattr(self, command)(**arguments)
            except Exception as error:  # noqa: BLE001  shown where a query's own would be
                self.exception = error
                self._changed()

        if command == "pause":
            self.pause()
        else:
            self._player.post(work)

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` after every change; return the way to end that."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    def _changed(self) -> None:
        for callback in tuple(self._listeners):
            callback()

    def result_at(self, batch_id: int) -> pd.DataFrame:
        """Return the result of the first mode."""
        return next(iter(self.queries.values())).result_at(batch_id)

    def state_at(self, batch_id: int) -> pd.DataFrame:
        """Return the state of the first mode."""
        return next(iter(self.queries.values())).state_at(batch_id)

    def upcoming(self) -> pl.DataFrame | None:
        """Return the rows not read yet."""
        return next(iter(self.queries.values())).upcoming()
