"""The rules of every transactional sink: a batch is there once, whatever happens between the sink and the log."""

from __future__ import annotations

from contextlib import contextmanager

import polars as pl
import pytest

import streamnb as sn
from streamnb import points
from tests.lost import lose_commits
from tests.sinks.kinds import KINDS, Kind


@pytest.fixture
def source():
    return sn.MemorySource({"key": "string", "value": "int64"})


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


UPDATING = [name for name, kind in KINDS.items() if "update" in kind.modes]
updating = pytest.mark.parametrize("kind", UPDATING, indirect=True)
on_a_server = pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.server], indirect=True)
with_columns = pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"redis"}), indirect=True)


@pytest.fixture
def place(kind, request, tmp_path) -> str:
    if kind.server is None:
        return str(tmp_path / "place")
    place: str = request.getfixturevalue(kind.server).place(tmp_path.name)
    return place


def counted(source):
    return sn.stream(source).group_by("key").agg(n=sn.count(), total=sn.sum("value"))


def seen(kind: Kind, place: str) -> list[tuple[object, ...]]:
    return sorted((tuple(row.values()) for row in kind.read(place)), key=repr)


def rows(*pairs: tuple[object, object]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"key": pl.String, "value": pl.Int64}, orient="row")


@pytest.fixture
def interrupted_at():
    """Return what raises KeyboardInterrupt when a point is reached."""

    @contextmanager
    def within(point: str):
        def listener(reached: str) -> None:
            if reached == point:
                raise KeyboardInterrupt

        points.listen(listener)
        try:
            yield
        finally:
            points.listen(None)

    return within


def test_append_adds(kind, place, source):
    source.add([{"key": "a", "value": 1}, {"key": None, "value": None}])
    source.add([{"key": "a", "value": 1}])
    sn.stream(source).query(sink=kind.make(place)).run()
    assert seen(kind, place) == [("a", 1), ("a", 1), (None, None)]


@updating
def test_update_replaces_the_row_of_a_key_and_null_is_one(kind, place, source):
    query = counted(source).query("update", sink=kind.make(place, key="key"))
    for value in (1, 2, 3):
        source.add([{"key": "a", "value": value}, {"key": None, "value": value}, {"key": "", "value": 5}])
        query.run()
    assert seen(kind, place) == [("", 3, 15), ("a", 3, 6), (None, 3, 6)]


def test_update_without_a_key_is_refused_before_it_runs(kind, place, source):
    with pytest.raises(sn.PlanError, match=r"update mode"):
        counted(source).query("update", sink=kind.make(place))


def test_complete_replaces_all(kind, place, source):
    query = counted(source).query("complete", sink=kind.make(place))
    for key in "abc":
        source.add([{"key": key, "value": 1}])
        query.run()
    assert seen(kind, place) == [("a", 1, 1), ("b", 1, 1), ("c", 1, 1)]


def test_a_batch_without_rows_is_noted(kind, place):
    sink = kind.make(place)
    sink.open("q", 0)
    sink.write_polars(0, rows(), "append")
    sink.write_polars(1, rows(("a", 1)), "append")
    sink.write_polars(2, rows(), "append")
    sink.write_polars(2, rows(), "append")
    assert seen(kind, place) == [("a", 1)]
    sink.write_polars(3, rows(), "complete")
    assert seen(kind, place) == []


def test_a_batch_that_comes_again_is_there_once(kind, place, source, tmp_path):
    source.add([{"key": "a", "value": 1}])
    sn.stream(source).query(sink=kind.make(place), checkpoint=tmp_path / "ckpt").run().stop()
    lose_commits(tmp_path / "ckpt")
    source.add([{"key": "b", "value": 2}])
    sn.stream(source).query(sink=kind.make(place), checkpoint=tmp_path / "ckpt").run().stop()
    assert seen(kind, place) == [("a", 1), ("b", 2)]


def test_a_sink_that_was_wiped_is_noticed(kind, place, source, tmp_path):
    source.add([{"key": "a", "value": 1}])
    sn.stream(source).query(sink=kind.make(place), checkpoint=tmp_path / "ckpt").run().stop()
    kind.wipe(place)
    source.add([{"key": "b", "value": 2}])
    with pytest.raises(sn.QueryError, match=r"holds nothing"):
        sn.stream(source).query(sink=kind.make(place), checkpoint=tmp_path / "ckpt").run()


def test_an_older_run_is_fenced(kind, place):
    runs = [kind.make(place) for _ in range(2)]
    for epoch, sink in enumerate(runs):
        sink.open("q", epoch)
    runs[0].write_polars(0, rows(("a", 1)), "append")
    runs[1].write_polars(1, rows(("b", 2)), "append")
    with pytest.raises(sn.QueryError, match=r"run 1 of this query writes here now"):
        runs[0].write_polars(2, rows(("c", 3)), "append")
    assert seen(kind, place) == [("a", 1), ("b", 2)]


