"""The exercises: each passes its solution, and tells each of its wrong models what it is."""

from __future__ import annotations

from functools import partial

import pandas as pd
import polars as pl
import pytest

import streamnb as sn
from streamnb import display
from streamnb.dstream.states import KeyState
from streamnb.learn.check import check, exercise, hint, lesson, lessons, solution
from streamnb.learn.exercise import Exercise, World, Wrong, judge

ALL = [one for number in lessons() for one in lesson(number)]
WRONG = [(one, wrong) for one in ALL for wrong in one.wrong]


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_the_solution_is_right(one):
    assert str(judge(one, one.solution)) == "right"


@pytest.mark.parametrize(("one", "wrong"), WRONG, ids=lambda x: x.name if isinstance(x, Exercise) else x.message[:40])
def test_a_wrong_model_is_named(one, wrong):
    assert str(judge(one, wrong.answer)) == f"not yet: {wrong.message}"


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_there_are_hints_and_a_solution_that_is_code(one):
    assert len(one.hints) == 3
    assert len({wrong.message for wrong in one.wrong}) == len(one.wrong) >= 1
    compile(one.source(), one.name, "exec")


# -- what a check says


def double(numbers):
    return [2 * n for n in numbers]


def table(values):
    return pd.DataFrame({"n": range(len(values)), "twice": values})


DOUBLE = Exercise(
    name="99.A",
    oracle=lambda numbers: table(double(numbers)),
    worlds=lambda: (World("", ([1, 2],)), World("another", ([3],))),
    solution=lambda numbers: table(double(numbers)),
    wrong=(Wrong("that is the square", lambda numbers: table([n * n for n in numbers])),),
    hints=("a", "b", "c"),
    shown="def twice(numbers):\n    return ...",
)


@pytest.mark.parametrize("untried", [None, ..., lambda _: None, lambda numbers: numbers])
def test_what_the_notebook_came_with_is_not_tried(untried):
    assert str(judge(DOUBLE, untried)) == "not tried"


def test_the_first_wrong_row_is_told():
    half = judge(DOUBLE, lambda numbers: table([n + 1 for n in numbers]))
    assert str(half) == "not yet: you say n 1, twice 3; that is not so"


def test_a_constant_fails_on_data_not_seen():
    told = str(judge(DOUBLE, lambda _: table([2, 4])))
    assert told.startswith("not yet: it gives the same on every data set: ")
    assert "make its result of numbers" in told


def test_what_is_right_on_one_day_names_the_other():
    told = str(judge(DOUBLE, lambda numbers: table(double(numbers) if len(numbers) > 1 else [7])))
    assert told == "not yet: you say n 0, twice 7; that is not so (on another, which you have not seen)"


SLIP = "return numbers + missing  # type: ignore[name-defined]  # noqa: F821"


def missing_name(numbers):
    return numbers + missing  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (missing_name, f"your code raises NameError: name 'missing' is not defined, in: {SLIP}"),
        (partial(missing_name), "your code raises NameError: name 'missing' is not defined"),
        (len, "give a table or a frame, not 2"),
        (lambda _: pd.DataFrame({"n": []}), "there is no column 'twice', only ['n']"),
        (lambda _: pd.DataFrame({"n": [], "twice": []}), "the table has no rows"),
        (lambda numbers: pd.concat([table(numbers)] * 2), "n 0 has 2 rows; one is asked"),
        (lambda numbers: numbers.clear(), "your function gives nothing back: is return missing?"),
        (lambda: 1, "your function is called as twice(numbers), and does not take that"),
        ([2, 4], "give the function itself, as in sn.check('99.A', twice), not [2, 4]"),
    ],
)
def test_a_broken_answer_gets_one_line(answer, reason):
    said = str(judge(DOUBLE, answer)).replace("test_a_broken_answer_gets_one_line.<locals>.", "")
    assert said == f"not yet: {reason}"


@pytest.mark.parametrize(
    "form",
    [
        lambda rows: rows.set_index("n")["twice"],
        lambda rows: rows.set_index("n"),
        lambda rows: rows.to_dict("records"),
        pl.from_pandas,
        lambda rows: rows[["twice", "n"]].iloc[::-1],
        lambda rows: rows.assign(besides="x"),
    ],
)
def test_a_table_may_have_many_forms(form):
    assert str(judge(DOUBLE, lambda numbers: form(table(double(numbers))))) == "right"


def test_a_time_may_be_written_down():
    assert str(judge(exercise("00.B"), "2013-02-08 20:00")) == "right"


def test_a_query_is_run_to_its_end_for_the_learner():
    def open_one(rows):
        return rows.group_by(sn.window("dep", "1 day", start="10 hours")).agg(n=sn.count()).query("update")

    assert str(judge(exercise("02.A"), open_one)) == "right"


def test_rows_that_a_watermark_drops_are_told_of():
    def impatient(rows):
        return (
            rows.with_watermark("dep", "3 hours")
            .group_by(sn.window("dep", "1 day", start="10 hours"))
            .agg(n=sn.count())
        )

    assert "53 rows came too late for your watermark" in str(judge(exercise("02.A"), impatient))


