"""Shown: answers that have a figure, and the subject that draws each."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from streamnb.answers.doctor import Diagnosis
from streamnb.evolving.differing import Differences
from streamnb.spark.compare import Comparison
from streamnb.spark.forecast import Forecast
from streamnb.suggest import Suggestion
from streamnb.views import display
from streamnb.views.comparison import Compared
from streamnb.views.doctor import Diagnosed
from streamnb.views.forecast import Foretold
from streamnb.views.frontier import Frontier
from streamnb.views.poster import Subject
from streamnb.views.share import Share
from streamnb.views.still import put
from streamnb.views.two_runs import TwoRuns
from streamnb.what_if import WhatIf


@singledispatch
def subject_of(answer: Any) -> Subject | None:  # noqa: ARG001
    """Return what draws an answer; None where it has no figure."""
    return None


@subject_of.register
def _what_if(answer: WhatIf) -> Subject:
    return Frontier(answer)


@subject_of.register
def _suggestion(answer: Suggestion) -> Subject:
    return Share(answer)


@subject_of.register
def _diagnosis(answer: Diagnosis) -> Subject:
    return Diagnosed(answer.findings, "plan")


@subject_of.register
def _forecast(answer: Forecast) -> Subject:
    return Foretold(answer)


@subject_of.register
def _differences(answer: Differences) -> Subject:
    return TwoRuns(answer)


@subject_of.register
def _comparison(answer: Comparison) -> Subject:
    return Compared(answer)


def show_answer(answer: Any) -> None:
    """Display an answer; where there can be no widgets, as text."""
    subject = subject_of(answer)
    if subject is None or not display.can_show():
        put({"text/plain": repr(answer)})
    else:
        display.show_poster(subject)
