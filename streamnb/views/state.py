"""State: what the query remembers after a batch, until when and why, and how its size went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from streamnb.progress import Outline, Playable, Progress, Trace
from streamnb.views.chart import Frame, across, batch_ticks, big, byte_count, upward
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
    rect,
    spell_cell,
    table,
    text,
)
from streamnb.views.state_rows import EXPIRES, MARK, OPERATOR, PAGE, Asked, Page, page_of, touched
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


def sizes(progress: Sequence[Progress]) -> list[Size]:
    """Return the size of state after every batch."""
    found: list[Size] = []
    removed = 0
    for batch in progress:
        operators = batch.state_operators
        rows = sum(o.num_rows_total for o in operators)
        removed += sum(o.num_rows_removed for o in operators)
        found.append(Size(batch.batch_id, rows, rows + removed, sum(o.memory_used_bytes for o in operators)))
    return found


def state_sheet(
    page: Page, trace: Trace, outline: Outline, history: Sequence[Size], asked: Asked, *,
    changes: Sequence[pl.DataFrame], log: bool = False,
) -> Sheet:  # fmt: skip
    """Lay out state after the last batch of ``history``; ``changes`` are the frames that the last batches touched."""
    gone = _gone(trace)
    parts: list[Part] = [
        Search("find", "find a key", asked.find),
        Choice("only", "show", _ONLY, asked.only),
        *_pages(page, asked),
        _grid(page, gone, trace, asked, changes),
        Choice("scale", "scale", _SCALES, "log" if log else "linear"),
        size_figure(history, log=log),
    ]
    return Sheet(_title(page, gone), tuple(parts), _spoken(page, gone, trace), _reason(trace, outline))


def nothing(words: str) -> Sheet:
    """Return the sheet of a query that has nothing to show yet."""
    return Sheet(words, ())


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


def _grid(page: Page, gone: int, trace: Trace, asked: Asked, changes: Sequence[pl.DataFrame]) -> Grid:
    names = [n for n in page.rows.columns if not n.startswith("__") and n not in {EXPIRES, OPERATOR}]
    several = len({step.operator for step in trace.steps}) > 1
    heads = [*([OPERATOR] if several else []), *names]
    way = {asked.sort.removeprefix("-"): "down" if asked.sort.startswith("-") else "up"} if asked.sort else {}
    columns = (
        *(Column(n, "", page.rows.schema[n].is_numeric(), n, way.get(n, "")) for n in heads),
        Column("evicted when", "", sort=EXPIRES, sorted=way.get(EXPIRES, "")),
        Column(f"last {len(changes)} batches"),
    )
    strips = touched(page, changes)
    rows = [_row(row, heads, trace, strip) for row, strip in zip(page.rows.iter_rows(named=True), strips, strict=True)]
    rows += _gone_rows(trace, heads, len(columns)) if not asked.page and not asked.find else []
    unseen = gone - MOST_GONE
    note = f"{unseen:,} more evicted in this batch." if unseen > 0 else ""
    return Grid("", columns, tuple(rows), note)


def _row(row: dict[str, Any], heads: Sequence[str], trace: Trace, strip: str) -> Row:
    before = {i: _word(row[f"__old_{n}"]) for i, n in enumerate(heads) if row.get(f"__old_{n}") is not None}
    cells = tuple(_word(row[n]) for n in heads)
    was = tuple((i, old) for i, old in before.items() if row[MARK] == "changed" and old != cells[i])
    mark = "leaving" if row["__leaving"] else row[MARK]
    return Row((*cells, _eviction(row[EXPIRES], trace, leaving=row["__leaving"]), strip), mark, was=was)


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
        return f"next batch: the watermark {spell_time(trace.watermark_after)} has reached {spell_time(ends)}"
    return f"the watermark reaches {spell_time(ends)}"


def _gone(trace: Trace) -> int:
    return sum(step.num_rows_removed for step in trace.steps)


def _gone_rows(trace: Trace, heads: Sequence[str], width: int) -> list[Row]:
    found: list[Row] = []
    by = trace.watermark
    why = "evicted: no longer needed" if by is None else f"evicted: the watermark was {spell_time(by)}"
    for step in trace.steps:
        if step.num_rows_removed and len(found) < MOST_GONE:
            for row in step.removed().head(MOST_GONE - len(found)).iter_rows(named=True):
                told = {OPERATOR: step.operator, **row}
                cells = [_word(told[n]) if n in told else "" for n in heads]
                found.append(Row((*cells, why, "")[:width], "gone"))
    return found


def size_figure(history: Sequence[Size], *, log: bool) -> Figure:
    """Draw the number of keys by batch, as it is and as it would be had nothing been evicted."""
    shown = history[-MOST_BATCHES:]
    first, last = shown[0].batch_id, shown[-1].batch_id
    most = max(size.kept for size in shown)
    frame = Frame(64, 26, 560, 150, first, max(last, first + 1), 0, max(most, 1) * 1.08, log)
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
    rows = [(s.batch_id, s.rows, s.kept, s.nbytes) for s in shown[-60:]]
    behind = table("Size of state", ("batch", "keys", "keys without eviction", "bytes"), rows)
    label = f"Keys in state by batch: {now.rows:,} now, {now.kept:,} had nothing been evicted."
    return Figure(label, 224, tuple(shapes), behind)


class State(View):
    """Keys and values after a batch; the frames stay in the kernel, one page travels."""

    name = "state"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self.asked = Asked()
        self.log = False
        self._kept: dict[int, tuple[Trace, pl.DataFrame]] = {}
        self._changes: dict[int, tuple[Trace, pl.DataFrame]] = {}

    def sheet(self, at: int) -> Sheet:
        """Lay out the page asked for."""
        if at < 0:
            return nothing("Nothing is remembered yet: no batch has run.")
        traces = list(self.query.trace[: at + 1])
        trace, outline = traces[-1], self.query.outline
        if not trace.steps:
            return nothing("This query remembers nothing: none of its operators keeps state.")
        now = self._state(traces, at)
        before = self._state(traces, at - 1) if at else now.clear()
        watermark = trace.watermark_after
        page = page_of(now, before, outline, watermark, self.asked)
        history = sizes(self.query.progress[: at + 1])
        return state_sheet(page, trace, outline, history, self.asked, changes=self._touched(traces), log=self.log)

    def _state(self, traces: Sequence[Trace], at: int) -> pl.DataFrame:
        trace = traces[at]
        known = self._kept.get(trace.batch_id)
        if known is None or known[0].serial != trace.serial:
            known = trace, pl.from_pandas(self.query.state_at(trace.batch_id))
            self._kept = {i: kept for i, kept in self._kept.items() if i == trace.batch_id - 1} | {
                trace.batch_id: known
            }
        return known[1]

    def _touched(self, traces: Sequence[Trace]) -> list[pl.DataFrame]:
        last = traces[-STRIP:]
        known = {t.batch_id: self._changes.get(t.batch_id) for t in last}
        fresh = {
            t.batch_id: k if (k := known[t.batch_id]) and k[0].serial == t.serial else (t, _changed(t)) for t in last
        }
        self._changes = fresh
        return [frame for _, frame in fresh.values()]

    def hear(self, name: str, value: Any) -> None:
        """Turn a page, sort, look for words, or show only what changed."""
        if name == "scale":
            self.log = value == "log"
        elif name == "page":
            self.asked = replace(self.asked, page=int(value))
        elif name == "sort":
            self.asked = replace(self.asked, page=0, sort=f"-{value}" if self.asked.sort == value else value)
        elif name in {"find", "only"}:
            self.asked = replace(self.asked, page=0, **{name: str(value)})


def _changed(trace: Trace) -> pl.DataFrame:
    frames = [step.changed() for step in trace.steps]
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()
