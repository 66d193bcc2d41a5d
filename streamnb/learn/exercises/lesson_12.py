"""Lesson 12: learn online."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pandas as pd

from streamnb import data
from streamnb.learn.comparing import briefly
from streamnb.learn.exercise import Exercise, Told, World, Wrong
from streamnb.stream import objects

FEATURES = ("dep_delay", "distance", "hour", "origin")
LEAVES, LANDS = "leaves", "lands"
PREDICTS = "each flight is predicted once, when it leaves"
LEARNS = "each label is learned once, when the plane lands"
KNEW = "a label is learned with what was known when that flight left"
GIVES = "flight_id and probability come out"
Event = Mapping[str, Any]
Answer = Callable[[Any, Iterable[Event]], Iterable[Any] | None]


def _worlds() -> Sequence[World]:
    days = ("2013-02-08", "2013-02-10")
    return [World(f"the flights of {day}", (_news(day),)) for day in days]


def _news(day: str) -> list[dict[str, Any]]:
    """Return what is heard of a day's flights from LaGuardia, in order of time."""
    return [event for batch in objects(data.news("LGA", day)).run() for event in batch]


@cache
def _labels() -> dict[str, bool]:
    """Return which flights came late: what nobody knows before they have landed."""
    flights = data.flights().dropna(subset=["dep", "arr", "arr_delay"])
    late: pd.Series[bool] = flights["arr_delay"] > 15
    return dict(zip(flights["flight_id"], late.tolist(), strict=True))


