"""Lesson 12: learn online."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamnb import data
from streamnb.learn.exercise import Exercise, World, Wrong
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


@dataclass
class _Notes:
    """A model that learns nothing, and notes what it is asked and taught while which event is the newest."""

    now: int = -1
    asked: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    taught: list[tuple[int, dict[str, Any], Any]] = field(default_factory=list)

    def predict_proba_one(self, x: Mapping[str, Any]) -> dict[bool, float]:
        self.asked.append((self.now, dict(x)))
        return {True: 0.25, False: 0.75}

    def learn_one(self, x: Mapping[str, Any], y: Any) -> None:
        self.taught.append((self.now, dict(x), y))

    def heard(self, events: Sequence[Event]) -> Iterator[dict[str, Any]]:
        for number, event in enumerate(events):
            self.now = number
            yield dict(event)


def _tried(answer: Answer, events: Sequence[Event]) -> dict[str, Any] | None:
    """Let an answer teach the notes, and compare with when each plane left and landed."""
    notes = _Notes()
    found = answer(notes, notes.heard(events))
    given = [] if found is None else list(found)
    if not given and not notes.asked and not notes.taught:
        return None
    left = {n: event for n, event in enumerate(events) if event["news"] == LEAVES}
    landed = {n: event for n, event in enumerate(events) if event["news"] == LANDS}
    known = {event["flight_id"]: _features(event) for event in left.values()}
    return {
        PREDICTS: notes.asked == [(n, _features(event)) for n, event in left.items()],
        LEARNS: [(n, y) for n, _, y in notes.taught] == [(n, event["late"]) for n, event in landed.items()],
        KNEW: [x for _, x, _ in notes.taught] == [known[event["flight_id"]] for event in landed.values()],
        GIVES: given == [(event["flight_id"], 0.25) for event in left.values()],
        "asked": len(notes.asked), "taught": len(notes.taught),
        "without a label": sum(y is None for *_, y in notes.taught),
        "without features": sum(set(x.values()) == {None} for _, x, _ in notes.taught),
    }  # fmt: skip


def _features(event: Event) -> dict[str, Any]:
    return {name: event[name] for name in FEATURES}


def _told(found: Mapping[str, Any]) -> str | None:
    wrong = next((name for name in (PREDICTS, LEARNS, KNEW, GIVES) if not found[name]), None)
    return None if wrong is None else f"it is not so that {wrong}"


# -- loops


def _honest(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    under_way: dict[str, dict[str, Any]] = {}
    for event in events:
        flight = event["flight_id"]
        if event["news"] == LEAVES:
            under_way[flight] = x = _features(event)
            yield flight, model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(under_way.pop(flight), event["late"])


def _at_once(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            x = _features(event)
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
            model.learn_one(x, event["late"])


def _own_guess(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            x = _features(event)
            p = model.predict_proba_one(x).get(True, 0.5)
            yield event["flight_id"], p
            model.learn_one(x, p > 0.5)


def _at_landing(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    under_way: dict[str, dict[str, Any]] = {}
    for event in events:
        flight = event["flight_id"]
        if event["news"] == LEAVES:
            under_way[flight] = _features(event)
        else:
            x = under_way.pop(flight)
            yield flight, model.predict_proba_one(x).get(True, 0.5)
            model.learn_one(x, event["late"])


def _frozen(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event["news"] == LEAVES:
            yield event["flight_id"], model.predict_proba_one(_features(event)).get(True, 0.5)


def _of_the_landing(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    for event in events:
        x = _features(event)
        if event["news"] == LEAVES:
            yield event["flight_id"], model.predict_proba_one(x).get(True, 0.5)
        else:
            model.learn_one(x, event["late"])


def _of_the_last(model: Any, events: Iterable[Event]) -> Iterator[tuple[str, float]]:
    x: dict[str, Any] = {}
    for event in events:
        if event["news"] == LEAVES:
            x = _features(event)
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
        wrong=(
            Wrong("when a plane leaves, nobody knows the label: it learns None", _at_once),
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
