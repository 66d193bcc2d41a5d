"""Play itself: it refuses a wrong story, and tells where it went wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import streamnb as sn
from streamnb.errors import QueryError
from tests.play import Play

SCHEMA = {"at": "datetime", "k": "string", "n": "int64"}


def play() -> Play:
    frame = sn.stream(sn.MemorySource(SCHEMA)).with_watermark("at", "0s")
    counts = frame.group_by(sn.window("at", "5s"), "k").agg(n=sn.count())
    return Play(counts, "update").give("at k \n 00:30 a").give("at k \n 00:31 a \n 00:02 b")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: p.expect(),
        lambda p: p.expect("k n \n a 2"),
        lambda p: p.expect("k n \n a 2 \n b 1 \n b 1"),
        lambda p: p.expect("k n \n a 2 \n b -"),
        lambda p: p.expect("k m \n a 2 \n b 1"),
        lambda p: p.late("k \n b"),
        lambda p: p.watermark("00:30"),
        lambda p: p.state_rows(3),
        lambda p: p.batches(1),
        lambda p: p.nothing_to_do(),
        lambda p: p.idle().step(),
        lambda p: p.fails(QueryError, "words"),
        lambda p: p.result("k n \n a 1"),
        lambda p: p.state("k n \n a 1"),
    ],
)
def test_a_wrong_story_is_refused(wrong: Callable[[Play], Play]) -> None:
    play().expect("k n \n a 2 \n b 1")
    with pytest.raises(AssertionError):
        wrong(play())


def test_the_whole_story_is_told_with_an_arrow_where_it_broke() -> None:
    with pytest.raises(AssertionError) as error:
        play().watermark("00:31").expect("k n \n a 3")
    story = str(error.value)
    told = [
        "   add at k / 00:30 a",
        "   step",
        "   add at k / 00:31 a / 00:02 b",
        "   step",
        "   watermark 2026-01-01 00:00:31",
        "=> expect k n / a 3",
    ]
    assert "\n".join(told) in story
    assert "got" in story


def test_what_fails_in_the_middle_is_told_too() -> None:
    with pytest.raises(AssertionError, match=r"=> add \[\{'n': 'one'\}\]"):
        play().add([{"n": "one"}])
