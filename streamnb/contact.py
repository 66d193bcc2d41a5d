"""Contact: whether another system has answered, and what is wrong now: since when, and how often it was tried."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from streamnb.time import Clock, SystemClock


@dataclass(frozen=True)
class Trouble:
    """Why another system does not answer: its words, since when (microseconds), and how often it was tried."""

    said: str
    since: int
    tries: int

    def __str__(self) -> str:
        since = dt.datetime.fromtimestamp(self.since // 1_000_000, dt.UTC)
        return f"{self.said} (since {since:%Y-%m-%d %H:%M:%S} UTC, tried {self.tries} time{'s' * (self.tries > 1)})"


class Contact:
    """What is known of the way to another system."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self.was_there = False
        self.trouble: Trouble | None = None

    @property
    def status(self) -> str:
        """``"connected"``, or what is tried again."""
        if self.trouble is not None:
            return f"trying again: {self.trouble}"
        return "connected" if self.was_there else "not connected yet"

    def made(self) -> None:
        """Hear that it has answered."""
        self.was_there, self.trouble = True, None

    def failed(self, said: str, tries: int = 1) -> None:
        """Hear that it has not, with its words; since when stays what it was."""
        before = self.trouble or Trouble(said, self._clock.now(), 0)
        self.trouble = Trouble(said.rstrip("."), before.since, max(1, before.tries + tries))


class Reached:
    """A source that tells how it stands with its server."""

    contact: Contact

    @property
    def status(self) -> str:
        """``"connected"``, or what is tried again."""
        return self.contact.status

    @property
    def trouble(self) -> Trouble | None:
        """Why its server is away; None while it answers."""
        return self.contact.trouble