def test_a_verb_of_frames_on_a_table_tells_the_way():
    told = str(judge(exercise("08.A"), lambda past, _: past.group_by("arr")))
    assert "sn.from_pandas(…) makes a frame of a table" in told


def test_an_error_of_ours_is_told_as_it_stands():
    told = str(judge(exercise("03.B"), lambda rows: rows.filter(sn.col("dap") < sn.col("arr"))))
    assert told.startswith("not yet: filter: ")
    assert "dep" in told


def test_a_card_is_escaped():
    assert "<img" not in check("03.A", {"delay": "<img src=x onerror=alert(1)>"})._repr_html_()


def test_hints_come_one_by_one_and_again():
    said = [repr(hint("03.B")) for _ in range(4)]
    assert len(set(said)) == 3
    assert said[0] == said[3]


def test_a_solution_is_shown_as_code():
    assert "def protect(rows):" in repr(solution("03.B"))


def test_an_exercise_that_is_not_there_names_those_that_are():
    with pytest.raises(sn.PlanError, match=r"03\.A"):
        check("03.Z", 1)


def test_a_check_tells_nothing_of_the_queries_it_makes(monkeypatch):
    told: list[object] = []
    monkeypatch.setattr(display, "opened", told.append)
    grows = "def by_airport(rows): return rows.group_by('origin').agg(landed=sn.count())"
    known = {"sn": sn}
    exec(grows, known)  # noqa: S102  a learner's answer
    assert repr(check("00.A", known["by_airport"])).startswith("not yet")
    assert told == []
    sn.data.landings().group_by("origin").agg(n=sn.count()).query("update").stop()
    assert len(told) == 1


SESSION = sn.session_window("at", "30 minutes")


def waits_too_long(departures, reports):
    half_day = sn.between("landed", after="0s", before="12 hours", of="dep")
    joined = departures.join(reports, on="flight_id", how="left", within=half_day)
    return joined.filter(sn.col("landed").is_null() | (sn.col("landed") - sn.col("dep") > pd.Timedelta("6h")))


def all_at_once(past, live):
    rows = sn.from_pandas(past).union(live)
    return rows.group_by(sn.window("arr", "1 day")).agg(landed=sn.count()).collect()


def salted_by(parts):
    def mean_delay(rows):
        salted = rows.with_columns(salt=sn.col("flight") % parts)
        part = salted.group_by("origin", "salt").agg(total=sn.sum("dep_delay"), n=sn.count())
        full = part.group_by("origin").agg(total=sn.sum("total"), n=sn.sum("n"))
        return full.with_columns(mean_delay=sn.col("total") / sn.col("n")).select("origin", "mean_delay")

    return mean_delay


def steps_itself(q, better, at_batch):
    while q.last_progress.batch_id < at_batch - 1:
        q.step()
    q.switch_to(q.fork(query=better))


def no_fork(q, better, at_batch):
    q.switch_to(better.query(name="beside"), at_batch=at_batch)


def seoul_in_pandas(rows):
    hours = pd.Timedelta("14h")
    days = (rows.collect()["dep"] + hours).dt.normalize() - hours
    return days.value_counts().rename_axis("window_start").rename("n")


def once_within(delay):
    return lambda clicks: clicks.with_watermark("at", delay).drop_duplicates_within_watermark(["id"])


def visits_with(delay):
    return lambda clicks: once_within(delay)(clicks).group_by(SESSION, "user").agg(pages=sn.count())


def remembering_elsewhere():
    """A rule that keeps its cards in a dict of its own, and begins anew where time goes back to the first day."""
    cards: dict[object, KeyState] = {}
    newest = None

    def risk(card, payment, _):
        nonlocal newest
        if newest is not None and payment["at"] < newest - pd.Timedelta("1h"):
            cards.clear()
        newest = payment["at"]
        return exercise("11.A").solution(card, payment, cards.setdefault(card, KeyState()))

    return risk


def never_forgets(model, events):
    asked = {}
    for event in events:
        if event["news"] == "leaves":
            asked[event["flight_id"]] = {name: event[name] for name in ("dep_delay", "distance", "hour", "origin")}
            yield event["flight_id"], model.predict_proba_one(asked[event["flight_id"]])[True]
        else:
            model.learn_one(asked[event["flight_id"]], event["late"])


@pytest.mark.parametrize(
    ("name", "answer", "but"),
    [
        ("11.A", remembering_elsewhere(), "nothing is kept in state"),
        ("12.A", never_forgets, "232 flights are still remembered when all have landed"),
        ("05.A", lambda clicks: clicks.collect().drop_duplicates("id"), "that is a table"),
        ("02.A", seoul_in_pandas, "that is a table"),
        (
            "05.B",
            lambda clicks: visits_with("20 minutes")(clicks.drop_duplicates(["id"])),
            "650 keys of the state never",
        ),
    ],
)
def test_what_is_right_but_not_in_a_stream_is_told(name, answer, but):
    assert str(judge(exercise(name), answer)).startswith(f"right, but: {but}")


