"""Recorded: a figure under the settings that its controls allow, for a page where nobody answers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from streamnb.views.page import Pool
from streamnb.views.shapes import Choice, Figure, Grid, Sheet, Slider

if TYPE_CHECKING:
    from streamnb.views.poster import Subject

MOST, MOST_TEXT = 320, 3_000_000
"""Sheets kept of one figure, and letters of their shapes, each told once and before they are packed."""
PICK, STEP = "pick", "step"
"""What a click on a mark chooses; and, of a figure that tells its own story, where in it one is."""

Setting = Mapping[str, Any]


@runtime_checkable
class Stepped(Protocol):
    """A subject that tells its own story, without a reader's gestures."""

    def frames(self) -> Iterator[tuple[str, Sheet]]:
        """Return sheets in order, each with a name."""


@runtime_checkable
class Chosen(Protocol):
    """A subject that knows which values of its controls are worth keeping; of others they are spread evenly."""

    def choices(self) -> Mapping[str, Sequence[Any]]:
        """Return values by control, the one to step through first."""


@runtime_checkable
class Replayed(Protocol):
    """A subject that does real work when it hears a gesture."""

    def replayed(self) -> Subject:
        """Return one like it that may be asked hundreds of times."""


@dataclass(frozen=True)
class Recorded:
    """Sheets, and the setting of each; ``stops`` are the values kept of every control, ``steps`` the one to play.

    The sheet at ``start`` is the one that stood. ``left_out`` says what a notebook has besides.
    """

    sheets: tuple[Sheet, ...]
    settings: tuple[Setting, ...]
    stops: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    start: int = 0
    left_out: str = ""

    @property
    def steps(self) -> str:
        """The control that the page steps through: the first; empty for a picture that stands still."""
        return next(iter(self.stops), "")


def recorded(subject: Subject) -> Recorded:
    """Try the settings of a subject and keep what it shows; the subject itself is left as it is."""
    return _story(subject) if isinstance(subject, Stepped) else _tried(subject)


def _story(subject: Stepped) -> Recorded:
    names, sheets = zip(*subject.frames(), strict=True)
    settings = [{STEP: name, **_standing(sheet)} for name, sheet in zip(names, sheets, strict=True)]
    return Recorded(sheets, tuple(settings), _stops(settings, {STEP: names}), len(sheets) - 1)


def _tried(subject: Subject) -> Recorded:
    first = subject.sheet()
    values = subject.choices() if isinstance(subject, Chosen) else _offered(first)
    stands = {PICK: "", **_standing(first)}
    again = subject.replayed() if isinstance(subject, Replayed) else subject
    kept = _Kept({name: stands[name] for name in values}, first)
    every = _by_distance(kept.settings[0], values)
    whole = all(kept.add(_changed(again, kept.settings[0], one), one) for one in every[: MOST - 1])
    told = _left_out(first, kept.settings, values, whole=whole and len(every) < MOST)
    return Recorded(tuple(kept.sheets), tuple(kept.settings), _stops(kept.settings, values), 0, told)


class _Kept:
    """The sheets kept so far, one a setting, up to some text."""

    def __init__(self, setting: Setting, sheet: Sheet) -> None:
        self.settings: list[Setting] = [setting]
        self.sheets = [sheet]
        self._pool = Pool()
        self._pool.frames([sheet])

    def add(self, sheet: Sheet, asked: Setting) -> bool:
        """Keep a sheet under the setting that it shows, if that is new; return whether there is room for more."""
        stands = _standing(sheet)
        setting = {name: stands.get(name, value) for name, value in asked.items()}
        if setting not in self.settings:
            self.settings.append(setting)
            self.sheets.append(sheet)
            self._pool.frames([sheet])
        return self._pool.letters < MOST_TEXT


def _changed(subject: Subject, stands: Setting, wanted: Setting) -> Sheet:
    tried = copy.copy(subject)
    for name, value in wanted.items():
        if stands[name] != value:
            tried.hear(name, value)
    return tried.sheet()


