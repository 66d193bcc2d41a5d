"""Run a case through the public API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

import streamnb as sn
from tests.cases.compare import Step, iso, plain
from tests.cases.table import Table
from tests.cases.translate import sources_of, translate
from tests.lost import lose_commits

_OPTIONS = {
    "no_data_micro_batches": "no_data_batches",
    "multiple_watermark_policy": "watermark_policy",
    "allow_multiple_stateful": "multiple_stateful",
}
"""The settings of a case that mean something here; the others are about Spark's own workings."""


def run(case: Mapping[str, Any], folder: Path, zone: str | None = None) -> list[Step]:
    """Return, for every step, the batches that ran, or ``{"error": …}`` at the step that was refused.

    Times are naive, or in ``zone``; either way the result is told in UTC.
    """
    play = Play(case, folder, zone)
    done: list[Step] = []
    try:
        play.open(case["query"])
        for number, step in enumerate(case["steps"]):
            done.append({"batches": play.step(step, number)})
    except sn.StreamnbError as error:
        done.append({"error": error})
    finally:
        play.close()
    return done


class Play:
    """One case on stage: its sources, its clock, and the query of the moment."""

    def __init__(self, case: Mapping[str, Any], folder: Path, zone: str | None = None) -> None:
        self.case, self.folder, self.zone = case, folder, zone
        self.sources = sources_of(case, zone)
        self.clock = sn.ManualClock()
        self.clock.advance(f"{case.get('clock_start_ms', 0)} ms")
        self.options = _options(case.get("conf", {}))
        self.trigger = case.get("trigger", {"kind": "default"})["kind"]
        self.restarts = self.bounded or any("restart" in step for step in case["steps"])
        self.waiting: dict[str, list[Any]] = {}
        self.query: sn.Query | None = None
        self.seen = 0

    @property
    def bounded(self) -> bool:
        """Whether every step starts the query anew and waits for its end."""
        return self.trigger in {"available_now", "once"}

    def open(self, tree: Mapping[str, Any]) -> None:
        self.close()
        self.table: Table = translate(tree, self.sources, self.zone)
        self.tree = tree
        names = [h for column in self.table.columns for h in column.here]
        frame = self.table.frame
        frame = frame if list(frame.schema) == names else frame.select(*names)
        options = self.options | ({"checkpoint": self.folder / "checkpoint"} if self.restarts else {})
        options |= {"trigger": self.trigger} if self.bounded else {}
        self.query = frame.query(output_mode=self.case["output_mode"], clock=self.clock, **options)
        self.seen = 0

    def close(self) -> None:
        if self.query is not None:
            self.query.stop()
            self.query = None

    def step(self, step: Mapping[str, Any], number: int) -> list[Step]:
        if "restart" in step:
            self._restart(step["restart"] if isinstance(step["restart"], dict) else {})
        for name, rows in step.get("add", {}).items():
            self.waiting.setdefault(name, []).extend(rows)
            self.waiting[name] += []
        if step.get("process") is False:
            return []
        if self.bounded and number and "add" in step and any("batches" in s for s in self.case["steps"][:number]):
            self.open(self.tree)
        self._feed()
        self._let_run(step)
        return self._new_batches()

    def _feed(self) -> None:
        """Give all sources what waits for them, in one batch."""
        if self.waiting:
            sn.add({self.sources[name]: self._dicts(name, rows) for name, rows in self.waiting.items()})
        self.waiting = {}

    def _dicts(self, name: str, rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
        names = [column for column, _ in self.case["sources"][name]["schema"]]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _let_run(self, step: Mapping[str, Any]) -> None:
        assert self.query is not None
        if self.trigger == "processing_time":
            if "advance_ms" in step:
                self.clock.advance(f"{step['advance_ms']} ms")
                self.query.step()
        elif "restart" not in step:
            self.query.run()

    def _restart(self, how: Mapping[str, Any]) -> None:
        self.close()
        if lost := how.get("lost_commits", 0):
            lose_commits(self.folder / "checkpoint", lost)
        self.options |= _options(how.get("conf", {}))
        self.clock.advance(f"{how.get('advance_ms', 0)} ms")
        self.open(how.get("query", self.tree))
        if self.trigger == "default":
            assert self.query is not None
            self.query.run()

    def _new_batches(self) -> list[Step]:
        assert self.query is not None
        progress = self.query.progress[self.seen :]
        emitted = self.query.emitted[self.seen :]
        self.seen += len(progress)
        return [self._batch(p, rows) for p, rows in zip(progress, emitted, strict=True)]

    def _batch(self, progress: Any, rows: pd.DataFrame) -> Step:
        watermark = progress.event_time.get("watermark")
        return {
            "batch": progress.batch_id,
            "in": progress.num_input_rows,
            "rows": self._rows(rows),
            "wm": None if watermark is None else iso(watermark),
            "event_time": {k: iso(v.floor("ms")) for k, v in progress.event_time.items() if k != "watermark"},
            "ops": [_operator(o) for o in progress.state_operators],
        }

    def _rows(self, rows: pd.DataFrame) -> list[list[Any]]:
        """Return rows as the case writes them, a window as one value."""
        cells = {name: [plain(v) for v in rows[name]] for name in rows.columns}
        columns = [
            _window(*(cells[h] for h in c.here)) if c.is_window else cells[c.here[0]] for c in self.table.columns
        ]
        return [list(row) for row in zip(*columns, strict=True)]


def _options(conf: Mapping[str, Any]) -> dict[str, Any]:
    return {_OPTIONS[name]: value for name, value in conf.items() if name in _OPTIONS}


def _window(starts: Sequence[Any], ends: Sequence[Any]) -> list[Any]:
    return [None if s is None else {"start": s, "end": e} for s, e in zip(starts, ends, strict=True)]


def _operator(progress: Any) -> Step:
    return {
        "operator": progress.operator,
        "total": progress.num_rows_total,
        "dropped": progress.num_rows_dropped_by_watermark,
        "late": _milliseconds(progress.late_watermark),
        "evict": _milliseconds(progress.eviction_watermark),
    }


def _milliseconds(at: pd.Timestamp | None) -> int | None:
    return None if at is None else at.value // 1_000_000
