"""Crash lab: one batch with the moments at which it may die, and what five ways of writing then hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamnb.crashing.crash import Crash, Outcome, crash, ways_of
from streamnb.crashing.strategies import Strategy, Write
from streamnb.views.crash_logs import logs_figure
from streamnb.views.shapes import Choice, Figure, Part, Shape, Sheet, diamond, line, rect, table, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streamnb.frame import StreamFrame
    from streamnb.query import Query

MOMENTS = ("before write", "halfway", "before commit", "after commit")
_NOTHING = ""
_BOXES = (
    (128.0, 104.0, "plan", "offsets to the log"),
    (248.0, 104.0, "compute", "a new state"),
    (390.0, 66.0, "write", "first half"),
    (496.0, 66.0, "write", "second half"),
    (602.0, 66.0, "commit", "to the log"),
)
_STARS = (371.0, 476.0, 582.0, 690.0)
_CODE, _CELL, _HIGH, _ROW, _TOP, _PIPE = 202.0, 94.0, 44.0, 56.0, 138.0, 48.0


@dataclass(frozen=True)
class Cell:
    """One strategy at one moment, uncovered."""

    strategy: Strategy
    moment: str
    outcome: Outcome


class CrashLab:
    """A frame that is crashed where the reader says; each cell is empty until somebody tried it.

    Every trial is a real one, by :func:`~streamnb.crashing.crash.crash`: five queries with checkpoint and SQLite file
    of their own. A moment that was tried is not tried again.
    """

    def __init__(
        self, query: Query | StreamFrame, batch: int | None = None, sinks: Write | Mapping[str, Write] | None = None
    ) -> None:
        self._crash: Callable[[str], Crash] = lambda at: crash(query, at=at, batch=batch, sinks=sinks).restart()
        self._batch = "its largest batch" if batch is None else f"batch {batch}"
        self._tried: dict[str, Crash] = {}
        self._uncovered: set[tuple[str, str]] = set()
        self._picked: tuple[str, str] | None = None
        self.moment = _NOTHING
        self.strategies = ways_of(sinks)

    def _at(self, moment: str) -> Crash:
        if moment not in self._tried:
            self._tried[moment] = self._crash(moment)
        return self._tried[moment]

    def cell(self, strategy: str, moment: str) -> Cell:
        """Return what became of a strategy that died at a moment."""
        outcome = self._at(moment)[strategy]
        return Cell(outcome.strategy, moment, outcome)

    @property
    def cells(self) -> list[Cell]:
        """Return the cells that stand uncovered, by strategy and moment."""
        return [self.cell(s.name, m) for s in self.strategies for m in MOMENTS if (s.name, m) in self._uncovered]

    def uncover(self, moment: str) -> None:
        """Let all strategies die at a moment."""
        self.moment = moment
        self._uncovered |= {(strategy.name, moment) for strategy in self.strategies}

    def hear(self, name: str, value: Any) -> None:
        """Take a moment from the list, a place of the star, or a cell."""
        if name == "moment" and value in MOMENTS:
            self.uncover(value)
        elif name == "drag":
            self.uncover(min(MOMENTS, key=lambda m: abs(_STARS[MOMENTS.index(m)] - float(value[1]))))
        elif name == "pick":
            way, _, moment = str(value).partition("|")
            self.moment, self._picked = moment, (way, moment)
            self._uncovered.add((way, moment))

    def frames(self) -> Iterator[tuple[str, Sheet]]:
        """Return what a page without a kernel steps through: the empty lab, then a moment more each time."""
        stood = self._uncovered, self._picked, self.moment
        self._uncovered, self._picked, self.moment = set(), None, _NOTHING
        yield "nothing tried", self.sheet()
        for moment in MOMENTS:
            self.uncover(moment)
            self._picked = (self._telling(moment), moment)
            yield moment, self.sheet()
        self._uncovered, self._picked, self.moment = stood

    def _telling(self, moment: str) -> str:
        """Return the strategy to look into: the first that is wrong, else the last."""
        found = self._at(moment).outcomes
        return next((way for way, outcome in found.items() if not outcome.right), self.strategies[-1].name)

    def sheet(self) -> Sheet:
        """Lay out the pipeline, the cells uncovered so far, and the logs of the one looked at."""
        cells = self.cells
        options = (("", "choose"), *((moment, moment) for moment in MOMENTS))
        parts: list[Part] = [Choice("moment", "the process dies", options, self.moment), self._figure(cells)]
        if self._picked is not None:
            parts.append(logs_figure(*self._picked, self.cell(*self._picked).outcome))
        title = _title(cells, len(self.strategies))
        return Sheet(title, tuple(parts), f"{title} {_told(cells)}".strip(), _LEAD)

    def _figure(self, cells: Sequence[Cell]) -> Figure:
        shapes = [*_pipeline(self._batch), *self._star()]
        found = {(cell.strategy.name, cell.moment): cell for cell in cells}
        for n, strategy in enumerate(self.strategies):
            y = _TOP + _ROW * n
            shapes += _way(strategy, y)
            for x, moment in zip(_STARS, MOMENTS, strict=True):
                picked = self._picked == (strategy.name, moment)
                shapes += _cell(strategy.name, moment, found.get((strategy.name, moment)), x, y, picked=picked)
        rows = [(c.strategy.name, c.moment, c.outcome.expected, c.outcome.held, c.outcome.verdict) for c in cells]
        behind = table("What was tried", ("strategy", "the process dies", "expected", "held", "verdict"), rows)
        said = "One batch of a query, and what each way of writing holds if it dies. " + _told(cells)
        return Figure(said, int(_TOP + _ROW * len(self.strategies) + 8), tuple(shapes), behind)

    def _star(self) -> Iterator[Shape]:
        """Draw a mark at each moment; the one where the process died last is filled, and can be pulled."""
        for x, moment in zip(_STARS, MOMENTS, strict=True):
            yield line([(x, _PIPE - 34), (x, _PIPE + 42)], "dropped", 1.4, "3 3")
            yield text(x, _PIPE + 60, moment, "ink" if moment == self.moment else "muted", 12, anchor="middle",
                       bold=moment == self.moment)  # fmt: skip
            size = 11 if moment == self.moment else 6
            yield diamond(x, _PIPE, size, "dropped", drag="star", tip=f"{moment}: pull me, or click")


_LEAD = (
    "Pull the diamond to the moment of the crash, or click a cell. The process dies there, is started again from its "
    "checkpoint, and runs to its end; every batch without a commit comes again."
)


def _title(cells: Sequence[Cell], strategies: int) -> str:
    if not cells:
        return "One batch, four moments to die: what does the table hold in the end?"
    wrong = sum(not cell.outcome.right for cell in cells)
    if len(cells) == strategies * len(MOMENTS):
        safe = [c.strategy.name for c in cells if not c.outcome.right]
        always = len({c.strategy.name for c in cells}) - len(set(safe))
        return f"Exactly once is decided at the sink: {always} of {strategies} ways are right at every moment."
    return f"{len(cells)} crashes tried: {wrong} of them left a table that is wrong."


def _told(cells: Sequence[Cell]) -> str:
    return " ".join(f"{c.strategy.name}, {c.moment}: {c.outcome.verdict}." for c in cells[-8:])


def _pipeline(batch: str) -> Iterator[Shape]:
    yield text(2, _PIPE - 4, "One micro-batch", "ink", 13, bold=True)
    yield text(2, _PIPE + 13, batch, "muted", 12)
    yield line([(_BOXES[0][0], _PIPE), (_STARS[-1] + 20, _PIPE)], "muted", 1)
    for left, wide, name, words in _BOXES:
        yield rect(left, _PIPE - 21, wide, 42, "strip", line="faint", stroke=1.4, r=5)
        yield text(left + wide / 2, _PIPE - 4, name, "ink", 12.5, anchor="middle", bold=True)
        yield text(left + wide / 2, _PIPE + 12, words, "muted", 10.5, anchor="middle")
    yield text(2, _PIPE + 60, "if the crash comes …", "muted", 12)


def _way(strategy: Strategy, y: float) -> Iterator[Shape]:
    yield line([(0, y - 6), (744, y - 6)], "faint", 1)
    yield text(2, y + 17, strategy.name, "ink", 12.5, bold=True)
    yield text(2, y + 34, strategy.guarantee, "muted", 11.5)
    for n, words in enumerate(strategy.code.split("\n")):
        yield text(_CODE, y + 17 + 17 * n, words.replace(" ", "\N{NO-BREAK SPACE}"), "muted", 10.5)


def _cell(way: str, moment: str, cell: Cell | None, x: float, y: float, *, picked: bool) -> Iterator[Shape]:
    pick = f"{way}|{moment}"
    box: dict[str, Any] = {"x": x - _CELL / 2, "y": y, "width": _CELL, "height": _HIGH, "r": 5, "pick": pick}
    if cell is None:
        yield rect(**box, fill="ground", line="faint", stroke=1.4, dash="4 3", tip=f"{way}, {moment}: try it")
        yield text(x, y + 27, "?", "muted", 14, anchor="middle", pick=pick)
        return
    right = cell.outcome.right
    role = "watermark" if right else "dropped"
    looks: dict[str, Any] = {"fill": role, "alpha": 0.1, "line": role, "stroke": 2.6 if picked else 1.4}
    yield rect(**box, **looks, hatch=None if right else "dropped", tip=f"{way}, {moment}: {cell.outcome.verdict}")
    yield text(x, y + 20, f"{cell.outcome.held:,}", "ink", 15, anchor="middle", bold=True, pick=pick, halo=not right)
    words = cell.outcome.verdict if len(cell.outcome.verdict) < 20 else "refuses to go on"
    yield text(x, y + 36, words, f"{role}_text", 11, anchor="middle", bold=not right, pick=pick, halo=not right)