@dataclass
class _Notes:
    """A model that learns nothing, and notes what it is asked and taught while which event is the newest."""

    now: int = -1
    asked: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    taught: list[tuple[int, dict[str, Any], Any]] = field(default_factory=list)

    def predict_proba_one(self, x: Mapping[str, Any]) -> dict[bool, float]:
        self.asked.append((self.now, _known_of(x)))
        return {True: 0.25, False: 0.75}

    def learn_one(self, x: Mapping[str, Any], y: Any) -> None:
        self.taught.append((self.now, _known_of(x), y))

    def heard(self, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        for number, event in enumerate(events):
            self.now = number
            yield dict(event)

    def __getattr__(self, name: str) -> Any:
        raise Told(f"the loop asks with predict_proba_one and teaches with learn_one; {name} is not needed")


def _tried(answer: Answer, events: Sequence[Event]) -> dict[str, Any] | None:
    """Let an answer teach the notes, and compare with when each plane left and landed."""
    notes = _Notes()
    found = answer(notes, notes.heard(events))
    if found is None and not notes.asked and not notes.taught:
        return None
    given = [] if found is None else _pairs(found)
    left = {n: event for n, event in enumerate(events) if event["news"] == LEAVES}
    landed = {n: event for n, event in enumerate(events) if event["news"] == LANDS}
    known = {event["flight_id"]: _known_of(event) for event in left.values()}
    labels = [_labels().get(event["flight_id"]) for event in left.values()]
    return {
        PREDICTS: notes.asked == [(n, _known_of(event)) for n, event in left.items()],
        LEARNS: [(n, y) for n, _, y in notes.taught] == [(n, event["late"]) for n, event in landed.items()],
        KNEW: [x for _, x, _ in notes.taught] == [known[event["flight_id"]] for event in landed.values()],
        GIVES: given == [(event["flight_id"], 0.25) for event in left.values()],
        "asked": len(notes.asked), "taught": len(notes.taught),
        "asked at the end": all(n == len(events) - 1 for n, _ in notes.asked),
        "without a label": sum(y is None for *_, y in notes.taught),
        "before it is known": [y for *_, y in notes.taught] == [bool(label) for label in labels],
        "without features": sum(set(x.values()) == {None} for _, x, _ in notes.taught),
        "first": briefly(given[0]) if given else "",
    }  # fmt: skip


def _remembers(answer: Answer) -> str | None:
    """Say so if a loop still holds most flights when all have landed: its variables are looked at."""
    events = _news("2013-02-10")
    loop: Any = None
    held = 0

    def heard() -> Iterator[Event]:
        nonlocal held
        yield from map(dict, events)
        frame = getattr(loop, "gi_frame", None)
        held = max(map(_size, frame.f_locals.values()), default=0) if frame else 0

    loop = answer(_Notes(), heard())
    for _ in loop or ():
        pass
    landed = sum(event["news"] == LANDS for event in events)
    return f"{held} flights are still remembered when all have landed: pop forgets" if held > landed / 2 else None


def _size(held: Any) -> int:
    return len(held) if isinstance(held, dict | list | set) else 0


def _pairs(found: Any) -> list[Any]:
    """Return what came out as pairs, whether it is a dict, a Series, a table, or rows of two."""
    if isinstance(found, pd.DataFrame):
        return list(found.itertuples(index=False, name=None))
    rows = found.items() if hasattr(found, "items") else found
    rows = (row.values() if isinstance(row, dict) else row for row in rows)
    return [tuple(row) if isinstance(row, Iterable) and not isinstance(row, str) else row for row in rows]


def _known_of(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event.get(name) for name in FEATURES}


def _told(found: Mapping[str, Any]) -> str | None:
    if not found["asked"] and not found["taught"]:
        return "nothing is predicted and nothing learned; an event's news is 'leaves' or 'lands'"
    if found["asked"] and found["asked at the end"]:
        return "you read events that have not happened yet: answer each before you take the next"
    wrong = next((name for name in (PREDICTS, LEARNS, KNEW, GIVES) if not found[name]), None)
    if wrong != GIVES:
        return None if wrong is None else f"it is not so that {wrong}"
    first = f"the first that comes out is {found['first']}" if found["first"] else "nothing comes out: yield it"
    return f"{first}; a pair of flight_id and the probability of being late is asked, for each that leaves"


# -- loops


def _honest(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    under_way: dict[str, dict[str, Any]] = {}
    for event in events:
        flight = event["flight_id"]
        if event["news"] == LEAVES:
            under_way[flight] = x = _known_of(event)
            yield flight, model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(under_way.pop(flight), event["late"])


def _at_once(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            x = _known_of(event)
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
            model.learn_one(x, event["late"])


def _cheating(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            x = _known_of(event)
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
            model.learn_one(x, _labels().get(event["flight_id"], False))


def _all_at_once(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    return _honest(model, list(events))


def _own_guess(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            x = _known_of(event)
            p = model.predict_proba_one(x).get(True, 0.5)
            yield event["flight_id"], p
            model.learn_one(x, p > 0.5)


def _at_landing(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    under_way: dict[str, dict[str, Any]] = {}
    for event in events:
        flight = event["flight_id"]
        if event["news"] == LEAVES:
            under_way[flight] = _known_of(event)
        else:
            x = under_way.pop(flight)
            yield flight, model.predict_proba_one(x).get(True, 0.5)
            model.learn_one(x, event["late"])


def _frozen(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            yield event["flight_id"], model.predict_proba_one(_known_of(event)).get(True, 0.5)


def _of_the_landing(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        x = _known_of(event)
        if event["news"] == LEAVES:
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(x, event["late"])


def _of_the_last(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    x: dict[str, Any] = {}
    for event in events:
        if event["news"] == LEAVES:
            x = _known_of(event)
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(x, event["late"])


EXERCISES = (
    Exercise(
        name="12.A",
        oracle=lambda _: dict.fromkeys((PREDICTS, LEARNS, KNEW, GIVES), True),
        worlds=_worlds,
        solution=_honest,
        trial=_tried,
        tell=_told,
        but=_remembers,
        wrong=(
            Wrong("when a plane leaves, nobody knows the label: it learns None", _at_once),
            Wrong("it learns when the plane leaves what nobody knows before it has landed", _cheating),
            Wrong("it reads all the events before it answers one: a stream has no last one", _all_at_once),
            Wrong("it learns its own guess, and will only ever be surer of it", _own_guess),
            Wrong("it predicts when the plane has landed: that is no prediction any more", _at_landing),
            Wrong("it never learns", _frozen),
            Wrong("the news of a landing has no features: keep those of the departure", _of_the_landing),
            Wrong("it learns with the features of whichever plane left last", _of_the_last),
        ),
        hints=(
            "Leaving: predict and yield. Landing: learn. Each news is one of the two.",
            "What was known when the flight left must be kept until it lands: a dict by flight_id.",
            "On landing: model.learn_one(kept.pop(flight_id), event['late']); pop also forgets it.",
        ),
        shown="""def honest(model, events):
    under_way = {}
    for event in events:
        flight = event["flight_id"]
        if event["news"] == "leaves":
            under_way[flight] = x = features_of(event)
            yield flight, model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(under_way.pop(flight), event["late"])""",
    ),
)