def _by_distance(stands: Setting, values: Mapping[str, Sequence[Any]]) -> Sequence[Setting]:
    """Return every other setting, those first in which the fewest controls are moved."""
    axes = {name: [stands[name], *(value for value in values[name] if value != stands[name])] for name in values}
    every = (dict(zip(axes, row, strict=True)) for row in product(*axes.values()))
    return sorted(every, key=lambda setting: sum(setting[name] != stands[name] for name in axes))[1:]


def _standing(sheet: Sheet) -> Setting:
    return {part.name: part.value for part in sheet.parts if isinstance(part, Choice | Slider)}


def _offered(sheet: Sheet) -> dict[str, Sequence[Any]]:
    """Return what the controls of a sheet may be set to: all there is of a list, and of sliders what there is room for.

    A mark may be clicked too, unless that is another way to choose from a list.
    """
    lists = {part.name: [value for value, _ in part.options] for part in sheet.parts if isinstance(part, Choice)}
    sliders = [part for part in sheet.parts if isinstance(part, Slider)]
    room = MOST // prod(map(len, lists.values()))
    most = max(2, int(room ** (1 / len(sliders)) + 1e-9)) if sliders else 0
    spread = {part.name: _spread(part, most) for part in sliders}
    found = {part.name: (lists | spread)[part.name] for part in sheet.parts if isinstance(part, Choice | Slider)}
    room = MOST // prod(map(len, found.values())) - 1
    return {**found, PICK: ["", *picks[:room]]} if (picks := _picks(sheet)) and room > 0 else found


def _picks(sheet: Sheet) -> list[str]:
    """Return what clicks on marks and rows ask for, without those that are another way to choose from a list."""
    listed = {value for part in sheet.parts if isinstance(part, Choice) for value, _ in part.options}
    marks = (shape.get("pick", "") for part in sheet.parts if isinstance(part, Figure) for shape in part.shapes)
    rows = (row.pick for part in sheet.parts if isinstance(part, Grid) for row in part.rows)
    return [pick for pick in dict.fromkeys([*marks, *rows]) if pick and pick not in listed]


def _places(slider: Slider) -> int:
    return int((slider.high - slider.low) / slider.step + 1e-6) + 1 if slider.step > 0 else 1


def _spread(slider: Slider, most: int) -> list[Any]:
    """Return places of a slider from end to end, the one where it stands among them."""
    last, number = _places(slider) - 1, min(_places(slider), most)
    found = [slider.low + slider.step * round(n * last / max(number - 1, 1)) for n in range(number)]
    nearest = min(range(number), key=lambda n: abs(found[n] - slider.value))
    found[nearest] = slider.value
    return found


def _left_out(first: Sheet, settings: Sequence[Setting], values: Mapping[str, Sequence[Any]], *, whole: bool) -> str:
    sliders = [part for part in first.parts if isinstance(part, Slider) and part.name in values]
    told = []
    sampled = any(len(values[slider.name]) < _places(slider) for slider in sliders)
    if not whole or sampled or not set(_picks(first)) <= set(values.get(PICK, ())):
        told.append(f"{len(settings):,} settings of this figure are recorded; in a notebook it takes any.")
    if any("drag" in shape for part in first.parts if isinstance(part, Figure) for shape in part.shapes):
        told.append("Marks can be pulled in a notebook only.")
    return " ".join(told)


def _stops(settings: Sequence[Setting], values: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    """Return by control the values that occur, numbers by size, others in the order given; none that stand still."""
    there: dict[str, dict[Any, None]] = {name: {} for name in values}
    for one in settings:
        for name, value in one.items():
            there.setdefault(name, {})[value] = None
    ordered = {name: _in_order(list(found), values.get(name, ())) for name, found in there.items()}
    return {name: found for name, found in ordered.items() if len(found) > 1}


def _in_order(found: list[Any], given: Sequence[Any]) -> list[Any]:
    if all(isinstance(value, int | float) for value in found):
        return sorted(found)
    places = {value: n for n, value in enumerate(given)}
    return sorted(found, key=lambda value: places.get(value, -1))
