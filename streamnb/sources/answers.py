"""Answers: what a server says, within a limit; after a first answer its silence is waited for, and seen."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from streamnb.contact import Contact
from streamnb.errors import DataError
from streamnb.patience import masked, patiently

Found = TypeVar("Found")
Other = TypeVar("Other")


class Answers:
    """The questions to one server.

    ``label`` is how it is named, ``errors`` what its client library raises, ``is_away`` tells which of these may pass.
    """

    def __init__(
        self,
        verb: str,
        label: str,
        errors: tuple[type[BaseException], ...],
        is_away: Callable[[BaseException], bool],
        *,
        seconds: float,
        secrets: tuple[str | None, ...],
    ) -> None:
        self._verb, self._label = verb, label
        self._errors: tuple[type[BaseException], ...] = (*errors, OSError)
        self._is_away, self._seconds, self._secrets = is_away, seconds, secrets
        self._lock = threading.Lock()
        self.contact = Contact()

    def ask(self, call: Callable[[], Found], otherwise: Other) -> Found | Other:
        """Return what the server says, or ``otherwise`` while one that has answered before is away."""
        try:
            return self.must(call)
        except AwayError:
            if not self.contact.was_there:
                raise
            return otherwise

    def must(self, call: Callable[[], Found]) -> Found:
        """Return what the server says; an AwayError if it says nothing in time, a DataError if it refuses."""
        with self._lock:
            try:
                found = patiently(call, self._seconds + 1)  # the call's own limit comes first
            except self._errors as error:
                trouble = (masked(error, self._secrets) or type(error).__name__).rstrip(".")
                self.contact.failed(trouble)
                away = isinstance(error, OSError) or self._is_away(error)
                way_out = "start the server, or mend the address" if away else "mend the query's source"
                said = f"{self._verb}: {self._label}: {trouble}; {way_out}."
                raise (AwayError if away else DataError)(said) from None
        self.contact.made()
        return found


def unknown(verb: str, server: str, kind: str, name: str, known: Sequence[str]) -> DataError:
    """Return the error for a name that a server does not know."""
    near = difflib.get_close_matches(name, known, n=1)
    way_out = f"did you mean {near[0]!r}?" if near else f"make it first; the {kind}s there are {sorted(known)[:10]}."
    return DataError(f"{verb}: {server} has no {kind} {name!r}; {way_out}")


class AwayError(DataError):
    """A server that does not answer, or not as it should."""
