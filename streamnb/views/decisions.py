"""Decisions: what was allowed and what was blocked, what that cost, and how long each answer took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamnb.views.chart import Frame, across, big, round_ticks, upward
from streamnb.views.shapes import Figure, Shape, Sheet, Slider, cross, diamond, dot, line, rect, table, text

_LEFT, _WIDE, _TOP, _LANE = 96.0, 640.0, 34.0, 24.0
_BEFORE, _AFTER = 30.0, 12.0
_MOST_LANES, _HIGHEST = 12, 60
_BINS = ("1 ms", "10 ms", "50 ms", "100 ms", "200 ms", "1 s", "10 s", "1 min", "10 min", "1 h")
_EDGES = (0.001, 0.01, 0.05, 0.1, 0.2, 1.0, 10.0, 60.0, 600.0, 3600.0)


@dataclass(frozen=True)
class Decided:
    """One payment: its key, minutes on an axis, amount, whether it is fraud, its score, and seconds to the answer."""

    key: str
    minute: float
    amount: float
    fraud: bool
    score: float
    waited: float


@dataclass(frozen=True)
class Outcome:
    """What a threshold leads to: the fraud that is paid, and the honest payments that are blocked."""

    threshold: float
    lost: float
    stopped: int


def outcome(decided: Sequence[Decided], threshold: float) -> Outcome:
    """Return what comes of blocking every payment with at least this score."""
    lost = sum(one.amount for one in decided if one.fraud and one.score < threshold)
    return Outcome(threshold, lost, sum(not one.fraud and one.score >= threshold for one in decided))


def thresholds(decided: Sequence[Decided]) -> list[float]:
    """Return where a threshold makes a difference, the highest scores all and few of the others, and one above all."""
    scores = sorted({one.score for one in decided})
    low, high = scores[:-_HIGHEST], scores[-_HIGHEST:]
    return [*low[:: max(1, len(low) // 20)], *high, high[-1] + 1] if scores else [1.0]


def decisions_sheet(decided: Sequence[Decided], threshold: float, budget: float) -> Sheet:
    """Lay out the cards around what matters, the price of every threshold, and the latencies."""
    now = outcome(decided, threshold)
    frauds = [one for one in decided if one.fraud]
    caught = sum(one.score >= threshold for one in frauds)
    slow = sum(one.waited > budget for one in decided)
    title = (
        f"{caught} of {len(frauds)} frauds are blocked, and {now.stopped} honest payments; {now.lost:,.0f} € are lost."
    )
    late = f"{slow:,} of {len(decided):,} answers" if slow else "No answer"
    lead = f"A payment with a score of {threshold:g} or more is blocked. {late} took longer than {budget * 1000:g} ms."
    key = (
        (dot(12, 8, 4, "ontime", "ground"), "honest, allowed"),
        (cross(12, 8, 4), "fraud, blocked"),
        (dot(12, 8, 6, "late", "ink"), "fraud, paid"),
        (diamond(12, 8, 6, "second"), "honest, blocked"),
    )
    marks = thresholds(decided)
    slider = Slider("threshold", "threshold", marks[0], marks[-1], _step(marks), threshold, f"{threshold:g}")
    parts = (slider, _lanes(decided, threshold), _costs(decided, now, budget))
    return Sheet(title, parts, f"{title} {lead}", lead, key)


def _step(marks: Sequence[float]) -> float:
    whole = all(mark == int(mark) for mark in marks)
    return 1 if whole else (marks[-1] - marks[0]) / 100


# -- lanes


def _lanes(decided: Sequence[Decided], threshold: float) -> Figure:
    """Draw the cards where most was lost, and those whose honest payments were blocked, before and after."""
    middles = _middles(decided, threshold)
    height = _LANE * len(middles)
    frame = Frame(_LEFT, _TOP, _WIDE, height, -_BEFORE, _AFTER)
    ticks = [(minute, f"{minute:+.0f}" if minute else "0") for minute in round_ticks(-_BEFORE, _AFTER, 8)]
    drawn: list[Shape] = [text(2, 16, "card", "ink", 13, bold=True)]
    drawn += across(frame, ticks, "minutes from the first payment that matters")
    shown = []
    for lane, (key, middle) in enumerate(middles.items()):
        y = _TOP + _LANE * lane + _LANE / 2
        drawn.append(text(_LEFT - 8, y + 4, key, anchor="end"))
        drawn.append(line([(frame.left, y), (frame.right, y)], "faint", 1))
        mine = [one for one in decided if one.key == key and -_BEFORE <= one.minute - middle <= _AFTER]
        drawn += [_mark(one, frame.x(one.minute - middle), y, threshold) for one in mine]
        shown += [(key, round(one.minute - middle, 1), one.amount, one.score, _word(one, threshold)) for one in mine]
    heads = ("card", "minutes", "amount, €", "score", "")
    behind = table("Payments of these cards", heads, shown)
    return Figure("Payments of the cards that matter", int(_TOP + height + 52), tuple(drawn), behind)


def _middles(decided: Sequence[Decided], threshold: float) -> dict[str, float]:
    """Return the cards to show and the minute each is shown around."""
    found: dict[str, float] = {}
    lost: dict[str, float] = {}
    for one in decided:
        if one.fraud or one.score >= threshold:
            found.setdefault(one.key, one.minute)
            paid = one.amount if one.fraud and one.score < threshold else 0.0
            lost[one.key] = lost.get(one.key, 0.0) + paid
    cheated = [key for key in found if lost[key] > 0 or any(o.fraud and o.key == key for o in decided)]
    first = sorted(cheated, key=lambda key: -lost[key])[: _MOST_LANES - 4]
    others = [key for key in found if key not in cheated][: _MOST_LANES - len(first)]
    return {key: found[key] for key in (*first, *others)}


def _word(one: Decided, threshold: float) -> str:
    return f"{'fraud' if one.fraud else 'honest'}, {'blocked' if one.score >= threshold else 'allowed'}"


def _mark(one: Decided, x: float, y: float, threshold: float) -> Shape:
    tip = f"{one.amount:,.2f} €, score {one.score:g}: {_word(one, threshold)}"
    if one.score >= threshold:
        return cross(x, y, 4, tip=tip) if one.fraud else diamond(x, y, 6, "second", tip=tip)
    return dot(x, y, 6, "late", "ink", tip=tip) if one.fraud else dot(x, y, 4, "ontime", "ground", tip=tip)


# -- prices


def _costs(decided: Sequence[Decided], now: Outcome, budget: float) -> Figure:
    curve = [outcome(decided, threshold) for threshold in thresholds(decided)]
    drawn = [*_curve(curve, now), *_latencies(decided, budget)]
    rows = [(round(one.threshold, 3), round(one.lost, 2), one.stopped) for one in curve]
    behind = table("What each threshold costs", ("threshold", "lost, €", "honest payments blocked"), rows)
    return Figure("Money lost against honest payments blocked, and latencies", 258, tuple(drawn), behind)


def _curve(curve: Sequence[Outcome], now: Outcome) -> list[Shape]:
    close = [one for one in curve if one.stopped <= max(40, 2 * now.stopped)]
    most = max((one.stopped for one in close), default=0)
    frame = Frame(
        62, 40, 270, 160, -0.04 * (most or 1), (most or 1) * 1.06, 0, max(one.lost for one in curve) * 1.08 or 1
    )
    points = [frame.at((one.stopped, one.lost)) for one in close]
    drawn = [text(2, 20, "€ lost", "ink", 13, bold=True), *upward(frame)]
    drawn += across(frame, [(at, big(at)) for at in round_ticks(0, most or 1, 4)], "honest payments blocked")
    drawn.append(line(points, "dropped", 1.6))
    for one, point in zip(close, points, strict=True):
        tip = f"threshold {one.threshold:g}: {one.lost:,.0f} € lost, {one.stopped} honest payments blocked"
        drawn.append(dot(*point, 3.5, "dropped", "ground", tip=tip))
    x, y = frame.at((now.stopped, now.lost))
    drawn.append(dot(x, y, 7, None, "ink", stroke=2))
    drawn.append(text(x + 12, y - 8, f"{now.threshold:g}", "ink", 12.5, bold=True, halo=True))
    return drawn


def _latencies(decided: Sequence[Decided], budget: float) -> list[Shape]:
    counts = [0] * (len(_EDGES) + 1)
    for one in decided:
        counts[sum(one.waited > edge for edge in _EDGES)] += 1
    frame = Frame(430, 40, 310, 160, 0, len(counts), 0, max(*counts, 1) * 1.1)
    drawn = [text(382, 20, "answers by seconds they took", "ink", 13, bold=True), *upward(frame)]
    drawn += across(frame, [(n + 1, name) for n, name in enumerate(_BINS) if n % 2 == 0], "from arrival to answer")
    for n, count in enumerate(counts):
        role = "ontime" if n == 0 or _EDGES[n - 1] < budget else "dropped"
        if count:
            top = frame.y(count)
            drawn.append(
                rect(frame.x(n) + 2, top, frame.width / len(counts) - 4, frame.bottom - top, role,
                     hatch=None if role == "ontime" else "ground", tip=f"{count:,} answers")
            )  # fmt: skip
    at = frame.x(sum(edge <= budget for edge in _EDGES))
    drawn.append(line([(at, frame.top - 8), (at, frame.bottom)], "ink", 1.6, "4 3"))
    drawn.append(text(at + 5, frame.top, f"{budget * 1000:g} ms", "ink", 12, bold=True, halo=True))
    return drawn
