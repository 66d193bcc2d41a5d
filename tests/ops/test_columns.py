"""drop, rename: fewer columns, other names."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource(CLICKS))


def test_dropped_columns_are_gone() -> None:
    Play(clicks().drop("at", "n")).give("at user n \n 00:01 ann 1").expect("user \n ann")


def test_renamed_columns_stay_where_they_were() -> None:
    assert list(clicks().rename({"user": "who", "at": "when"}).schema) == ["when", "who", "n"]


def test_two_names_can_be_swapped() -> None:
    frame = clicks().drop("at").rename({"user": "n", "n": "user"})
    Play(frame).give("user n \n ann 1").expect("n user \n ann 1")


def test_event_time_keeps_its_mark_under_another_name() -> None:
    frame = (
        clicks().with_watermark("at", "0s").rename({"at": "when"}).group_by(sn.window("when", "10s")).agg(n=sn.count())
    )
    Play(frame).give("at \n 00:01").give("at \n 00:11").idle().expect("window_start n \n 00:00 1")


def test_event_time_that_is_dropped_is_gone() -> None:
    with pytest.raises(PlanError) as error:
        clicks().with_watermark("at", "0s").drop("at").group_by("user").agg(n=sn.count()).query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


def test_bounds_of_a_window_under_other_names_still_end() -> None:
    lower = clicks().with_watermark("at", "0s").group_by(sn.window("at", "5s"), "user").agg(n=sn.count())
    frame = lower.rename({"window_start": "since"}).group_by("since").agg(users=sn.count())
    play = Play(frame).give("at user \n 00:01 ann \n 00:02 bob").give("at \n 00:06").idle()
    play.expect("since users \n 00:00 2")


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(ColumnNotFoundError, match=r"drop: no column 'usr'; did you mean 'user'?"):
        clicks().drop("usr")
    with pytest.raises(ColumnNotFoundError, match=r"rename: no column 'who'; the columns are "):
        clicks().rename({"who": "user"})


def test_a_name_that_is_taken() -> None:
    with pytest.raises(PlanError, match=r"rename: .* gives two columns the name .'n'.; choose another name.") as error:
        clicks().rename({"user": "n"})
    assert error.value.code == "COLUMN_DUPLICATE"
