"""explode: a row for every element of a list."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play


def lists() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource({"k": "string", "l": "list[int64]", "ll": "list[list[int64]]"}))


def test_a_row_for_every_element() -> None:
    play = Play(lists().explode("l")).give("k l \n a 1,2 \n b 3")
    play.expect("k l \n a 1 \n a 2 \n b 3")


def test_an_empty_list_and_a_missing_one_give_no_row() -> None:
    Play(lists().explode("l")).give("k l \n a [] \n b - \n c 3").expect("k l \n c 3")


def test_a_null_in_a_list_is_an_element() -> None:
    Play(lists().explode("l")).give("k l \n a 1,-").expect("k l \n a 1 \n a -")


def test_a_list_of_lists_is_opened_one_level() -> None:
    assert str(lists().explode("ll").schema["ll"]) == "List(Int64)"


def test_words_of_a_line_are_counted() -> None:
    words = sn.stream(sn.MemorySource({"line": "string"})).select(word=sn.col("line").str.split("_")).explode("word")
    Play(words.group_by("word").agg(n=sn.count()), "update").give("line \n to_be_or_not_to_be").expect(
        "word n \n to 2 \n be 2 \n or 1 \n not 1"
    )


def test_a_result_that_is_updated_has_the_elements_of_the_latest_list() -> None:
    frame = (
        sn.stream(sn.MemorySource({"k": "string", "n": "int64"})).group_by("k").agg(n=sn.collect_list("n")).explode("n")
    )
    play = Play(frame, "update").give("k n \n a 1 \n b 2").give("k n \n a 3")
    play.expect("k n \n a 1 \n a 3").result("k n \n a 1 \n a 3 \n b 2")


def test_something_that_is_no_list() -> None:
    with pytest.raises(PlanError, match=r"explode: 'k' is String, not a list; ") as error:
        lists().explode("k")
    assert error.value.code == "EXPRESSION_INVALID"


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"explode: no column 'list'; "):
        lists().explode("list")
