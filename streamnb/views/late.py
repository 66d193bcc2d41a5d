"""Late: every dropped row, and for the one looked at why it was dropped and what would have saved it."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

import polars as pl

from streamnb.answers.sizes import followed
from streamnb.progress import Playable, Trace
from streamnb.report import late_in
from streamnb.time import MILLISECOND, spell
from streamnb.views.controls import short_duration
from streamnb.views.late_figures import life_figure, ruler_figure
from streamnb.views.late_rows import AT, BATCH, BY, LATE_BY, UNTIL, Case, LateRows, case_of, late_of, let_go_of
from streamnb.views.plane_axis import spell_clock
from streamnb.views.plane_rows import BOUNDS, Reading, story_of, zone_of
from streamnb.views.shapes import Choice, Column, Grid, Part, Row, Sheet, Words, nothing, spell_cell, table
from streamnb.views.view import View
from streamnb.windows import GIVEN

PAGE = 30
MOST_BATCHES = 240
_HIDDEN = {BATCH, AT, BY, UNTIL, "__operator", LATE_BY, *BOUNDS}


def late_sheet(
    late: Sequence[LateRows], case: Case | None, zone: str | None, *, before: int = 0, page: int = 0,
    picked: tuple[int, int] | None = None, live: bool = True,
) -> Sheet:  # fmt: skip
    """Lay out the dropped rows of the batches so far, and one row's case; of ``before`` more there is the number."""
    told, gone = sum(found.rows.height for found in late), before + sum(found.let_go for found in late)
    number = told + gone
    parts: list[Part] = []
    if case is not None:
        parts += [ruler_figure(case, zone), *([life_figure(case, zone)] if case.life else []), checks(case, zone)]
        parts += [saving(case)] if case.dropped else []
    if told:
        last = max(0, (told - 1) // PAGE)
        page = min(page, last)
        options = tuple((str(n), f"{n * PAGE + 1:,}–{min((n + 1) * PAGE, told):,}") for n in range(min(last, 199) + 1))
        parts += [Choice("page", f"of {told:,} dropped rows", options, str(page))] if last else []
        parts.append(late_table(late, page, zone, picked))
    if gone:
        parts.append(Words(f"Of the oldest {gone:,} only the number is kept: late rows of old batches have 8 MB."))
    return Sheet(_title(case, number), tuple(parts), _spoken(case, number, zone), _lead(case, live=live))


def _title(case: Case | None, number: int) -> str:
    if not number and case is None:
        return "No row came too late."
    if case is None:
        return f"{number:,} row{'' if number == 1 else 's'} came too late."
    if case.dropped:
        return f"{_capital(case.name)} was dropped: its {'window' if case.window else 'time'} had been closed."
    behind = case.watermark is not None and case.x <= case.watermark
    return f"{_capital(case.name)} was counted{', though it is older than the watermark' if behind else ''}."


def _capital(name: str) -> str:
    return "This row" if name == "this row" else name


def _lead(case: Case | None, *, live: bool) -> str:
    if case is None:
        return "Click a mark in the plane to ask about its row." if live else ""
    judged = "the end of the row's window" if case.window else "the row's time"
    ask = " Click a row below, or a mark in the plane, to ask about another." if live else ""
    return f"What counts is {judged}, compared with the watermark of the batch before.{ask}"


def _spoken(case: Case | None, number: int, zone: str | None) -> str:
    if case is None:
        return _title(case, number)
    return " ".join([_title(case, number), *(f"{question} {answer}" for _, question, answer in findings(case, zone))])


def clock(at: float, zone: str | None) -> str:
    """Return an instant as a clock shows it, with its seconds where it has any."""
    whole = at % 60_000 == 0
    return spell_clock(at, zone, 4 * 3.6e6 if whole else 60_000)


def findings(case: Case, zone: str | None) -> list[tuple[bool, str, str]]:
    """Return what was asked about a row, one after the other, and whether it spoke for the row."""
    found = [(True, "Event time is present", clock(case.x, zone))]
    if case.window:
        found.append((True, "It belongs to the window", "–".join(clock(edge, zone) for edge in case.window)))
    if case.watermark is None:
        return [*found, (True, f"Batch {case.batch_id} had no watermark yet", "so nothing is late")]
    by = f", set by {case.newest[1]} ({clock(case.newest[0], zone)})" if case.newest else ""
    minus = (
        f" minus {short_duration(dt.timedelta(milliseconds=case.delay))}"
        if case.newest and case.delay is not None
        else ""
    )
    found.append((True, f"Batch {case.batch_id} judged by the watermark", f"{clock(case.watermark, zone)}{by}{minus}"))
    what = "Window end after the watermark?" if case.window else "Time after the watermark?"
    sign, so = ("≤", "so the row is late") if case.dropped else (">", "so the row is counted")
    found.append((not case.dropped, what, f"{clock(case.ends, zone)} {sign} {clock(case.watermark, zone)}, {so}"))
    if case.dropped and case.closed:
        last = spell_cell(case.life[-1].value)
        found.append(
            (
                False,
                f"The result {last} went out in batch {case.closed[0]}",
                "its state is gone, so the row cannot be added",
            )
        )
    return found


def checks(case: Case, zone: str | None) -> Grid:
    """Return the findings as a table of ticks and crosses."""
    title = f"Why was {case.name} {'dropped' if case.dropped else 'counted'}?"
    rows = tuple(Row(("✓" if good else "✕", question, answer)) for good, question, answer in findings(case, zone))
    return Grid(title, (Column(""), Column("question"), Column("answer")), rows)


def saving(case: Case) -> Grid:
    """Return what would have saved a dropped row."""
    rows: list[tuple[str, str]] = []
    if case.saving is not None:
        rows.append(("A longer delay", f"more than {spell(int(case.saving) * MILLISECOND)}"))
    if case.sooner is not None:
        rows.append(("An earlier arrival", f"{short_duration(dt.timedelta(milliseconds=case.sooner))} sooner"))
    rows.append(("Complete output", "yes: it ignores the watermark and keeps all state"))
    return table("What would have saved it?", ("change", "needed"), rows)


def late_table(late: Sequence[LateRows], page: int, zone: str | None, picked: tuple[int, int] | None) -> Grid:
    """Return one page of the dropped rows; a click on one asks about it."""
    rows = _page([found.rows for found in late if found.rows.height], page)
    names = [name for name in rows.columns if name not in _HIDDEN]
    own = {held: name for name, held in GIVEN.items()}
    window = ["its window"] if "window_start" in rows.columns else []
    heads = ["batch", "late by", "watermark", *window, *(own.get(name, name) for name in names)]
    told = tuple(_row(row, names, zone, picked) for row in rows.iter_rows(named=True))
    return Grid("Dropped rows", tuple(Column(head) for head in heads), told)


def _page(frames: Sequence[pl.DataFrame], page: int) -> pl.DataFrame:
    first, left, found = page * PAGE, PAGE, []
    for frame in frames:
        if first < frame.height and left > 0:
            found.append(frame.slice(first, left))
            left -= found[-1].height
        first = max(0, first - frame.height)
    return pl.concat(found, how="diagonal_relaxed")


def _row(row: dict[str, Any], names: Sequence[str], zone: str | None, picked: tuple[int, int] | None) -> Row:
    here = (row[BATCH], row[AT]) if row[AT] is not None else None
    late_by = short_duration(row[LATE_BY]) if row.get(LATE_BY) is not None else ""
    told = [f"{row[BATCH]:,}", late_by, clock(row[BY], zone) if row[BY] is not None else ""]
    if "window_start" in row:
        told.append("–".join(f"{row[bound]:%H:%M}" if row[bound] is not None else "" for bound in BOUNDS))
    told += [_word(row[name]) for name in names]
    pick = f"{here[0]}.{here[1]}" if here else ""
    return Row(tuple(told), "picked" if here is not None and here == picked else "", pick)


def _word(value: Any) -> str:
    return f"{value:%H:%M:%S}".removesuffix(":00") if isinstance(value, dt.datetime) else spell_cell(value)


class Late(View):
    """Dropped rows, linked with the plane: the row asked about is the same in both."""

    name = "late"

    def __init__(self, query: Playable) -> None:
        super().__init__(query)
        self.page = 0
        self._known: dict[int, LateRows] = {}  # by serial, of the batches that dropped any
        self._serials: list[int] = []

    def sheet(self, at: int) -> Sheet:
        """Lay out what was dropped up to a batch; without a choice the newest dropped row is the one asked about."""
        if at < 0:
            return nothing("No batch has run, so no row came too late.")
        outline = self.query.outline
        if outline.event_time is None:
            return nothing("No column is declared as event time, so no row can come too late.")
        traces = list(self.query.trace)
        readings = story_of(self.query).follow(traces)
        self._follow(traces, readings)
        traces, readings = traces[: at + 1], readings[: at + 1]
        late = [found for serial, found in self._known.items() if serial <= traces[-1].serial]
        picked = self.cursor.picked or _newest(late)
        recent = slice(max(0, at + 1 - MOST_BATCHES), at + 1)
        case = case_of(picked, traces[recent], readings[recent], outline) if picked else None
        zone = zone_of(outline.event_time, [t.rows for t in traces[:1]])
        before = traces[0].so_far.late - late_in(traces[0])
        sheet = late_sheet(late, case, zone, before=before, page=self.page, picked=picked, live=self.live)
        if self.cursor.picked and case is None:
            words = Words("The row asked about has not arrived yet at this batch, or its story is no longer kept.")
            return Sheet(sheet.title, (words, *sheet.parts), sheet.spoken, sheet.lead)
        return sheet

    def _follow(self, traces: Sequence[Trace], readings: Sequence[Reading]) -> None:
        """Read the late rows of new batches, and of those whose late rows were let go of since."""
        gone = followed(self._serials, traces)
        self._serials = [] if gone is None else self._serials[gone : gone + len(traces)]
        first, last = (self._serials[0], self._serials[-1]) if self._serials else (0, -1)
        self._known = {serial: late for serial, late in self._known.items() if first <= serial <= last}
        for serial, late in self._known.items():
            at = bisect_left(self._serials, serial)
            if late.let_go != let_go_of(traces[at]):
                self._known[serial] = late_of(traces[at], readings[at], self.query.outline)
        for trace, reading in zip(traces[len(self._serials) :], readings[len(self._serials) :], strict=True):
            self._serials.append(trace.serial)
            if late_in(trace):
                self._known[trace.serial] = late_of(trace, reading, self.query.outline)

    def hear(self, name: str, value: Any) -> None:
        """Ask about a row, or turn a page."""
        if name == "page":
            self.page = int(value)
        elif name == "pick":
            batch, _, place = str(value).partition(".")
            self.cursor.pick((int(batch), int(place)))


def _newest(late: Sequence[LateRows]) -> tuple[int, int] | None:
    for found in reversed(late):
        if found.rows.height and found.rows.get_column(AT).drop_nulls().len():
            return found.batch_id, int(found.rows.get_column(AT).drop_nulls()[-1])
    return None