def test_a_gap_and_other_rows_of_the_same_batch_are_refused(kind, place):
    sink = kind.make(place)
    sink.open("q", 0)
    sink.write_polars(0, rows(("a", 1)), "append")
    with pytest.raises(sn.QueryError, match=r"batches up to 0 and is given batch 2"):
        sink.write_polars(2, rows(("a", 1)), "append")
    with pytest.raises(sn.QueryError, match=r"holds batch 0 with other rows than it is given"):
        sink.write_polars(0, rows(("a", 2)), "append")
    assert seen(kind, place) == [("a", 1)]


def test_two_queries_share_a_place(kind, place):
    for query in ("p", "q"):
        sink = kind.make(place)
        sink.open(query, 0)
        for batch in range(2):
            sink.write_polars(batch, rows((query, batch)), "append")
    assert seen(kind, place) == [("p", 0), ("p", 1), ("q", 0), ("q", 1)]


@with_columns
def test_what_fails_within_a_batch_leaves_nothing_of_it(kind, place):
    sink = kind.make(place)
    sink.open("q", 0)
    sink.write_polars(0, rows(("a", 1)), "append")
    with pytest.raises(sn.QueryError, match=r"\bother\b|columns"):
        sink.write_polars(1, rows(("b", 2)).with_columns(other=1), "append")
    sink.write_polars(1, rows(("b", 2)), "append")
    assert seen(kind, place) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("point", ["sink.rows", "sink.ledger"])
def test_what_is_interrupted_within_a_batch_is_done_again(kind, place, point, interrupted_at):
    sink = kind.make(place)
    sink.open("q", 0)
    sink.write_polars(0, rows(("a", 1)), "append")
    with interrupted_at(point), pytest.raises(KeyboardInterrupt):
        sink.write_polars(1, rows(("b", 2)), "append")
    assert seen(kind, place) == [("a", 1)]
    sink.write_polars(1, rows(("b", 2)), "append")
    assert seen(kind, place) == [("a", 1), ("b", 2)]


def test_a_row_of_ten_megabytes(kind, place):
    big = "ü" * 5_000_000
    kind.make(place).write_polars(0, rows((big, 1)), "append")
    assert seen(kind, place) == [(big, 1)]


@pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if not kind.server], indirect=True)
def test_a_place_that_cannot_be_is_one_line_and_names_it(kind, source, tmp_path):
    (tmp_path / "file").write_text("no folder")
    place = str(tmp_path / "file" / "place")
    source.add([{"key": "a", "value": 1}])
    query = sn.stream(source).query(sink=kind.make(place), sink_retries=0)
    with pytest.raises(sn.QueryError, match=r"^sink: [^\n]*; mend it, then step again\.$") as caught:
        query.step()
    assert place in str(caught.value)


@updating
def test_a_key_that_comes_twice_in_a_batch_counts_once_the_newest(kind, place):
    sink = kind.make(place, key="key")
    sink.open("q", 0)
    sink.write_polars(0, rows(("a", 1), ("a", 3), ("b", 1), ("a", 2)), "update")
    assert seen(kind, place) == [("a", 2), ("b", 1)]


@updating
def test_an_older_version_does_not_overwrite_a_newer(kind, place):
    sink = kind.make(place, key="key", version="value")
    sink.open("q", 0)
    for batch, values in enumerate([(5,), (3,), (9, 7), (6, None)]):
        sink.write_polars(batch, rows(*(("a", value) for value in values)), "append")
    assert seen(kind, place) == [("a", 9)]


@updating
def test_a_key_that_is_no_column_is_named(kind, place):
    with pytest.raises(sn.ColumnNotFoundError, match=r"no column 'kez'; did you mean 'key'"):
        kind.make(place, key="kez").write_polars(0, rows(("a", 1)), "update")


@on_a_server
def test_a_server_that_restarts_within_a_batch_gets_it_again(kind, place, source, request):
    server = request.getfixturevalue(kind.server)
    restarts = iter([server])

    def listener(point: str) -> None:
        if point == "sink.rows" and (one := next(restarts, None)):
            one.stop()
            one.start()

    source.add([{"key": "a", "value": 1}])
    query = sn.stream(source).query(sink=kind.make(place))
    points.listen(listener)
    try:
        query.run()
    finally:
        points.listen(None)
    assert next(restarts, None) is None
    assert seen(kind, place) == [("a", 1)]


@on_a_server
def test_a_password_is_nowhere_to_be_seen(kind, place, source, request, tmp_path):
    password = request.getfixturevalue(kind.server).password
    source.add([{"key": "a", "value": 1}])
    sink = kind.make(place)
    query = sn.stream(source).query(sink=sink, checkpoint=tmp_path / "ckpt").run()
    shown = [sink, vars(sink), query, query.trace, query.progress, query.explain()]
    files = [path.read_bytes() for path in (tmp_path / "ckpt").rglob("*") if path.is_file()]
    assert password not in repr(shown)
    assert len(files) > 3
    assert all(password.encode() not in content for content in files)
