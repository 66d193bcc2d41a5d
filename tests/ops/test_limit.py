"""limit: the first rows over the life of a query."""

from __future__ import annotations

import pytest

import streamnb as sn
from streamnb.errors import PlanError
from tests.play import Play


def numbers() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource({"k": "string", "n": "int64"}))


def test_the_first_rows_of_all_batches_together() -> None:
    play = Play(numbers().limit(3)).give("n \n 1 \n 2").expect("n \n 1 \n 2").give("n \n 3 \n 4").expect("n \n 3")
    play.give("n \n 5").expect().result("n \n 1 \n 2 \n 3")


def test_none_at_all() -> None:
    Play(numbers().limit(0)).give("n \n 1").expect()


def test_a_second_limit_counts_what_the_first_lets_through() -> None:
    Play(numbers().limit(5).filter(sn.col("n") > 1).limit(2)).give("n \n 1 \n 2 \n 3 \n 4").expect("n \n 2 \n 3")


def test_rewinding_gives_the_places_back() -> None:
    Play(numbers().limit(3)).give("n \n 1 \n 2").give("n \n 3 \n 4").rewind(0).step().expect("n \n 3")


def test_it_is_one_counter_of_state() -> None:
    play = Play(numbers().limit(3)).give("n \n 1 \n 2")
    assert play.query.last_progress is not None
    assert [operator.num_rows_total for operator in play.query.last_progress.state_operators] == [1]


def test_below_a_complete_table_it_counts_over_the_life_of_the_query() -> None:
    play = Play(numbers().limit(3).group_by().agg(rows=sn.count()), "complete")
    play.give("n \n 1 \n 2").expect("rows \n 2").give("n \n 3 \n 4").expect("rows \n 3")


def test_above_a_complete_table_it_takes_the_head_of_every_batch() -> None:
    play = Play(numbers().group_by("k").agg(rows=sn.count()).sort("k").limit(1), "complete")
    play.give("k \n b \n c").expect("k rows \n b 1").give("k \n a \n b").expect("k rows \n a 1")


def test_a_table_is_limited_once() -> None:
    source = sn.MemorySource({"n": "int64"})
    source.add({"n": [1, 2]})
    source.add({"n": [3, 4]})
    assert list(sn.stream(source).limit(3).collect()["n"]) == [1, 2, 3]


@pytest.mark.parametrize("n", [-1])
def test_no_number_of_rows(n: int) -> None:
    with pytest.raises(PlanError, match=rf"limit: {n} is not a number of rows; ") as error:
        numbers().limit(n)
    assert error.value.code == "OPTION_INVALID"


def test_update_mode() -> None:
    with pytest.raises(PlanError, match=r"query: limit has no meaning in update mode; ") as error:
        numbers().limit(3).query("update")
    assert error.value.code == "LIMIT_IN_UPDATE"
