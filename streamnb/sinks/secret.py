"""Secrets: what must not be seen in a repr, a trace, an error message or a checkpoint."""

from __future__ import annotations


class Secret:
    """Holds an address with its password; what is printed is an ellipsis."""

    __slots__ = ("_shown", "value")

    def __init__(self, value: str, *parts: str | None) -> None:
        self.value = value
        self._shown = sorted({part for part in (value, *parts) if part}, key=len, reverse=True)

    def hidden(self, text: object) -> str:
        """Return a text as one line in which nothing of the secret stands."""
        line = " ".join(str(text).split())
        for part in self._shown:
            line = line.replace(part, "…")
        return line

    def __repr__(self) -> str:
        return "…"
