"""What the watermark playground plays with: a dozen rows, five settings, and what the engine makes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, repeat

import pandas as pd

from streamnb.aggregates import count
from streamnb.errors import PlanError
from streamnb.frame import from_pandas
from streamnb.query import Query
from streamnb.windows import window

START = pd.Timestamp("2026-03-02 09:00")
MODES = ("append", "update", "complete")
LIMITS: Mapping[str, tuple[int, int]] = {"window": (1, 60), "delay": (0, 60), "trigger": (1, 60)}
MOST_ROWS, LAST_MINUTE = 40, 240
MINUTE = 60_000.0

Row = tuple[int, int]
"""When it happened and when it was heard, in minutes after 09:00."""


@dataclass(frozen=True)
class Setting:
    """Lengths in minutes, an output mode, and the rows."""

    window: int
    delay: int
    trigger: int
    mode: str
    rows: tuple[Row, ...]

    def preset(self) -> str:
        """Return all of it as one line, which :func:`parsed` reads."""
        rows = " ".join(f"{at}-{heard}" for at, heard in self.rows)
        return f"{self.window}m {self.delay}m {self.trigger}m {self.mode} {rows}"

    def moved(self, row: int, at: int, heard: int) -> Setting:
        """Return it with one row at another place."""
        put = (min(max(at, 0), LAST_MINUTE), min(max(heard, 0), LAST_MINUTE))
        return replace(self, rows=tuple(put if n == row else old for n, old in enumerate(self.rows)))

    def sized(self, rows: int) -> Setting:
        """Return it with so many rows: the last ones go, or new ones come after the newest."""
        kept = self.rows[:rows]
        last = max(heard for _, heard in kept)
        more = tuple((min(last + 4 * n - 1, LAST_MINUTE), min(last + 4 * n, LAST_MINUTE))
                     for n in range(1, rows - len(kept) + 1))  # fmt: skip
        return replace(self, rows=kept + more)


CALM = ((1, 2), (4, 5), (6, 9), (9, 10), (12, 13), (8, 16), (15, 17), (19, 21), (23, 24), (26, 28), (29, 31), (33, 34))
_OFFLINE = ((1, 2), (5, 6), (9, 10), (16, 17), (20, 22), (2, 27), (3, 27), (7, 27), (18, 28), (26, 29), (31, 33))
_FAST = ((1, 2), (3, 4), (7, 8), (75, 9), (11, 12), (14, 15), (18, 19), (24, 25), (29, 30), (33, 34))
PRESETS: Mapping[str, Setting] = {
    "a calm morning": Setting(10, 5, 5, "append", CALM),
    "a phone in flight mode": Setting(10, 5, 5, "append", _OFFLINE),
    "one clock an hour fast": Setting(10, 5, 5, "append", _FAST),
}


def parsed(preset: str) -> Setting:
    """Read a preset: ``10m 5m 5m append 1-2 4-5``, that is window, delay, trigger, mode, then the rows.

    Raises
    ------
    PlanError
        ``OPTION_INVALID``: the line cannot be read, or a length is out of its limits.
    """
    if preset in PRESETS:
        return PRESETS[preset]
    found = re.fullmatch(rf"(\d+)m (\d+)m (\d+)m ({'|'.join(MODES)})((?: \d+-\d+)+)", preset.strip())
    if found is None:
        raise PlanError(
            f"playground: {_strange(preset)}, so {preset!r} is no preset; copy the line under a playground, or one of "
            f"{list(PRESETS)}.",
            code="OPTION_INVALID",
        )
    lengths = dict(zip(LIMITS, map(int, found.groups()[:3]), strict=True))
    rows = tuple((int(at), int(heard)) for at, heard in re.findall(r"(\d+)-(\d+)", found[5]))
    wrong = [name for name, (low, high) in LIMITS.items() if not low <= lengths[name] <= high]
    if wrong or len(rows) > MOST_ROWS or max(max(row) for row in rows) > LAST_MINUTE:
        raise PlanError(
            f"playground: {f'a {wrong[0]} of {lengths[wrong[0]]} minutes' if wrong else 'the rows'} in {preset!r}; "
            f"give {_ranges()}, at most {MOST_ROWS} rows, and minutes of them up to {LAST_MINUTE}.",
            code="OPTION_INVALID",
        )
    return Setting(**lengths, mode=found[4], rows=rows)


def _strange(preset: str) -> str:
    """Say which part of a line cannot be read."""
    lengths = [(r"\d+m", f"{name}, such as 10m") for name in LIMITS]
    shapes = [*lengths, ("|".join(MODES), f"mode of {', '.join(MODES)}")]
    rows = repeat((r"\d+-\d+", "row, such as 3-29"))
    for part, (shape, what) in zip(preset.split(), chain(shapes, rows), strict=False):
        if not re.fullmatch(shape, part):
            return f"{part!r} is no {what}"
    return "it ends before its rows"


def _ranges() -> str:
    return ", ".join(f"a {name} of {low} to {high} minutes" for name, (low, high) in LIMITS.items())


def in_order(setting: Setting) -> list[int]:
    """Return the rows' numbers as they are heard."""
    return sorted(range(len(setting.rows)), key=lambda n: setting.rows[n][1])


