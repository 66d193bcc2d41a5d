"""Lesson 04: what to send, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def _with(**modes: str) -> Callable[[], Mapping[str, str]]:
    return lambda: {**_best(), **{reader.replace("_", " "): mode for reader, mode in modes.items()}}


EXERCISES = (
    Exercise(
        name="04.A",
        oracle=_best,
        solution=_best,
        wrong=(
            Wrong(
                "the audit file says a window again at each change, and takes no line back", _with(audit_file="update")
            ),
            Wrong("the audit file says every window after every batch", _with(audit_file="complete")),
            Wrong("the board is silent about windows that are not final yet", _with(departure_board="append")),
            Wrong("the board is right, but is handed rows that did not change", _with(departure_board="complete")),
            Wrong("the chart shows only the windows that changed last: it keeps nothing", _with(bar_chart="update")),
            Wrong(
                "the chart shows only the windows that became final last: it keeps nothing", _with(bar_chart="append")
            ),
        ),
        hints=(
            "Who can overwrite a line? Who must never see a change? Who keeps nothing at all?",
            "A file can only add: it wants each result once, when it is final.",
            "What shows only what it was handed last must be handed everything.",
        ),
        shown="""modes = {"audit file": "append", "departure board": "update", "bar chart": "complete"}""",
    ),
)
