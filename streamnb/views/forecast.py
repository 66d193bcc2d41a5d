"""Forecast: what a query's keys would do on a cluster, drawn as what it is: a forecast with its assumptions."""

from __future__ import annotations

from typing import Any

from streamnb.spark.forecast import SALTS, Forecast
from streamnb.views.chart import Frame, across, byte_count, round_ticks, upward
from streamnb.views.shapes import Choice, Figure, Grid, Part, Shape, Sheet, Slider, Words, area, line, rect, table, text

_LEFT, _WIDE, _HIGH = 64.0, 676.0, 150.0
_SHOWN = 10


def forecast_sheet(forecast: Forecast, salts: int = 1) -> Sheet:
    """Lay out how rows spread over partitions, how state grows over a day, and what both rest on."""
    count, share = len(forecast.partitions), forecast.hottest_share
    busiest = f"the busiest of {count:,} partitions gets {share:.1%} of the rows"
    title = f"Forecast: {busiest if count > 1 else 'all rows go to the one partition'}."
    lead = (
        f"State after a day is about {byte_count(forecast.state_bytes)}. All is carried on from the rows that the "
        "query has read; nothing here was measured on a cluster."
    )
    options = tuple((str(n), "none" if n == 1 else f"{n} values") for n in SALTS)
    parts: tuple[Part, ...] = (
        Slider("partitions", "partitions", 1, max(1000, count), 1, count, f"{count:,}"),
        Choice("salt", "a salt on the keys", options, str(salts)),
        _spread(forecast, salts),
        _day(forecast),
        _salting(forecast),
        Words("A forecast, not a measurement. It assumes:", "ink"),
        *(Words(f"· {point}") for point in forecast.assumptions),
    )
    return Sheet(title, parts, title, lead)


def _spread(forecast: Forecast, salts: int) -> Figure:
    """Draw every partition's share of the rows, the busiest first, beside an even one."""
    shares, plain = forecast.shares(salts), forecast.shares()
    even, count = 1 / len(shares), len(shares)
    frame = Frame(_LEFT, 40, _WIDE, _HIGH, 0, count, 0, max(*plain[:1], even) * 108)
    said = "the busiest first" if salts == 1 else f"the busiest first, with a salt of {salts} values"
    shapes: list[Shape] = [text(2, 16, f"Share of the rows by partition, {said}", "ink", 13, bold=True)]
    shapes += upward(frame, 4, " %")
    ticks = [(at, f"{at:,.0f}") for at in round_ticks(0, count, 8) if at == int(at)]
    shapes += across(frame, ticks, "partitions")
    if salts > 1:
        shapes += [
            s for n, value in enumerate(plain) if value for s in _bar(frame, n, value, "without it", salted=True)
        ]
    shapes += [s for n, value in enumerate(shares) if value for s in _bar(frame, n, value, "of the rows")]
    level = frame.y(100 * even)
    shapes.append(line([(frame.left, level), (frame.right, level)], "watermark", 1.5, "5 4"))
    shapes.append(text(frame.right, level - 6, f"even: {even:.2%} each", "watermark_text", 12, anchor="end", halo=True))
    idle = sum(value == 0 for value in shares)
    label = f"Forecast: the busiest of {count:,} partitions gets {shares[0]:.1%} of the rows, {idle:,} get none"
    return Figure(label, 250, tuple(shapes), _hottest(forecast))


def _bar(frame: Frame, n: int, share: float, words: str, *, salted: bool = False) -> list[Shape]:
    left, width = frame.x(n), max(1.0, frame.x(1) - frame.x(0) - (1 if frame.high_x < 200 else 0))
    top = frame.y(100 * share)
    looks: dict[str, Any] = {"line": "late", "stroke": 1} if salted else {}
    fill = None if salted else "ontime"
    return [rect(left, top, width, frame.bottom - top, fill, tip=f"{share:.2%} {words}", **looks)]


def _hottest(forecast: Forecast) -> Grid:
    rows = forecast.partitions.nlargest(_SHOWN, "rows")
    heads = ("partition", "rows", "keys", "share", "state after a day")
    listed = [
        (int(number), int(n), int(keys), f"{share:.2%}", byte_count(size))
        for number, n, keys, share, size in rows.to_numpy().tolist()
    ]
    note = f"The busiest {len(listed)} of {len(forecast.partitions):,}; all of them in .partitions."
    return table("The busiest partitions", heads, listed, note)


def _salting(forecast: Forecast) -> Grid:
    listed = [(int(n), f"{share:.2%}", int(used)) for n, share, used in forecast.salting.to_numpy().tolist()]
    return table("What a salt would do", ("values of the salt", "busiest share", "partitions with rows"), listed)


def _day(forecast: Forecast) -> Figure:
    """Draw the state over a day; a dashed line, since nothing of it has happened."""
    day = forecast.day
    hours, sizes = day["hour"].tolist(), [float(size) for size in day["state_bytes"]]
    most = max(*sizes, 1.0)
    frame = Frame(_LEFT, 40, _WIDE, 110, 0, 24, 0, most * 1.08)
    points = [frame.at(point) for point in zip(hours, sizes, strict=True)]
    shapes: list[Shape] = [text(2, 16, "State over a day, in bytes as they are counted here", "ink", 13, bold=True)]
    shapes += [shape for shape in upward(frame, 3) if shape["kind"] == "line"]
    shapes += [
        text(frame.left - 8, frame.y(at) + 4, byte_count(at), anchor="end") for at in round_ticks(0, most * 1.08, 3)
    ]
    shapes += across(frame, [(hour, f"{hour}") for hour in range(0, 25, 3)], "hours from now")
    shapes.append(area([(frame.left, frame.bottom), *points, (frame.right, frame.bottom)], "ontime", 0.14))
    shapes.append(line(points, "ontime", 2, "6 4"))
    shapes.append(
        text(
            frame.right, points[-1][1] - 8, byte_count(sizes[-1]), "ontime_text", 13, anchor="end", bold=True, halo=True
        )
    )
    listed = [(int(h), int(n), byte_count(b)) for h, n, b in day.to_numpy().tolist()]
    behind = table("State over a day", ("hour", "rows of state", "size"), listed)
    return Figure(f"Forecast: state after a day is {byte_count(sizes[-1])}", 210, tuple(shapes), behind)


class Foretold:
    """A forecast of which the reader may change the partitions and the salt."""

    def __init__(self, forecast: Forecast) -> None:
        self.forecast, self.salts = forecast, 1

    def sheet(self) -> Sheet:
        """Lay out the forecast as it stands."""
        return forecast_sheet(self.forecast, self.salts)

    def hear(self, name: str, value: Any) -> None:
        """Take another number of partitions, or of values of a salt."""
        if name == "partitions":
            self.forecast = self.forecast.over(round(float(value)))
        elif name == "salt" and int(value) in SALTS:
            self.salts = int(value)
