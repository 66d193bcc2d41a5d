"""score: a model that learns while it is asked, and what changes if labels come only when they are known."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from streamnb.errors import PlanError, column_not_found, one_of
from streamnb.patience import library
from streamnb.views.inspectors import Exhibit
from streamnb.views.score import Known, Line, score_sheet

if TYPE_CHECKING:
    from streamnb.views.shapes import Sheet

WAYS = ("cheating", "honest", "frozen")
_OVER = 200
_LEAST = 1e-4
"""A probability is taken for no less, so that one sure error is not the whole score."""
_MS = pd.Timedelta("1ms")

Event = tuple[int, dict[str, Any], Any]


class Score(Exhibit):
    """How each way of learning did: ``table`` has a row a prediction, ``mean`` the log-loss of each way.

    ``by_day`` is the mean log-loss by day; ``under_way`` the most labels that were not known at any time.
    """

    def __init__(self, shown: _Shown, table: pd.DataFrame, ways: Sequence[str]) -> None:
        super().__init__(shown)
        self.table, self._shown, self._ways = table, shown, list(ways)

    @property
    def mean(self) -> pd.Series[float]:
        """The mean log-loss of each way."""
        return self.table[self._ways].mean()

    @property
    def by_day(self) -> pd.DataFrame:
        """The mean log-loss of each way by the day of the prediction."""
        return self.table.groupby(self.table["asked"].dt.strftime("%Y-%m-%d"))[self._ways].mean()

    @property
    def under_way(self) -> int:
        """The most labels that nobody knew at one time."""
        return int(max(number for _, number in self._shown.known.under_way))


class _Shown:
    def __init__(self, lines: list[Line], known: Known) -> None:
        self.lines, self.known = lines, known

    def sheet(self) -> Sheet:
        return score_sheet(self.lines, self.known, _OVER)

    def hear(self, name: str, value: Any) -> None:
        """Nothing can be chosen here."""


def score(
    model: Any,
    rows: pd.DataFrame,
    features: Sequence[str],
    label: str,
    *,
    asked: str,
    known: str,
    ways: Sequence[str] = WAYS,
    freeze: Any = None,
    band: tuple[Any, Any, str] | None = None,
) -> Score:
    """Ask a model about each row when it is ``asked``, let it learn, and draw how well it does meanwhile.

    Parameters
    ----------
    model
        One of river's classifiers or pipelines; each way gets a fresh ``clone()`` of it.
    rows, features, label
        A table, the columns that the model is given, and the column with True and False.
    asked, known
        The columns with the time of the question, and the time from which the label is known.
    ways
        ``"honest"`` learns a label when it is known, with the features of the question, as river's ``simulate_qa``
        plays it. ``"cheating"`` learns it at the question, which nobody can. ``"frozen"`` is honest until
        ``freeze`` and learns nothing from then on.
    band
        A span of time to mark, and its name.

    Returns
    -------
    Score
        Log-loss by prediction, by day and in the mean.

    >>> from river.linear_model import LogisticRegression
    >>> rows = sn.data.flights().dropna().assign(late=lambda f: f["arr_delay"] > 15)
    >>> times = {"asked": "dep", "known": "arr"}
    >>> score = sn.score(LogisticRegression(), rows.head(50), ["dep_delay"], "late", **times, ways=["honest"])
    """
    for name in (*features, label, asked, known):
        if name not in rows.columns:
            raise column_not_found("score", name, list(rows.columns))
    unknown = [way for way in ways if way not in WAYS]
    if unknown or not ways:
        raise one_of("score", "ways", unknown[0] if unknown else ways, WAYS)
    if "frozen" in ways and freeze is None:
        raise PlanError(
            "score: ways=['frozen'] learns nothing from some time on; give freeze= that time.", code="OPTION_INVALID"
        )
    ordered = rows.sort_values(asked, kind="stable", ignore_index=True)
    until = None if freeze is None else pd.Timestamp(freeze)
    losses = {way: _losses(model.clone(), ordered, (list(features), label, asked, known), way, until) for way in ways}
    table = pd.DataFrame({"asked": ordered[asked], "known": ordered[known], **losses})
    return Score(_Shown(_lines(table, ways), Known(_under_way(table), _span(band))), table, ways)


def _losses(
    model: Any, rows: pd.DataFrame, names: tuple[list[str], str, str, str], way: str, until: pd.Timestamp | None
) -> list[float]:
    found = [0.0] * len(rows)
    known = rows[names[3]].tolist()
    for number, x, y in _events(rows, names, at_once=way == "cheating"):
        if y is None:
            found[number] = _loss(model.predict_proba_one(x).get(True, 0.5), rows[names[1]].iat[number])
        elif way != "frozen" or until is None or known[number] < until:
            model.learn_one(x, y)
    return found


def _events(rows: pd.DataFrame, names: tuple[list[str], str, str, str], *, at_once: bool) -> Iterator[Event]:
    """Yield questions and answers in the order of time: number, features, and the label or None."""
    simulate_qa = library("score", "river.stream", "river", "ml").simulate_qa
    features, label, asked, known = names
    wait = (rows[known] - rows[asked]).tolist()
    dataset = [
        ({**dict(zip(features, values, strict=True)), _AT: at, _WAIT: delay}, bool(y))
        for values, at, delay, y in zip(
            rows[features].itertuples(index=False, name=None), rows[asked], wait, rows[label], strict=True
        )
    ]
    nothing = pd.Timedelta(0)
    delay: Callable[[dict[str, Any], Any], Any] = (lambda *_: nothing) if at_once else (lambda x, _: x[_WAIT])
    for number, x, y in simulate_qa(dataset, moment=_AT, delay=delay):
        yield number, {name: x[name] for name in features}, y


_AT, _WAIT = "__asked", "__wait"


def _loss(probability: float, label: Any) -> float:
    right = probability if label else 1 - probability
    return -math.log(min(max(right, _LEAST), 1 - _LEAST))


def _lines(table: pd.DataFrame, ways: Sequence[str]) -> list[Line]:
    times = _ms(table["asked"])
    running = {way: table[way].rolling(_OVER, min_periods=min(_OVER, 20)).mean() for way in ways}
    return [
        Line(
            way,
            tuple((at, loss) for at, loss in zip(times, running[way], strict=True) if not math.isnan(loss)),
            float(table[way].mean()),
        )
        for way in ways
    ]


def _under_way(table: pd.DataFrame) -> tuple[tuple[float, float], ...]:
    changes = pd.concat([pd.Series(1, index=table["asked"]), pd.Series(-1, index=table["known"])]).sort_index()
    counts = changes.groupby(level=0).sum().cumsum()
    return tuple((at, float(number)) for at, number in zip(_ms(counts.index), counts, strict=True))


def _span(band: tuple[Any, Any, str] | None) -> tuple[float, float, str] | None:
    if band is None:
        return None
    start, end, name = band
    first, last = _ms(pd.to_datetime([start, end]))
    return first, last, name


def _ms(times: Any) -> list[float]:
    found: list[float] = ((times - pd.Timestamp(0)) / _MS).tolist()
    return found
