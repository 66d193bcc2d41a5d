"""select, with_columns: computed columns, and which of them are still event time."""

from __future__ import annotations

import narwhals as nw
import pytest

import streamnb as sn
from streamnb.errors import ColumnNotFoundError, PlanError
from tests.play import Play

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource(CLICKS))


def test_columns_stand_in_the_order_that_is_named() -> None:
    frame = clicks().select("n", "at", twice=sn.col("n") * 2)
    assert list(frame.schema) == ["n", "at", "twice"]
    Play(frame).give("at user n \n 00:01 ann 4").expect("n at twice \n 4 00:01 8")


def test_many_columns_can_be_named_at_once() -> None:
    Play(clicks().select(nw.all())).give("at user n \n 00:01 ann 4").expect("at user n \n 00:01 ann 4")
    Play(clicks().select(sn.col("user", "n"))).give("user n \n a 4").expect("user n \n a 4")


def test_with_columns_sees_the_columns_as_they_were() -> None:
    frame = clicks().with_columns(n=sn.col("n") + 1, old=sn.col("n"))
    assert list(frame.schema) == ["at", "user", "n", "old"]
    Play(frame).give("n \n 4 \n -").expect("n old \n 5 4 \n - -")


def test_a_condition_chooses_a_value() -> None:
    size = sn.when(sn.col("n") > 1).then(sn.lit("many")).otherwise(sn.lit("few"))
    Play(clicks().with_columns(size=size)).give("n \n 1 \n 2 \n -").expect("n size \n 1 few \n 2 many \n - few")


def test_a_new_name_may_be_any_text() -> None:
    assert list(clicks().with_columns(**{"größe in m²": sn.col("n")}).schema)[-1] == "größe in m²"


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.select("at"),
        lambda f: f.select("user", when=sn.col("at")),
        lambda f: f.with_columns(when=sn.col("at")),
        lambda f: f.select(nw.all()),
    ],
)
def test_event_time_that_is_handed_on_stays_event_time(change: object) -> None:
    frame = change(clicks().with_watermark("at", "0s"))  # type: ignore[operator]
    time = "when" if "when" in frame.schema else "at"
    play = Play(frame.group_by(sn.window(time, "10s")).agg(n=sn.count())).give("at \n 00:01").give("at \n 00:11").idle()
    play.expect("window_start n \n 00:00 1")


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.select(at=sn.col("at").dt.offset_by("1h")),
        lambda f: f.with_columns(at=sn.col("at").dt.truncate("1m")),
        lambda f: f.select("user", "n").with_columns(at=sn.lit(None, nw.Datetime("us"))),
    ],
)
def test_event_time_that_is_computed_is_event_time_no_more(change: object) -> None:
    frame = change(clicks().with_watermark("at", "0s"))  # type: ignore[operator]
    with pytest.raises(PlanError) as error:
        frame.group_by(sn.window("at", "10s")).agg(n=sn.count()).query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


def test_the_key_of_a_result_is_known_under_its_new_name() -> None:
    frame = clicks().group_by("user").agg(n=sn.count()).select(name=sn.col("user"), n=sn.col("n"))
    Play(frame, "update").give("user \n ann").give("user \n ann \n bob").result("name n \n ann 2 \n bob 1")


def test_a_result_that_loses_its_key_keeps_every_version() -> None:
    frame = clicks().group_by("user").agg(n=sn.count()).select("n")
    Play(frame, "update").give("user \n ann").give("user \n ann").result("n \n 1 \n 2")


@pytest.mark.parametrize("verb", ["select", "with_columns"])
def test_a_column_that_is_not_there(verb: str) -> None:
    with pytest.raises(ColumnNotFoundError, match=rf"{verb}: no column 'usr'; did you mean 'user'?"):
        getattr(clicks(), verb)(name=sn.col("usr"))


@pytest.mark.parametrize("verb", ["select", "with_columns"])
def test_an_expression_that_does_not_fit_its_column(verb: str) -> None:
    with pytest.raises(PlanError, match=rf"{verb}: the expression fails on columns ") as error:
        getattr(clicks(), verb)(year=sn.col("user").dt.year())
    assert error.value.code == "EXPRESSION_INVALID"


def test_nothing_named() -> None:
    with pytest.raises(PlanError, match=r"select: no column is named; ") as error:
        clicks().select()
    assert error.value.code == "EXPRESSION_INVALID"


def test_one_name_twice() -> None:
    with pytest.raises(PlanError, match=r"select: ") as error:
        clicks().select("n", n=sn.col("n") + 1)
    assert error.value.code in {"EXPRESSION_INVALID", "COLUMN_DUPLICATE"}


def test_literals_alone_are_one_for_every_row() -> None:
    source = sn.MemorySource({"a": "int64"})
    play = Play(sn.stream(source).select(x=sn.lit(1)))
    play.give("a \n 1 \n 2 \n 3").expect("x \n 1 \n 1 \n 1")
    play.give("").expect()


@pytest.mark.parametrize(
    "expression",
    [
        sn.col("a").sum(),
        sn.col("a").shift(1),
        sn.col("a").cum_sum(),
        sn.col("a").max().over("a"),
        sn.col("a") - sn.col("a").mean(),
    ],
)
def test_an_expression_over_several_rows_is_refused(expression) -> None:
    frame = sn.stream(sn.MemorySource({"a": "int64"}))
    for verb in (
        lambda: frame.select(x=expression),
        lambda: frame.with_columns(x=expression),
        lambda: frame.filter(expression > 1),
    ):
        with pytest.raises(PlanError, match="more than one row"):
            verb()


@pytest.mark.parametrize("kept", ["window_start", "window_end"])
def test_either_end_of_a_window_names_an_updated_row(kept) -> None:
    source = sn.MemorySource({"at": "datetime"})
    counted = sn.stream(source).group_by(sn.window("at", "10s")).agg(n=sn.count()).select(w=kept, n="n")
    play = Play(counted, "update").give("at \n 00:01")
    play.give("at \n 00:02")
    assert play.query.result["n"].tolist() == [2]
