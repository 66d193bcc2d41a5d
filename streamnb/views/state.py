"""State: what the query remembers after a batch, until when and why, and how its size went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from streamnb.answers.cards import plural
from streamnb.errors import QueryError
from streamnb.progress import Outline, Playable, Progress, Trace
from streamnb.views.chart import Frame, across, batch_ticks, big, byte_count, upward
from streamnb.views.lifetime import Lifetime, Tried
from streamnb.views.shapes import (
    Choice,
    Column,
    Figure,
    Grid,
    Part,
    Row,
    Search,
    Shape,
    Sheet,
    line,
    nothing,
    rect,
    spell_cell,
    table,
    text,
)
from streamnb.views.state_rows import EXPIRES, LEAVING, MARK, OLD, PAGE, Asked, Page, page_of, touched
from streamnb.views.view import View

STRIP, MOST_GONE, MOST_BATCHES = 12, 8, 240
_ONLY = (("all", "all keys"), ("changed", "only what changed"), ("leaving", "about to be evicted"))
_SCALES = (("linear", "linear"), ("log", "log"))


@dataclass(frozen=True)
class Size:
    """The rows and bytes of state after a batch, and the rows there would be had nothing been evicted."""

    batch_id: int
    rows: int
    kept: int
    nbytes: int


def sizes(progress: Sequence[Progress], traces: Sequence[Trace]) -> list[Size]:
    """Return the size of state after every one of some batches."""
    return [_size(told, trace) for told, trace in zip(progress, traces, strict=False)]


def _size(progress: Progress, trace: Trace) -> Size:
    operators = progress.state_operators
    rows = sum(o.num_rows_total for o in operators)
    return Size(progress.batch_id, rows, rows + trace.so_far.removed, sum(o.memory_used_bytes for o in operators))


def state_sheet(
    page: Page, trace: Trace, outline: Outline, history: Sequence[Size], asked: Asked, *,
    changes: Sequence[pl.DataFrame], log: bool = False, operators: Sequence[str] = (), tried: Tried | None = None,
) -> Sheet:  # fmt: skip
    """Lay out state after the last batch of ``history``; ``changes`` are the frames that the last batches touched."""
    gone = page.removed
    several = [Choice("operator", "state of", tuple((o, o) for o in operators), asked.operator)]
    parts: list[Part] = [
        *(several if len(operators) > 1 else []),
        Search("find", "find a key", asked.find),
        Choice("only", "show", _ONLY, asked.only),
        *_pages(page, asked),
        _grid(page, trace, asked, changes),
        Choice("scale", "scale", _SCALES, "log" if log else "linear"),
        *([tried.slider] if tried else []),
        size_figure(history, log=log, tried=tried),
    ]
    return Sheet(_title(page, gone), tuple(parts), _spoken(page, gone, trace), _reason(trace, outline))


def _title(page: Page, gone: int) -> str:
    marks = [f"{number:,} {word}" for number, word in ((page.new, "new"), (page.changed, "changed"),
             (gone, "evicted")) if number]  # fmt: skip
    told = f": {', '.join(marks)} in this batch" if marks else ", none of them touched by this batch"
    return f"State holds {page.total:,} key{'' if page.total == 1 else 's'}{told}."


def _spoken(page: Page, gone: int, trace: Trace) -> str:
    leaving = f" {page.leaving:,} will be evicted by the next batch." if page.leaving else ""
    return f"Batch {trace.batch_id}. {_title(page, gone)}{leaving}"


def _reason(trace: Trace, outline: Outline) -> str:
    if outline.output_mode == "complete":
        return "Complete mode writes the whole table every time, so no key is ever evicted."
    if trace.watermark_after is None:
        return "No watermark is declared, so no key is ever evicted: this state grows with the number of keys."
    return (
        f"The watermark stands at {spell_time(trace.watermark_after)}. A key is evicted in the first batch after the "
        "watermark has reached its end; a row that comes for it later is dropped."
    )


def _pages(page: Page, asked: Asked) -> list[Part]:
    last = max(0, (page.found - 1) // PAGE)
    if not last:
        return []
    near = sorted({0, last, *range(max(0, asked.page - 5), min(last, asked.page + 5) + 1)})
    options = tuple((str(n), f"{n * PAGE + 1:,}–{min((n + 1) * PAGE, page.found):,}") for n in near)
    return [Choice("page", f"of {page.found:,} keys", options, str(asked.page))]


def _grid(page: Page, trace: Trace, asked: Asked, changes: Sequence[pl.DataFrame]) -> Grid:
    heads = [n for n in page.rows.columns if not n.startswith("__") and n != EXPIRES]
    way = {asked.sort.removeprefix("-"): "down" if asked.sort.startswith("-") else "up"} if asked.sort else {}
    columns = (
        *(Column(n, "", page.rows.schema[n].is_numeric(), n, way.get(n, "")) for n in heads),
        Column("evicted when", "", sort=EXPIRES, sorted=way.get(EXPIRES, "")),
        Column(f"last {plural(len(changes), 'batch')}"),
    )
    strips = touched(page, changes)
    rows = [_row(row, heads, trace, strip) for row, strip in zip(page.rows.iter_rows(named=True), strips, strict=True)]
    rows += _gone_rows(page, trace, heads) if not asked.page and not asked.find else []
    unseen = page.removed - MOST_GONE
    note = f"{unseen:,} more evicted in this batch." if unseen > 0 else ""
    return Grid("", columns, tuple(rows), note)


def _row(row: dict[str, Any], heads: Sequence[str], trace: Trace, strip: str) -> Row:
    before = {i: _word(row[OLD + n]) for i, n in enumerate(heads) if row.get(OLD + n) is not None}
    cells = tuple(_word(row[n]) for n in heads)
    was = tuple((i, old) for i, old in before.items() if row[MARK] == "changed" and old != cells[i])
    mark = "leaving" if row[LEAVING] else row[MARK]
    return Row((*cells, _eviction(row[EXPIRES], trace, leaving=row[LEAVING]), strip), mark, was=was)


def _word(value: Any) -> str:
    return spell_time(value) if isinstance(value, dt.datetime) else spell_cell(value)


def spell_time(time: dt.datetime) -> str:
    """Return a time with its day, as exactly as it is."""
    clock = f"{time:%H:%M:%S}" if time.second or time.microsecond else f"{time:%H:%M}"
    return f"{time:%b} {time.day} {clock}"


def _eviction(ends: dt.datetime | None, trace: Trace, *, leaving: bool) -> str:
    if ends is None:
        return "never: no watermark ends it"
    if leaving and trace.watermark_after is not None:
        return f"next batch: the watermark has reached {spell_time(ends)}"
    return f"the watermark reaches {spell_time(ends)}"


def _gone_rows(page: Page, trace: Trace, heads: Sequence[str]) -> list[Row]:
    by = trace.watermark
    why = "evicted: no longer needed" if by is None else f"evicted: the watermark was {spell_time(by)}"
    told = page.gone.head(MOST_GONE).iter_rows(named=True)
    return [Row((*(_word(row[n]) if n in row else "" for n in heads), why, ""), "gone") for row in told]


def size_frame(history: Sequence[Size], *, log: bool = False, tried: Tried | None = None) -> Frame:
    """Return the ground of the newest sizes."""
    shown = history[-MOST_BATCHES:]
    most = max((*(size.kept for size in shown), *(keys for _, keys in (tried.keys if tried else ()))))
    first, last = shown[0].batch_id, shown[-1].batch_id
    return Frame(64, 26, 560, 150, first, max(last, first + 1), 0, max(most, 1) * 1.08, log)


def size_figure(history: Sequence[Size], *, log: bool, tried: Tried | None = None) -> Figure:
    """Draw the number of keys by batch, as it is, as it would be had nothing been evicted, and with a delay tried."""
    shown = history[-MOST_BATCHES:]
    first, last = shown[0].batch_id, shown[-1].batch_id
    frame = size_frame(history, log=log, tried=tried)
    now = shown[-1]
    shapes: list[Shape] = [*upward(frame), *across(frame, batch_ticks(first, max(last, first + 1)), "batch")]
    shapes.append(text(2, 14, "keys in state", "ink", 13, bold=True))
    if now.kept > now.rows:
        shapes.append(line([frame.at((s.batch_id, s.kept)) for s in shown], "muted", 1.5, "5 4"))
        y = frame.y(now.kept) + 4
        shapes.append(text(frame.right + 8, y, f"{big(now.kept)} without eviction", "muted", 12))
    shapes.append(line([frame.at((s.batch_id, s.rows)) for s in shown], "ontime", 2.2))
    y = frame.y(now.rows) + 4
    if now.kept > now.rows:
        y = max(y, frame.y(now.kept) + 19)
    words = f"{big(now.rows)} held, {byte_count(now.nbytes)}"
    shapes.append(text(frame.right + 8, min(y, frame.bottom), words, "ontime_text", 12, bold=True))
    shapes.append(rect(frame.x(last) - 3, frame.y(now.rows) - 3, 6, 6, "ontime", r=3))
    shapes += tried.shapes(frame) if tried else []
    heads = ["batch", "keys", "keys without eviction", "bytes"]
    rows: list[tuple[Any, ...]] = [(s.batch_id, s.rows, s.kept, s.nbytes) for s in shown[-60:]]
    if tried and tried.keys:
        heads, with_it = [*heads, f"keys with {tried.slider.shown}"], dict(tried.keys)
        rows = [(*row, with_it.get(row[0])) for row in rows]
    behind = table("Size of state", heads, rows)
    label = f"Keys in state by batch: {now.rows:,} now, {now.kept:,} had nothing been evicted."
    return Figure(label, 280 if tried else 224, tuple(shapes), behind)


class State(View):
    """Keys and values after a batch; they are found, sorted and cut in the kernel, and one page travels."""

    name = "state"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self.asked = Asked()
        self.log = False
        self.lifetime = Lifetime(query)
        self._keys: dict[tuple[str, Outline], tuple[str, ...]] = {}  # of the operator that is shown
        self._changes: dict[int, tuple[Trace, str, pl.DataFrame]] = {}

    @classmethod
    def fits(cls, query: Playable) -> bool:
        """Return whether state can be asked for."""
        return hasattr(query, "state_page")

    def sheet(self, at: int) -> Sheet:
        """Lay out the page asked for."""
        if at < 0:
            return nothing("Nothing is remembered yet: no batch has run.")
        operators: tuple[str, ...] = self.query.state_operators()  # type: ignore[attr-defined]  # a Query
        if not operators:
            return nothing("This query remembers nothing: none of its operators keeps state.")
        traces, outline = self.query.trace[max(0, at + 1 - STRIP) : at + 1], self.query.outline
        asked = self.asked if self.asked.operator in operators else replace(self.asked, operator=operators[0])
        try:
            page = self._page(traces[-1].batch_id, asked)
        except QueryError as error:  # another logic ran then
            return nothing(str(error))
        changes = self._touched(traces, asked.operator)
        history = self._history(at)
        tried = self.lifetime.tried(at) if self.live else None
        return state_sheet(
            page, traces[-1], outline, history, asked, changes=changes, log=self.log, operators=operators, tried=tried
        )

    def _history(self, at: int) -> list[Size]:
        """Return the sizes up to a batch, as many as are drawn."""
        shown = slice(max(0, at + 1 - MOST_BATCHES), at + 1)
        return sizes(self.query.progress[shown], self.query.trace[shown])

    def _page(self, batch: int, asked: Asked) -> Page:
        query: Any = self.query
        which = asked.operator, query.outline
        if which not in self._keys:
            self._keys = {which: query.state_page(asked.operator, batch, limit=0).keys}
        return page_of(query.state_page(asked.operator, batch, **asked.order(self._keys[which])))

    def _touched(self, traces: Sequence[Trace], operator: str) -> list[pl.DataFrame]:
        known = self._changes
        self._changes = {t.batch_id: _kept(known.get(t.batch_id), t, operator) for t in traces}
        return [frame for _, _, frame in self._changes.values()]

    def hear(self, name: str, value: Any) -> None:
        """Turn a page, sort, look for words, show only what changed, or another operator."""
        if name in {"ttl", "drag"}:
            self.lifetime.hear(name, value, size_frame(self._history(len(self.query.trace) - 1)))
        elif name == "scale":
            self.log = value == "log"
        elif name == "page":
            self.asked = replace(self.asked, page=int(value))
        elif name == "sort":
            self.asked = replace(self.asked, page=0, sort=f"-{value}" if self.asked.sort == value else value)
        elif name == "operator":
            self.asked = replace(self.asked, page=0, sort="", operator=str(value))
        elif name in {"find", "only"}:
            self.asked = replace(self.asked, page=0, **{name: str(value)})


def _kept(
    known: tuple[Trace, str, pl.DataFrame] | None, trace: Trace, operator: str
) -> tuple[Trace, str, pl.DataFrame]:
    """Return what a batch changed in an operator, as it is known already if it is."""
    if known is not None and known[0].serial == trace.serial and known[1] == operator:
        return known
    verb = operator.partition(" ")[0]
    frames = [step.changed() for step in trace.steps if step.operator == verb]
    return trace, operator, pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
