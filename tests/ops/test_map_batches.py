"""map_batches: a function of pandas in the middle of a plan."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError, QueryError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource(CLICKS))


def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(n=rows["n"] * 2)


def test_it_is_given_pandas_and_gives_pandas() -> None:
    Play(clicks().map_batches(doubled, CLICKS)).give("n \n 1 \n 2").expect("n \n 2 \n 4")


def test_nulls_go_through_as_nulls() -> None:
    Play(clicks().map_batches(doubled, CLICKS)).give("at user n \n - - -").expect("at user n \n - - -")


def test_an_empty_batch_is_a_batch() -> None:
    sizes: list[int] = []

    def measure(rows: pd.DataFrame) -> pd.DataFrame:
        sizes.append(len(rows))
        return rows

    play = Play(clicks().map_batches(measure, CLICKS))
    play.give("n").give("n \n 1")
    assert sizes == [0, 1]


def test_it_may_give_more_rows_or_fewer_with_other_columns() -> None:
    frame = clicks().map_batches(lambda rows: pd.DataFrame({"total": [rows["n"].sum()]}), {"total": "float64"})
    Play(frame).give("n \n 1 \n 2").expect("total \n 3").give("n").expect("total \n 0")


def test_what_it_does_to_its_rows_is_not_seen_elsewhere() -> None:
    def spoil(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[:, "n"] = 99
        return rows

    source = sn.MemorySource(CLICKS)
    rows = sn.stream(source)
    play = Play(rows.map_batches(spoil, CLICKS).union(rows)).give("n \n 1").expect("n \n 99 \n 1")
    play.rewind(-1).step().expect("n \n 99 \n 1")


def test_event_time_ends_here() -> None:
    frame = clicks().with_watermark("at", "0s").map_batches(doubled, CLICKS)
    with pytest.raises(PlanError) as error:
        frame.group_by(sn.window("at", "5s")).agg(n=sn.count()).query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


def test_event_time_can_be_declared_above_it() -> None:
    frame = clicks().map_batches(doubled, CLICKS).with_watermark("at", "0s")
    Play(frame.group_by(sn.window("at", "5s")).agg(n=sn.count())).give("at \n 00:09").watermark("00:09")


def test_the_plan_calls_it_opaque() -> None:
    assert "map_batches doubled (opaque)" in clicks().map_batches(doubled, CLICKS).explain()


def test_its_exception_names_the_node_the_batch_and_the_rows() -> None:
    def spill(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[["amount"]]

    play = Play(clicks().map_batches(spill, CLICKS)).add("n \n 1 \n 2")
    with pytest.raises(
        QueryError, match=r"map_batches \(node 2\) failed on batch 0, 2 rows: KeyError .*columns"
    ) as error:
        play.query.step()
    assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda _: None, "map_batches: cannot take rows from NoneType; "),
        (lambda rows: rows.assign(more=1), "map_batches: columns .'more'. are not in the schema "),
        (lambda rows: rows.assign(n="many"), "map_batches: column 'n' should be Int64 and is String"),
        (lambda rows: rows.assign(n=1.5), "map_batches: column 'n' should be Int64 and is Float64"),
    ],
)
def test_an_answer_that_does_not_fit_the_schema(answer: object, words: str) -> None:
    play = Play(clicks().map_batches(answer, CLICKS)).add("n \n 1")  # type: ignore[arg-type]
    with pytest.raises(DataError, match=words):
        play.query.step()


def test_a_type_that_does_not_exist() -> None:
    with pytest.raises(PlanError, match=r"map_batches: the type 'integer' is not known; ") as error:
        clicks().map_batches(doubled, {"n": "integer"})
    assert error.value.code == "SCHEMA_INVALID"
