"""read: a source as the beginning of a plan."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError
from tests.play import Play


class Countdown:
    """A source as a user writes it: 3, 2, 1 and no more; all that is there is one unit."""

    def __init__(self) -> None:
        self.schema = {"n": "int64"}
        self.done: list[int] = []

    def latest(self) -> int:
        return 3

    def read(self, start: int | None, end: int) -> list[dict[str, int]]:
        return [{"n": 3 - i} for i in range(start or 0, end)]

    def commit(self, end: int) -> None:
        self.done.append(end)


def test_a_source_of_ones_own() -> None:
    source = Countdown()
    play = Play(sn.stream(source)).step().expect("n \n 3 \n 2 \n 1").nothing_to_do()
    assert source.done == [3]
    play.rewind(-1).step().expect("n \n 3 \n 2 \n 1")


def test_a_source_with_nothing_in_it_yet() -> None:
    source = Countdown()
    source.latest = lambda: 0  # type: ignore[method-assign]
    Play(sn.stream(source)).nothing_to_do().batches(0)


def test_a_source_that_breaks_its_promise() -> None:
    source = Countdown()
    source.read = lambda *_: [{"n": "three"}]  # type: ignore[method-assign]
    with pytest.raises(DataError, match=r"read .*Countdown.*: "):
        sn.stream(source).query(on_bad_record="fail").step()


def test_a_source_that_fails_is_asked_again() -> None:
    source, reading = Countdown(), Countdown().read
    play = Play(sn.stream(source))

    def broken(*_: object) -> list[dict[str, int]]:
        source.read = reading  # type: ignore[method-assign]
        raise OSError("the line is down")

    source.read = broken  # type: ignore[assignment, method-assign]
    play.fails(OSError, "the line is down").step().expect("n \n 3 \n 2 \n 1").batches(1)


def test_something_that_is_no_source() -> None:
    with pytest.raises(PlanError, match=r"stream: \[\] is no source; it needs schema, latest") as error:
        sn.stream([])  # type: ignore[arg-type]
    assert error.value.code == "SOURCE_MISSING"
