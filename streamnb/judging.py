"""Judging: what becomes of every operator's state when one query takes the place of another, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

from streamnb.time import spell

Fate = Literal["kept", "converted", "rebuilt", "dropped"]
Told = Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What becomes of one operator with state: its ``fate`` and ``why``.

    ``was`` and ``now`` are its numbers among those with state, None where it is new or gone. ``columns`` says which
    aggregates of the new one are which of the old one. ``"rebuilt"``: what it holds now would be wrong.
    """

    operator: str
    fate: Fate
    why: str
    was: int | None
    now: int | None
    columns: Mapping[str, str] = field(default_factory=dict)


def judge(old: Told, new: Told) -> list[Verdict]:
    """Return the verdicts on all operators with state; both are shapes as a checkpoint holds them."""
    verdicts: list[Verdict] = []
    for was, now in _paired([o["verb"] for o in old["operators"]], [o["verb"] for o in new["operators"]]):
        if now is None:
            verdicts.append(_gone(old["operators"][was or 0], was))
        elif was is None:
            verdicts.append(_new(new["operators"][now], now))
        else:
            verdicts.append(_Pair(old, new, was, now).verdict)
    return verdicts


def altered(old: Sequence[str], new: Sequence[str]) -> list[tuple[str, str]]:
    """Return what changed among all verbs as they are told: pairs of the old and the new, empty where one is not."""
    found: list[tuple[str, str]] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind != "equal":
            most = max(b - a, d - c)
            before, after = [*old[a:b], *[""] * (most - b + a)], [*new[c:d], *[""] * (most - d + c)]
            found += zip(before, after, strict=True)
    return found