def all_at_once_and_at_departure(model, events):
    truth = sn.data.flights().assign(late=lambda f: f["arr_delay"] > 15).set_index("flight_id")["late"]
    for event in list(events):
        if event["news"] == "leaves":
            x = {name: event[name] for name in ("dep_delay", "distance", "hour", "origin")}
            yield event["flight_id"], model.predict_proba_one(x)[True]
            model.learn_one(x, bool(truth[event["flight_id"]]))


def rings_late(_, rows, state):
    n = state.get_option[0] if state.exists else 0
    if n == 0:
        yield rows[["origin", "at"]].tail(1)
    state.update((n + 1, rows["at"].iloc[-1]))


def a_timestamp_for_sqlite(db, now):
    asked = "select page, count(*) as visitors from visits where at > ? group by page"
    return pd.read_sql(asked, db, params=[now - pd.Timedelta("30 min")])


def by_attribute(rows):
    return rows.filter(rows.dep <= rows.arr)


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("03.A", {"delay": 4, "median_wait": 6.75}, "a delay of 4 hours loses 8 of the 45 long flights"),
        ("03.A", {"delay": "5 hours", "median_wait": 8.0}, "both numbers of hours"),
        ("03.A", {"delay": 5}, "the delay is right, the wait is not"),
        ("03.A", {"delay": 6, "median_wait": 1.0}, "a shorter delay does"),
        ("03.A", 5, "give a dict"),
        ("04.A", {"audit file": "append", "departure board": "append", "bar chart": "update"}, "the board is silent"),
        ("04.A", {"audit file": "Append"}, "audit file: 'Append' is no mode"),
        ("03.A", {"delay": 5, "median_wait": pd.Timedelta("8h")}, "both numbers of hours"),
        ("00.B", "2013-02-08 19:00", "too early: a plane lands at LaGuardia after that"),
        ("00.B", pd.Timestamp("2013-02-08 21:00"), "too late: the step before had that number too"),
        ("00.B", 20, "give a time, such as pd.Timestamp('2013-02-09 06:00'), not 20"),
        ("00.B", "some day", "not 'some day'"),
        ("15.A", lambda q, better, at_batch: q.switch_to(better, at_batch=at_batch), "StreamFrame is no query"),
        ("05.A", lambda clicks: clicks.drop_duplicates(["id"]), "the state holds 650 of 650 ids"),
        ("05.A", once_within("1 hour"), "the state holds 455 of 650 ids"),
        ("05.B", visits_with("5 minutes"), "as a stream it gets 2 visits wrong"),
        ("07.A", waits_too_long, "of them later than it is certain"),
        ("08.A", all_at_once, "live was read once, all of it"),
        ("15.A", steps_itself, "q has done batches inside change"),
        ("15.A", no_fork, "your second query goes its own way"),
        ("14.A", salted_by(24), "the means are right; but eight workers are idle 42% of the time"),
        ("03.B", lambda rows: rows.select("dep"), "give the reports themselves"),
        ("04.A", "append", "give a dict"),
        ("08.A", lambda past, live: (past, live), "give a table or a frame, not a tuple"),
        ("12.A", lambda _, __: iter(()), "nothing is predicted and nothing learned"),
        ("12.A", lambda model, _: [model.predict_one({})], "predict_one is not needed"),
        ("13.A", lambda _: 100, 'return a dict with "trigger" and "limit", not 100'),
        ("13.A", lambda _: {"trigger": "100 ms", "limit": "many"}, "limit is a number of rows, not 'many'"),
        ("13.A", lambda _: {"trigger": "100 ms", "limit": 8_000}, "takes 240 ms, more than twice"),
        ("13.A", lambda _: {"trigger": "100 ms", "limit": 3_000}, "the queue is not short again"),
        ("03.B", lambda rows: rows[rows["dep"] <= rows["arr"]], "write col('dep')"),
        ("09.A", rings_late, "that is not so (on the overdue flights above)"),
        ("10.B", a_timestamp_for_sqlite, "SQLite knows no Timestamp: at is text"),
        ("11.A", lambda _, payment, __: payment["amount"] > 200, " honest payments blocked); half of what the rule"),
        ("12.A", all_at_once_and_at_departure, "you read events that have not happened yet"),
        ("03.B", by_attribute, "the column is col('dep'), in: "),
        ("01.A", lambda rows: rows.group_by("carrier").agg(sn.sum("distance")), "sum(distance) has no name; name it: "),
        ("03.B", lambda rows: rows.collect(), "give a frame, such as rows.filter(…), not a DataFrame"),
    ],
)
def test_a_plausible_slip_is_told_why(name, answer, said):
    told = str(judge(exercise(name), answer))
    assert told.startswith("not yet: ")
    assert said in told
    assert len(told) < 200
