"""Lesson 04: what to send, and when."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from streamnb import data, window
from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, Wrong, played


def _flights() -> StreamFrame:
    rows = data.landings("EWR", "2013-02-07", every="2 hours").with_watermark("dep", "3 hours")
    return rows.group_by(window("dep", "2 hours")).agg(n=count())


def _added_up(written: list[pd.DataFrame], final: pd.DataFrame) -> bool:
    """A file is right if every line stays true."""
    lines = pd.concat(written).merge(final, on="window_start", suffixes=("", "_final"))
    return bool(lines["window_start"].is_unique and (lines["n"] == lines["n_final"]).all())


def _overwritten(written: list[pd.DataFrame], final: pd.DataFrame) -> bool:
    """A table by key is right if it holds every window, as it is now."""
    return set(pd.concat(written)["window_start"]) >= set(final["window_start"])


def _shown_last(written: list[pd.DataFrame], final: pd.DataFrame) -> bool:
    """A chart is right if what it was handed last is all there is."""
    shown = next(rows for rows in reversed(written) if len(rows))
    return len(shown) >= len(final)


_READERS = {"audit file": _added_up, "departure board": _overwritten, "bar chart": _shown_last}


def _best() -> Mapping[str, str]:
    """Run every mode for every reader, and take the right one that writes the fewest rows."""
    runs = {mode: played(_flights(), mode).emitted for mode in _MODES}
    rows = {mode: sum(map(len, written)) for mode, written in runs.items()}
    seen = runs["update"]
    final = pd.concat(seen).drop_duplicates("window_start", keep="last")
    right = {reader: [mode for mode in _MODES if ok(runs[mode], final)] for reader, ok in _READERS.items()}
    return {reader: min(modes, key=rows.__getitem__) for reader, modes in right.items()}


_MODES = ("append", "update", "complete")


_REASONS = {
    ("audit file", "update"): "the audit file says a window again at each change, and takes no line back",
    ("audit file", "complete"): "the audit file says every window after every batch",
    ("departure board", "append"): "the board is silent about windows that are not final yet",
    ("departure board", "complete"): "the board is right, but is handed rows that did not change",
    ("bar chart", "update"): "the chart shows only the windows that changed last: it keeps nothing",
    ("bar chart", "append"): "the chart shows only the windows that became final last: it keeps nothing",
}


def _told(given: object) -> str:
    """Say what is wrong with the first reader that has a wrong mode."""
    if not isinstance(given, Mapping):
        return f"give a dict with a mode for each of {', '.join(_READERS)}"
    best = _best()
    reader = next(reader for reader in _READERS if given.get(reader) != best[reader])
    mode = given.get(reader)
    return _REASONS.get((reader, str(mode)), f"{reader}: {mode!r} is no mode; choose of {', '.join(_MODES)}")


def _wrong(reader: str, mode: str) -> Wrong:
    return Wrong(_REASONS[reader, mode], lambda: {**_best(), reader: mode})


EXERCISES = (
    Exercise(
        name="04.A",
        oracle=_best,
        solution=_best,
        tell=_told,
        wrong=tuple(_wrong(*pair) for pair in _REASONS),
        hints=(
            "Who can overwrite a line? Who must never see a change? Who keeps nothing at all?",
            "A file can only add: it wants each result once, when it is final.",
            "What shows only what it was handed last must be handed everything.",
        ),
        shown="""modes = {"audit file": "append", "departure board": "update", "bar chart": "complete"}""",
    ),
)