def _paired(old: Sequence[str], new: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """Return which operator takes whose place: those of one verb, in order."""
    pairs: list[tuple[int | None, int | None]] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs += zip(range(a, b), range(c, d), strict=True)
        else:
            pairs += [*((was, None) for was in range(a, b)), *((None, now) for now in range(c, d))]
    return pairs


def _new(operator: Told, now: int) -> Verdict:
    if operator["verb"] == "with_watermark":
        return Verdict(operator["told"], "kept", "the watermark stays; what is seen from now on moves it", None, now)
    return Verdict(operator["told"], "rebuilt", "it is new, and what came before is not in it", None, now)


def _gone(operator: Told, was: int | None) -> Verdict:
    if operator["verb"] in {"drop_duplicates", "drop_duplicates_within_watermark", "limit", "with_watermark"}:
        return Verdict(operator["told"], "dropped", "the new query does without it", was, None)
    why = "it is gone, and what it holds has not been given out"
    return Verdict(operator["told"], "rebuilt", why, was, None)


class _Pair:
    """One operator before and after."""

    def __init__(self, old: Told, new: Told, was: int, now: int) -> None:
        self.numbers = was, now
        self.was, self.now = old["operators"][was], new["operators"][now]
        self.tables = tables_of(old, was), tables_of(new, now)
        self.times = old.get("times", new["times"]), new["times"]
        self.modes = old.get("mode", new["mode"]), new["mode"]

    @property
    def verdict(self) -> Verdict:
        if list(self.times[0]) != list(self.times[1]):
            told = [", ".join(map(repr, times)) or "none" for times in self.times]
            return self.say("rebuilt", f"the event time, which says when state ends, was {told[0]} and is {told[1]}")
        if self.modes[0] != self.modes[1] and self.now["verb"] == "group_by":
            return self.say("rebuilt", "it held groups for the output mode {}, and {} needs others".format(*self.modes))
        if (other := self._made_otherwise()) is not None:
            return self.say("rebuilt", "{} was {} and is {}".format(*other))
        if self.was["settings"] != self.now["settings"]:
            return _RULES.get(self.now["verb"], _other)(self)
        return self.typed("kept", "its keys and settings are the same")

    def _made_otherwise(self) -> tuple[str, str, str] | None:
        """Return a column that decides what is held, if it is computed otherwise: its name, of what, of what now."""
        before, after = self.was.get("of", {}), self.now.get("of", {})
        changed = (name for name in after if before.get(name, after[name]) != after[name])
        return next(((name, before[name], after[name]) for name in changed), None)

    def typed(self, fate: Fate, why: str, columns: Mapping[str, str] | None = None) -> Verdict:
        """Return a verdict if the tables fit it; columns that changed their type do not."""
        renamed = columns or {}
        if [table["keys"] for table in self.tables[0]] != [table["keys"] for table in self.tables[1]]:
            return self.say("rebuilt", "it keeps other tables")
        for before, after in zip(*self.tables, strict=True):
            for name, dtype in after["columns"].items():
                held = before["columns"].get(source_of(name, renamed))
                if held != dtype:
                    return self.say("rebuilt", f"{name!r} was {held} and is {dtype}")
        return self.say(fate, why, renamed)

    def say(self, fate: Fate, why: str, columns: Mapping[str, str] | None = None) -> Verdict:
        """Return a verdict on the pair."""
        return Verdict(self.now["told"], fate, why, *self.numbers, columns or {})


def numbers_of(shape: Told, operator: int | None) -> list[int]:
    """Return which tables of a shape are one operator's. Where a checkpoint does not say so yet, verbs do."""
    verb = None if operator is None else shape["operators"][operator]["verb"]
    alone = [o["verb"] for o in shape["operators"]].count(verb) == 1
    return [
        number
        for number, table in enumerate(shape["tables"])
        if (table["of"] == operator if "of" in table else alone and table["operator"] == verb)
    ]


def tables_of(shape: Told, operator: int | None) -> list[Told]:
    """Return the tables of one operator."""
    return [shape["tables"][number] for number in numbers_of(shape, operator)]


def source_of(column: str, renamed: Mapping[str, str]) -> str:
    """Return the column of the old table that one of the new table is made of: parts of an aggregate go by its name."""
    names = [name for name in renamed if column == name or column.startswith(f"{name}.")]
    name = max(names, key=len, default=None)
    return column if name is None else renamed[name] + column[len(name) :]


# -- the rules, by verb


def _other(pair: _Pair) -> Verdict:
    return pair.say("rebuilt", f"it was `{pair.was['told']}`, which remembers other things")


def _limit(pair: _Pair) -> Verdict:
    return pair.typed("kept", f"it goes on counting, now to {pair.now['settings']['n']}")


def _with_watermark(pair: _Pair) -> Verdict:
    old, new = pair.was["settings"], pair.now["settings"]
    if old["per"] != new["per"] or old["event_time"] != new["event_time"]:
        return _other(pair)
    return pair.typed("kept", "what it has seen stays; its delay and patience may change")


def _group_by(pair: _Pair) -> Verdict:
    old, new = pair.was["settings"], pair.now["settings"]
    if old["by"] != new["by"]:
        return pair.say("rebuilt", _other_keys(old["by"], new["by"]))
    folds, held = new["aggregates"], old["aggregates"]
    from_ = {name: _held_as(name, fold, held) for name, fold in folds.items()}
    missing = [name for name, held_as in from_.items() if held_as is None]
    if missing:
        what = ", ".join(repr(name) for name in missing)
        return pair.say("rebuilt", f"{what} would lack the rows that open groups have already had")
    gone = [repr(name) for name in held if name not in from_.values()]
    why = f"{', '.join(gone)} left out, the rest is as it was" if gone else "the same aggregates by other names"
    return pair.typed("converted", why, {name: str(held_as) for name, held_as in from_.items()})


def _held_as(name: str, fold: Told, held: Mapping[str, Told]) -> str | None:
    """Return under which name an aggregate is held already."""
    return next((n for n in (name, *held) if held.get(n) == fold), None)


def _other_keys(old: Sequence[Any], new: Sequence[Any]) -> str:
    times = [next((key for key in keys if isinstance(key, dict)), None) for keys in (old, new)]
    plain = [[str(key) for key in keys if not isinstance(key, dict)] for keys in (old, new)]
    was, now = times
    if was == now or plain[0] != plain[1] or was is None or now is None:
        return f"it is grouped by {_told(old)}, and no sum can be parted by {_told(new)} afterwards"
    if was["kind"] == now["kind"] == "WindowKey" and was["time"] == now["time"]:
        a, b = was["window"], now["window"]
        if a["size"] > b["size"]:
            return f"a window of {spell(a['size'])} that is added up cannot be parted into {spell(b['size'])}"
        if a["size"] < b["size"]:
            return f"of a window of {spell(b['size'])} the parts that ended are given out and gone"
    return f"what is held is by {_told(old)}, and {_told(new)} would cut the rows elsewhere"


def _told(keys: Sequence[Any]) -> str:
    names = {"WindowKey": "a window", "SessionKey": "a session"}
    return ", ".join(names.get(k["kind"], "a time") if isinstance(k, dict) else str(k) for k in keys) or "nothing"


_RULES: Mapping[str, Callable[[_Pair], Verdict]] = {
    "limit": _limit,
    "group_by": _group_by,
    "with_watermark": _with_watermark,
}
