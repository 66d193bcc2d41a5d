"""Watermark playground: the plane with rows to pull about, lengths to change, and challenges that are judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from streamnb.time import MILLISECOND, instant
from streamnb.views.plane import PlaneLayout, plane_of
from streamnb.views.plane_rows import DROPPED
from streamnb.views.plane_shapes import frame_of, plane_sheet
from streamnb.views.playground_world import (
    LAST_MINUTE,
    LIMITS,
    MINUTE,
    MODES,
    MOST_ROWS,
    PRESETS,
    START,
    Setting,
    challenges,
    in_order,
    parsed,
    ran,
)
from streamnb.views.shapes import (
    Choice,
    Column,
    Figure,
    Grid,
    Part,
    Row,
    Shape,
    Sheet,
    Slider,
    Words,
    dot,
    spell_cell,
    table,
)

_NINE = instant(START.to_pydatetime()) / MILLISECOND
_SAYS = {"window": "a window lasts", "delay": "the watermark waits", "trigger": "a batch every"}


class Playground:
    """A setting that the reader changes; whatever is shown, the engine ran it."""

    def __init__(self, preset: str = "") -> None:
        self.setting = parsed(preset) if preset else PRESETS["a calm morning"]
        self._at: int | None = None
        self._picked: int | None = None

    @property
    def last(self) -> int:
        """Return the position of the last batch."""
        return len(ran(self.setting).trace) - 1

    @property
    def at(self) -> int:
        """Return the position looked at."""
        return self.last if self._at is None else min(self._at, self.last)

    def hear(self, name: str, value: Any) -> None:
        """Take a length, a mode, a preset, a batch, or a new place of a row."""
        change: dict[str, Callable[[], object]] = {
            "mode": lambda: self._set(replace(self.setting, mode=value) if value in MODES else self.setting),
            "preset": lambda: self._set(PRESETS.get(value, self.setting)),
            "rows": lambda: self._set(self.setting.sized(min(max(int(value), 1), MOST_ROWS))),
            "batch": lambda: self._look(int(value)),
            "pick": lambda: self._pick(int(value)),
            "at": lambda: self._move(at=int(value)),
            "heard": lambda: self._move(heard=int(value)),
            "drag": lambda: self._pull(*value),
        }
        if name in LIMITS:
            low, high = LIMITS[name]
            lengths: dict[str, Any] = {name: min(max(int(value), low), high)}
            self._set(replace(self.setting, **lengths))
        elif name in change:
            change[name]()

    def _set(self, setting: Setting) -> None:
        self.setting = setting
        if self._picked is not None and self._picked >= len(setting.rows):
            self._picked = None

    def _look(self, at: int) -> None:
        self._at = None if at >= self.last else max(at, 0)

    def _pick(self, row: int) -> None:
        self._picked = row if 0 <= row < len(self.setting.rows) else None

    def _move(self, at: int | None = None, heard: int | None = None) -> None:
        if self._picked is not None:
            was = self.setting.rows[self._picked]
            self._set(
                self.setting.moved(self._picked, was[0] if at is None else at, was[1] if heard is None else heard)
            )

    def _pull(self, row: str, x: float, y: float) -> None:
        self._pick(int(row))
        frame = frame_of(self._layout())
        self._move(*(round((value - _NINE) / MINUTE) for value in (frame.x_of(x), frame.y_of(y))))

    def _layout(self) -> PlaneLayout:
        return plane_of(ran(self.setting), self.at)

    def choices(self) -> Mapping[str, Sequence[Any]]:
        """Return what a page keeps: every batch, under some delays and all output modes."""
        return {
            "batch": range(self.last + 1),
            "delay": sorted({0, 5, 10, 15, 20, 30, self.setting.delay}),
            "mode": MODES,
        }

    # -- layout

    def sheet(self) -> Sheet:
        """Lay out the controls, the plane, what the sink was handed, and the challenges."""
        layout = self._layout()
        drawn = plane_sheet(layout)
        figure = next(part for part in drawn.parts if isinstance(part, Figure))
        judged = challenges(self.setting)
        cards = tuple(
            Row((c.asked, "done" if c.done else "not yet", c.stands), "new" if c.done else "") for c in judged
        )
        parts: list[Part] = [
            *self._controls(),
            Grid("Challenges", (Column("what to do"), Column(""), Column("how it stands")), cards),
            replace(figure, shapes=tuple(self._marked(figure, layout))),
            *self._row_controls(),
            self._sink(),
            Words(f'To share it: sn.playground("{self.setting.preset()}")', "ink"),
        ]
        done = f"{sum(c.done for c in judged)} of {len(judged)} challenges done."
        lead = f"{drawn.lead} The rows are made up. Pull a mark to another place; the engine runs it all again."
        return Sheet(drawn.title, tuple(parts), f"{drawn.spoken} {done}", lead, drawn.key)

    def _controls(self) -> Iterator[Part]:
        setting = self.setting
        for name, (low, high) in LIMITS.items():
            value = getattr(setting, name)
            yield Slider(name, _SAYS[name], low, high, 1, value, f"{value} minute{'' if value == 1 else 's'}")
        yield Choice("mode", "output mode", tuple((mode, mode) for mode in MODES), setting.mode)
        named = next((name for name, preset in PRESETS.items() if preset == setting), "")
        options = (*((("", "your own"),) if not named else ()), *((name, name) for name in PRESETS))
        yield Choice("preset", "begin with", options, named)
        yield Slider("rows", "rows", 1, MOST_ROWS, 1, len(setting.rows), str(len(setting.rows)))
        yield Slider("batch", "after batch", 0, max(self.last, 0), 1, self.at, f"{self.at} of {self.last}")

    def _row_controls(self) -> Iterator[Part]:
        """Return what moves a row without a mouse."""
        options = (("-1", "none"), *((str(n), f"row {n}") for n in range(len(self.setting.rows))))
        yield Choice("pick", "move", options, str(-1 if self._picked is None else self._picked))
        if self._picked is not None:
            at, heard = self.setting.rows[self._picked]
            yield Slider("at", "happened", 0, LAST_MINUTE, 1, at, _clock(at))
            yield Slider("heard", "heard", 0, LAST_MINUTE, 1, heard, _clock(heard))

    def _marked(self, figure: Figure, layout: PlaneLayout) -> Iterator[Shape]:
        """Return the shapes of the plane, with the marks of rows that have arrived as ones to pull."""
        marks = iter(sorted(layout.rows, key=lambda row: row.fate == DROPPED))
        begins, order = self._begins(), in_order(self.setting)
        for shape in figure.shapes:
            if shape["kind"] in {"dot", "cross"}:
                mark = next(marks)
                if mark.row is not None:
                    row = order[begins[mark.row[0]] + mark.row[1]]
                    if row == self._picked:
                        yield dot(shape["x"], shape["y"], 10, None, "ink", stroke=1.6)
                    yield shape | {"drag": str(row), "pick": str(row), "r": shape["r"] + 1.4}
                    continue
            yield shape

    def _begins(self) -> dict[int, int]:
        """Return how many rows came before each batch."""
        begins, before = {}, 0
        for progress in ran(self.setting).progress:
            begins[progress.batch_id] = before
            before += progress.num_input_rows
        return begins

    def _sink(self) -> Grid:
        query = ran(self.setting)
        pairs = list(zip(query.progress, query.emitted, strict=True))[: self.at + 1]
        rows = [(f"{p.timestamp:%H:%M}", f"{row.window_start:%H:%M}–{row.window_end:%H:%M}", spell_cell(row.n))
                for p, emitted in pairs for row in emitted.itertuples()]  # fmt: skip
        return table("What the sink was handed", ("batch of", "window", "count"), rows)


def _clock(minute: int) -> str:
    return f"{9 + minute // 60:02d}:{minute % 60:02d}"