@lru_cache(maxsize=64)
def ran(setting: Setting) -> Query:
    """Return the query of a setting, run to the end of its input."""
    rows = [setting.rows[n] for n in in_order(setting)]
    table = pd.DataFrame({
        "at": [START + pd.Timedelta(minutes=at) for at, _ in rows],
        "heard": [START + pd.Timedelta(minutes=heard) for _, heard in rows],
    })  # fmt: skip
    marked = from_pandas(table, arrival="heard", every=f"{setting.trigger} min")
    marked = marked.with_watermark("at", f"{setting.delay} minutes")
    counted = marked.group_by(window("at", f"{setting.window} minutes")).agg(n=count())
    with counted.query(output_mode=setting.mode, name="playground") as query:
        return query.run()


# -- challenges


@dataclass(frozen=True)
class Challenge:
    """What is asked, how it stands, and whether it is done."""

    asked: str
    stands: str
    done: bool


def challenges(setting: Setting) -> Sequence[Challenge]:
    """Return the three challenges, each judged by what the engine did."""
    return (_drop_one(setting), _as_early(setting), _stopped(setting))


def _drop_one(setting: Setting) -> Challenge:
    dropped = len(ran(setting).late)
    words = "no row is dropped" if not dropped else f"{dropped} row{'s are' if dropped > 1 else ' is'} dropped"
    return Challenge("Make it drop exactly one row.", words, dropped == 1)


def _as_early(setting: Setting) -> Challenge:
    """Before update is impossible, since update says each change at once; in the same batch is not."""
    asked = "Make append print a count before update does."
    early, final = (_first_said(replace(setting, mode=mode)) for mode in ("update", "append"))
    if not final:
        return Challenge(asked, "append has printed nothing yet", done=False)
    ahead = {start: final[start] - early[start] for start in final}
    start = min(ahead, key=lambda window: ahead[window])
    if not ahead[start]:
        words = f"{start:%H:%M}: in the same batch; before cannot be"
        return Challenge(asked, words, done=True)
    return Challenge(asked, f"{start:%H:%M}: {ahead[start] // pd.Timedelta('1 min')} minutes later", done=False)


def _first_said(setting: Setting) -> dict[pd.Timestamp, pd.Timestamp]:
    query = ran(setting)
    said: dict[pd.Timestamp, pd.Timestamp] = {}
    for progress, rows in zip(query.progress, query.emitted, strict=True):
        for start in rows["window_start"]:
            said.setdefault(start, progress.timestamp)
    return said


def _stopped(setting: Setting) -> Challenge:
    asked = "Stop the watermark for three batches of rows."
    heard = [(p, t) for p, t in zip(ran(setting).progress, ran(setting).trace, strict=True) if p.num_input_rows]
    marks = [trace.watermark_after for _, trace in heard]
    still = next((n for n, mark in enumerate(reversed(marks)) if mark != marks[-1]), len(marks)) - 1
    if still < 3:
        return Challenge(asked, "it moves to the end" if not still else f"it stands for {still} only", done=False)
    return Challenge(asked, f"it stands at {marks[-1]:%H:%M} for the last {still} batches", done=True)
