"""Doctor: what will surprise in a query, as cards: what, why, the way out, and the lesson that teaches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from streamnb.answers.findings import in_plan
from streamnb.answers.symptoms import in_traces
from streamnb.views.notice import lesson_file
from streamnb.views.shapes import Remedies, Remedy, Sheet
from streamnb.views.view import View

if TYPE_CHECKING:
    from streamnb.answers.findings import Finding
    from streamnb.progress import Playable


def doctor_sheet(findings: Sequence[Finding], *, linked: bool = False, what: str = "query") -> Sheet:
    """Lay out findings; ``linked``: with links to the lessons that lie beside the notebook."""
    if not findings:
        title = f"Nothing in this {what} will surprise."
        return Sheet(title, (), title, "The doctor looks again after every batch." if what == "query" else "")
    number = len(findings)
    title = f"{number} thing{'' if number == 1 else 's'} in this {what} will surprise."
    said = " ".join(f"{finding.what}: {finding.why}." for finding in findings)
    cards = Remedies(tuple(_remedy(finding, linked=linked) for finding in findings))
    return Sheet(title, (cards,), f"{title} {said}", f"Nothing of this stops the {what}.")


def _remedy(finding: Finding, *, linked: bool) -> Remedy:
    way_out = f"{finding.way_out[0].upper()}{finding.way_out[1:]}."
    link = lesson_file(finding.lesson) if linked else ""
    return Remedy(finding.code, finding.what, f"{finding.why}.", way_out, finding.title, link)


class Doctor(View):
    """The findings of a query up to the batch looked at."""

    name = "doctor"

    @classmethod
    def fits(cls, query: Playable) -> bool:
        """Return whether there is one plan to look at."""
        return hasattr(query, "plans")

    def sheet(self, at: int) -> Sheet:
        """Lay out what the plan, and the batches up to one, show."""
        return doctor_sheet(findings_of(self.query, at), linked=self.live)


def findings_of(query: Playable, at: int) -> list[Finding]:
    """Return what the plan of a query, and its batches up to position ``at``, show."""
    plan = query.plans[1]  # type: ignore[attr-defined]  # a Query
    policy = getattr(query, "watermark_policy", "min")
    return [*in_traces(list(query.trace)[: at + 1], policy), *in_plan(plan, query.outline.output_mode)]


class Watch:
    """How many findings a query has. While it plays it is asked seldom: as often as its story has grown by a tenth."""

    def __init__(self, query: Playable) -> None:
        self._query, self._asked, self._number = query, -1, 0

    def number(self, at: int, *, playing: bool) -> int:
        """Return the number after the batch at ``at``."""
        if not Doctor.fits(self._query):
            return 0
        place = at + self._query.let_go
        if not playing or abs(place - self._asked) * 10 >= max(at, 10):
            self._asked, self._number = place, len(findings_of(self._query, at))
        return self._number


class Diagnosed:
    """Findings that follow no query: those of ``sn.doctor(frame)``."""

    def __init__(self, findings: Sequence[Finding], what: str) -> None:
        self.findings, self.what = findings, what

    def sheet(self) -> Sheet:
        """Lay them out."""
        return doctor_sheet(self.findings, linked=True, what=self.what)

    def hear(self, name: str, value: Any) -> None:
        """Nothing can be chosen here."""
