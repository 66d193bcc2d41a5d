"""crash: a query dies at a point of a batch, over five ways of writing; what each has lost or doubled."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.crashing.dying import MOMENTS, Crashed, dying
from streamnb.points import POINTS

SCHEMA = {"at": "datetime", "id": "int64"}
LATER, APPEND, COUNT, OVERWRITE, TOGETHER = (
    "commit, then write",
    "append rows",
    "add to a counter",
    "overwrite by key",
    "rows and batch id together",
)


def fed():
    source = sn.MemorySource(SCHEMA)
    for batch in range(3):
        source.add([{"at": f"2026-01-01 00:00:{10 * batch + i:02d}", "id": 10 * batch + i} for i in range(6)])
    return sn.stream(source)


@pytest.fixture
def query():
    return fed().query()


def verdicts(crash):
    return dict(zip(crash.table["strategy"], crash.table["verdict"], strict=True))


EXACT = dict.fromkeys([LATER, APPEND, COUNT, OVERWRITE, TOGETHER], "exact")


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("before the write", {}),
        ("halfway", {LATER: "3 lost", APPEND: "3 twice", COUNT: "3 twice", OVERWRITE: "exact, half seen"}),
        ("before the commit", {APPEND: "6 twice", COUNT: "6 twice"}),
        ("after the commit", {LATER: "6 lost"}),
    ],
)
def test_exactly_once_is_decided_at_the_sink(query, at, told):
    crash = sn.crash(query, batch=1, at=at, key="id").restart()
    assert verdicts(crash) == EXACT | told
    assert crash[TOGETHER].held == crash[TOGETHER].expected == 18


@pytest.mark.parametrize("at", ["before plan", "before state", "between statements", "commits.begun", "epoch.written"])
def test_rows_and_batch_id_together_survive_every_moment(query, at):
    outcome = sn.crash(query, batch=1, at=at)[TOGETHER]
    assert outcome.verdict == "exact"
    assert outcome.reached


def test_until_the_restart_the_queries_are_dead(query):
    crash = sn.crash(query, batch=1, at="before commit")
    assert "5 queries are dead" in repr(crash)
    assert "6 twice" in repr(crash.restart())


def test_the_logs_tell_how_far_it_was(query):
    logs = sn.crash(query, batch=1, at="before commit")[TOGETHER].logs
    assert logs[["after", "offsets", "commits", "sink rows"]].to_numpy().tolist() == [
        ["crash", 1, 0, 12],
        ["restart", 2, 2, 18],
    ]


def test_state_goes_on_where_it_was():
    hourly = fed().with_watermark("at", "5 seconds").group_by(sn.window("at", "7 seconds")).agg(n=sn.count())
    crash = sn.crash(hourly.query("update"), batch=1, at="before commit")
    assert crash[TOGETHER].right
    assert crash[OVERWRITE].right
    assert not crash.right


def test_the_fullest_batch_is_the_one_that_dies(query):
    query._plan.source.add([{"at": "2026-01-01 00:01:00", "id": i} for i in range(100, 108)])
    assert sn.crash(query).batch == 3


def test_a_batch_that_does_not_get_there_did_not_crash(query):
    assert sn.crash(query, batch=1, at="state.done")[APPEND].verdict == "exact, did not crash"


# -- a function of the user's own


def torn(rows, batch_id, db):
    with db:
        db.execute("CREATE TABLE IF NOT EXISTS done (id)")
        if db.execute("SELECT 1 FROM done WHERE id = ?", [batch_id]).fetchone():
            return
        rows.to_sql("clean", db, if_exists="append", index=False)  # commits
        db.execute("INSERT INTO done VALUES (?)", [batch_id])


def whole(rows, batch_id, db):
    with db:
        db.execute("CREATE TABLE IF NOT EXISTS clean (at, id)")
        db.execute("CREATE TABLE IF NOT EXISTS done (id)")
        if db.execute("SELECT 1 FROM done WHERE id = ?", [batch_id]).fetchone():
            return
        db.executemany("INSERT INTO clean VALUES (?, ?)", rows.astype({"at": str}).to_numpy().tolist())
        db.execute("INSERT INTO done VALUES (?)", [batch_id])


@pytest.mark.parametrize("at", list(MOMENTS))
def test_a_transaction_of_ones_own_is_exact(query, at):
    assert sn.crash(query, batch=1, at=at, sinks=whole)["whole"].verdict == "exact"


def test_a_transaction_that_is_none_is_found_out(query):
    found = sn.crash(query, batch=1, at="between statements", sinks={"mine": torn, "other": whole})
    assert verdicts(found) == {"mine": "6 twice", "other": "exact"}


def test_a_sink_that_refuses_says_so(query):
    def once(rows, batch_id, db):
        db.execute("CREATE TABLE sink (at, id, PRIMARY KEY (id))") if batch_id == 0 else None
        db.executemany("INSERT INTO sink VALUES (?, ?)", rows.astype({"at": str}).to_numpy().tolist())

    assert "UNIQUE constraint failed" in sn.crash(query, batch=1, sinks=once)["once"].verdict


# -- a real kill


def make():
    import streamnb as sn

    source = sn.MemorySource({"at": "datetime", "id": "int64"})
    for batch in range(3):
        source.add([{"at": f"2026-01-01 00:00:{10 * batch + i:02d}", "id": 10 * batch + i} for i in range(6)])
    return sn.stream(source)


def test_a_process_that_is_really_killed_leaves_the_same():
    crash = sn.crash(make, batch=1, at="halfway", key="id", real=True)
    told = {LATER: "3 lost", APPEND: "3 twice", COUNT: "3 twice", OVERWRITE: "exact, half seen"}
    assert verdicts(crash) == EXACT | told


def test_what_another_process_needs_is_asked_for():
    with pytest.raises(sn.PlanError, match="give a function that makes it"):
        sn.crash(fed(), real=True)
    with pytest.raises(sn.PlanError, match="written with def"):
        sn.crash(lambda: fed().query(), real=True)


def test_what_another_process_lacks_is_named():
    def lacking():
        return fed()

    with pytest.raises(sn.QueryError, match=r"NameError: name 'fed' is not defined; .*import all it needs"):
        sn.crash(lacking, real=True)


# -- a query of one's own


def test_a_query_dies_and_is_opened_again(tmp_path):
    seen: list[tuple[int, int]] = []
    options = {"checkpoint": tmp_path, "sink": lambda rows, batch_id: seen.append((batch_id, len(rows)))}
    with pytest.raises(Crashed, match=r"sink\.end of batch 1; open the query again"), dying("before commit", 1):
        fed().query(**options).run()
    again = fed().query(**options).run()
    assert seen == [(0, 6), (1, 6), (1, 6), (2, 6)]
    again.stop()


def test_points_are_heard_by_the_thread_that_dies(tmp_path):
    playing = fed().query(checkpoint=tmp_path)
    with dying("batch.begin", 0):
        playing.play(every="1ms")
        playing.post("pause")
        assert playing.await_termination(0.2) is False
    assert playing.exception is None
    playing.stop()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"at": "tomorrow"}, "at='tomorrow' is not known"),
        ({"batch": 99}, "batch=99 never runs; the query runs batches 0 to 2."),
        ({"key": "nothing"}, "key='nothing' is not known; use 'at' | 'id'."),
    ],
)
def test_what_is_not_there_is_named(query, options, words):
    with pytest.raises(sn.PlanError, match="crash: ") as raised:
        sn.crash(query, **options)
    assert words in str(raised.value)


def test_complete_mode_is_refused():
    with pytest.raises(sn.PlanError, match="complete mode"):
        sn.crash(fed().group_by("id").agg(n=sn.count()).query("complete"))


def test_a_query_without_rows_is_refused():
    with pytest.raises(sn.PlanError, match="feed the source"):
        sn.crash(sn.stream(sn.MemorySource(SCHEMA)))


def test_every_moment_is_a_point():
    assert set(MOMENTS.values()) <= set(POINTS)


def test_the_table_is_plain(query):
    table = sn.crash(query, batch=1).table
    assert isinstance(table, pd.DataFrame)
    assert list(table) == [
        "strategy", "guarantee", "expected", "held", "lost", "doubled", "half_seen", "right", "verdict",
    ]  # fmt: skip


def test_an_unknown_strategy_is_named(query):
    with pytest.raises(sn.PlanError, match="strategy='apend' is not known"):
        sn.crash(query, batch=1)["apend"]
