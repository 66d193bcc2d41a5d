"""Lifetime: how large state would be if keys were kept for longer or for less, tried on the batches that have run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamnb.answers.lineage import with_delay
from streamnb.answers.trial import recorded, run
from streamnb.time import MILLISECOND, instant
from streamnb.views.chart import Frame, big
from streamnb.views.delay import MOST_ROWS, Delay, milliseconds, slider_of, until
from streamnb.views.shapes import Shape, Slider, line, rect, text

if TYPE_CHECKING:
    from streamnb.progress import Playable

TRACK = 256.0
"""How deep in the figure of sizes the bar lies that can be pulled."""


@dataclass(frozen=True, eq=False)
class Tried:
    """A delay (milliseconds), the slider it stands on, and the keys that state would hold after each batch."""

    slider: Slider
    own: float
    keys: Sequence[tuple[int, int]]

    @property
    def delay(self) -> float:
        """Return the delay tried."""
        return self.slider.value

    def shapes(self, frame: Frame) -> list[Shape]:
        """Draw the bar to pull, and the line of the sizes that would be."""
        x = frame.left + frame.width * self.delay / (self.slider.high or 1)
        words = f"keys wait {self.slider.shown} for the watermark"
        after = x < frame.left + 0.6 * frame.width
        beside, anchor = (x + 12, "start") if after else (x - 12, "end")
        bar = [
            line([(frame.left, TRACK), (frame.right, TRACK)], "faint", 2),
            rect(frame.left, TRACK - 3, x - frame.left, 6, "watermark", r=3),
            rect(x - 5, TRACK - 12, 10, 24, "ground", line="watermark", stroke=1.6, r=5, drag="ttl",
                 tip=f"pull: {words}"),
            text(beside, TRACK - 8, words, "watermark_text", 12, anchor=anchor),
        ]  # fmt: skip
        return bar + self._line(frame)

    def _line(self, frame: Frame) -> list[Shape]:
        points = [frame.at((batch, keys)) for batch, keys in self.keys if frame.low_x <= batch <= frame.high_x]
        if self.delay == self.own or not points:
            return []
        words = f"{big(self.keys[-1][1])} with {self.slider.shown}"
        x, y = points[-1]
        return [
            line(points, "watermark", 2, "2 3"),
            text(x - 6, max(y - 8, frame.top + 10), words, "watermark_text", 12, anchor="end", bold=True, halo=True),
        ]


class Lifetime:
    """The delay that a reader tries in the view of state; the query itself is not touched."""

    def __init__(self, query: Playable) -> None:
        self.query = query
        self.own = self.delay = milliseconds(query.outline)
        self._known: dict[tuple[int, float], list[tuple[int, int]]] = {}
        self._high = 0.0

    def hear(self, name: str, value: Any, frame: Frame) -> None:
        """Take what the slider says, or where the bar was pulled to."""
        if name == "ttl":
            self.delay = float(round(value))
        elif name == "drag" and self._high:
            share = (value[1] - frame.left) / frame.width
            self.delay = round(min(max(share, 0.0), 1.0) * self._high)

    def tried(self, at: int) -> Tried | None:
        """Return what the delay that is tried would keep; None where there is not one watermark to move."""
        query = self.query
        if not Delay.fits(query) or query.playing:
            return None
        if milliseconds(query.outline) != self.own:  # the query was changed while it ran
            self.own = self.delay = milliseconds(query.outline)
        slider = slider_of("ttl", "keep keys for", self.delay, 4 * self.own or 60_000.0)
        self._high = slider.high
        return Tried(slider, self.own, self._keys(at))

    def _keys(self, at: int) -> list[tuple[int, int]]:
        """Run the batches up to one again with the delay."""
        serial = self.query.trace[at].serial
        recording = until(self.query, at)
        if self.delay == self.own or sum(told.num_input_rows for told in recording.progress) > MOST_ROWS:
            return []
        if (serial, self.delay) not in self._known:
            plan = with_delay(recording.plan, {1: int(self.delay) * MILLISECOND})
            units, count = recorded(recording), int(recording.starts[-1])
            held = run(plan, recording.output_mode, recording.watermark, units, count).held
            self._known = {(serial, self.delay): _by_batch(recording.traces, held)}
        return self._known[serial, self.delay]


def _by_batch(traces: Sequence[Any], held: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the keys after every batch, from those after times: another delay has other batches without input."""
    times = [time for time, _ in held]
    found = [(trace.batch_id, bisect_right(times, instant(trace.time))) for trace in traces]
    return [(batch, held[place - 1][1]) for batch, place in found if place]
