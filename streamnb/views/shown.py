"""Shown: answers that have a figure, and the subject that draws each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamnb.answers.doctor import Diagnosis
from streamnb.suggest import Suggestion
from streamnb.views import display
from streamnb.views.doctor import Diagnosed
from streamnb.views.frontier import Frontier
from streamnb.views.share import Share
from streamnb.views.still import put
from streamnb.what_if import WhatIf

if TYPE_CHECKING:
    from streamnb.views.poster import Subject


def subject_of(answer: Any) -> Subject | None:
    """Return what draws an answer; None where it has no figure."""
    if isinstance(answer, WhatIf):
        return Frontier(answer)
    if isinstance(answer, Suggestion):
        return Share(answer)
    return Diagnosed(answer.findings, "plan") if isinstance(answer, Diagnosis) else None


def show_answer(answer: Any) -> None:
    """Display an answer; where there can be no widgets, as text."""
    subject = subject_of(answer)
    if subject is None or not display.can_show():
        put({"text/plain": repr(answer)})
    else:
        display.show_poster(subject)
