"""Still: what a reader without a kernel sees, kept beside the live view and hidden while that is there."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from IPython.display import display, update_display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Still:
    """Outputs that hold the newest picture in formats that every reader of a notebook knows.

    They are outputs of their own: replacing the output of a live view would make it again, and take its focus. A rule
    in ``live.css`` hides them as long as a dashboard lives right above.
    """

    def __init__(self, pictures: Mapping[str, Callable[[], str]]) -> None:
        self._pictures = {uuid.uuid4().hex: (mime, make) for mime, make in pictures.items()}
        self._shown: dict[str, str] = {}

    def show(self) -> None:
        """Display every picture in the cell that runs now."""
        for name, (mime, make) in self._pictures.items():
            self._shown[name] = make()
            put({mime: self._shown[name]}, name)

    def refresh(self) -> None:
        """Bring every picture that is displayed up to date, in whatever cells it stands.

        All are made before the first is sent: a notebook that is saved meanwhile keeps pictures of one batch.
        """
        newest = {name: self._pictures[name][1]() for name in tuple(self._shown)}
        changed = [name for name, picture in newest.items() if picture != self._shown[name]]
        self._shown |= newest
        for name in changed:
            replace({self._pictures[name][0]: newest[name]}, name)


def put(bundle: Mapping[str, Any], name: str | None = None) -> None:
    """Display a bundle of mime types in the cell that runs now; ``name`` is for :func:`replace`."""
    display(dict(bundle), raw=True, display_id=name)  # type: ignore[no-untyped-call]


def replace(bundle: Mapping[str, Any], name: str) -> None:
    """Put a bundle in the place of the one of that name, from any thread and without a running cell."""
    update_display(dict(bundle), raw=True, display_id=name)  # type: ignore[no-untyped-call]
