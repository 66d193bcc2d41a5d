"""What two runs of a case have in common: rows, batches and watermarks first, the state's counters second."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

EPOCH = "1970-01-01T00:00:00Z"
Step = dict[str, Any]
"""What a step of a case did: its ``batches``, or the ``error`` that refused it."""


def iso(at: pd.Timestamp) -> str:
    at = at if at.tzinfo is None else at.tz_convert("UTC").tz_localize(None)
    text = at.as_unit("us").isoformat()
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "Z"


def plain(value: Any) -> Any:
    """Return a cell as JSON has it; whole floats as ints, since a null makes pandas turn ints to floats."""
    if isinstance(value, pd.Timestamp):
        return iso(value) if value is not pd.NaT else None
    if isinstance(value, dict):
        return {name: plain(v) for name, v in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(v) for v in value]
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else round(value, 9)
    return value


def difference(case: Mapping[str, Any], expected: Sequence[Step], got: Sequence[Step]) -> str | None:
    """Tell where rows, batches and watermarks (L1 to L3) first differ; None if nowhere."""
    ordered = case["query"]["op"] == "sort"
    for number, step in enumerate(expected):
        if number >= len(got):
            return f"step {number} did not run"
        if "error" in got[number]:
            return f"step {number} was refused: {got[number]['error']}"
        if "batches" not in step:
            continue
        theirs, ours = step["batches"], got[number]["batches"]
        for a, b in zip(theirs, ours, strict=False):
            wrong = _differs(a, b, ordered=ordered)
            if wrong:
                return f"step {number}, batch {a['batch']}: {wrong}"
        if len(theirs) != len(ours):
            return f"step {number}: {_briefly(ours)} ran, Spark ran {_briefly(theirs)}"
    return None


def _differs(theirs: Step, ours: Step, *, ordered: bool) -> str | None:
    if theirs["batch"] != ours["batch"]:
        return f"it is batch {ours['batch']}"
    a, b = (side.get("wm") for side in (theirs, ours))
    if a is not None and a != (b or EPOCH):
        return f"the watermark is {b}, Spark's {a}"
    if theirs["rows"] is None:
        return None
    left, right = ([tuple(map(_hashable, row)) for row in side["rows"]] for side in (theirs, ours))
    many, most = Counter(left), Counter(right)
    if left == right if ordered else many == most:
        return None
    return f"extra {list((most - many).elements())}, missing {list((many - most).elements())}"


def _hashable(value: Any) -> Any:
    value = plain(value)
    return str(value) if isinstance(value, list | dict) else value


def _briefly(batches: Sequence[Step]) -> str:
    return (
        ", ".join(f"batch {b['batch']} ({b['in']} rows in, {len(b['rows'] or ())} out)" for b in batches) or "nothing"
    )


COUNTS_GROUPS = {"aggregate", "session_aggregate"}


def counters(expected: Sequence[Step], got: Sequence[Step]) -> str | None:
    """Tell where the state's size, the dropped rows or an operator's watermarks (L4) first differ."""
    for number, (step, mine) in enumerate(zip(expected, got, strict=False)):
        batches = list(zip(step.get("batches", ()), mine.get("batches", ()), strict=False))
        for theirs, ours in batches:
            wrong = _counters_differ(theirs, ours)
            if wrong:
                return f"step {number}, batch {theirs['batch']}: {wrong}"
        if "op_watermarks" in step and batches:
            ours = [(o["late"], o["evict"]) for o in batches[-1][1]["ops"]]
            theirs = [(o["late"], o["evict"]) for o in step["op_watermarks"]]
            if ours != theirs:
                return f"step {number}: the operators' (late, evict) are {ours}, Spark's {theirs}"
    return None


def _counters_differ(theirs: Step, ours: Step) -> str | None:
    if theirs["in"] != ours["in"] and not any(o["op"] in {"limit", "globalLimit"} for o in theirs.get("ops", ())):
        return f"{ours['in']} rows came in, Spark's {theirs['in']}"
    newest = [side.get("event_time", {}).get("max") for side in (theirs, ours)]
    has_null = theirs.get("event_time", {}).get("min") == EPOCH  # which counts as 1970 in Spark's statistics
    if None not in newest and newest[0] != newest[1] and not has_null:
        return f"the newest event time is {newest[1]}, Spark's {newest[0]}"
    a, b = theirs.get("ops", []), ours["ops"]
    if [o["total"] for o in a] != [o["total"] for o in b]:
        return (
            f"state rows are {[(o['operator'], o['total']) for o in b]}, Spark's {[(o['op'], o['total']) for o in a]}"
        )
    for spark, mine in zip(a, b, strict=True):
        same = bool(spark["dropped"]) == bool(mine["dropped"]) and spark["dropped"] <= mine["dropped"]
        if not same or (spark["op"] not in COUNTS_GROUPS and spark["dropped"] != mine["dropped"]):
            return f"{mine['operator']} dropped {mine['dropped']} rows, Spark {spark['dropped']}"
    return None


def disagreement(case: Mapping[str, Any], theirs: Sequence[Step], ours: Sequence[Step]) -> str | None:
    """Tell where we and Spark part over a program that both were given."""
    if "error" in theirs[-1]:
        refused = "error" in ours[-1] and len(ours) <= len(theirs)
        return None if refused else f"Spark refused step {len(theirs) - 1}: {theirs[-1]['error'][:300]}"
    return difference(case, theirs, ours) or counters(theirs, ours)
