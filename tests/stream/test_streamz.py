"""streamz and frames, joined both ways; rows as objects; the plugin."""

from __future__ import annotations

import gc
import importlib.metadata
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from streamz import Stream

import streamnb as sn

SCHEMA = {"at": "datetime", "user": "string"}


# -- into a frame


def test_every_element_is_one_unit_of_input_whatever_its_kind():
    source = Stream()
    query = sn.from_streamz(source, SCHEMA).query()
    source.emit({"at": "2026-01-01", "user": "ann"})
    source.emit([{"user": "bob"}, {"user": "cid"}])
    source.emit(pd.DataFrame({"at": pd.to_datetime(["2026-01-02"]), "user": ["dan"]}))
    query.run()
    assert [progress.num_input_rows for progress in query.progress] == [1, 2, 1]
    assert query.result["user"].tolist() == ["ann", "bob", "cid", "dan"]


def test_what_was_emitted_can_be_read_again():
    source = Stream()
    frame = sn.from_streamz(source.map(lambda user: {"user": user}), SCHEMA)
    source.emit("ann")
    source.emit("bob")
    first = frame.query().run()
    first.rewind(0)
    assert first.run().result.equals(frame.query().run().result)
    assert len(frame.collect()) == 2


def test_rows_that_do_not_fit_are_an_error_of_whoever_emits_them():
    source = Stream()
    frame = sn.from_streamz(source, SCHEMA)
    with pytest.raises(sn.DataError, match="colour"):
        source.emit({"colour": "red"})
    assert frame.collect().empty


def test_a_frame_that_nobody_holds_lets_go_of_its_stream():
    source = Stream()
    sn.from_streamz(source, SCHEMA)
    gc.collect()
    source.emit({"colour": "red"})
    assert len(source.downstreams) == 0


# -- out of a frame


@pytest.fixture
def users():
    return sn.MemorySource({"user": "string"})


def test_a_stream_of_a_frame_emits_one_pandas_a_batch(users):
    stream = sn.stream(users).to_streamz()
    out = stream.map(lambda rows: rows["user"].tolist()).sink_to_list()
    users.add([{"user": "ann"}])
    users.add([])
    users.add([{"user": "bob"}, {"user": "cid"}])
    stream.query.run()
    assert out == [["ann"], [], ["bob", "cid"]]


def test_a_stream_of_a_frame_takes_mode_and_options(users):
    counts = sn.stream(users).group_by("user").agg(n=sn.count())
    stream = counts.to_streamz("complete", name="counts")
    out = stream.map(lambda rows: rows["n"].tolist()).sink_to_list()
    for _ in range(2):
        users.add([{"user": "ann"}])
    stream.query.run()
    assert stream.query.name == "counts"
    assert out == [[1], [2]]


def test_a_node_below_plays_and_pauses_the_query(users):
    stream = sn.stream(users).to_streamz()
    below = stream.map(len)
    below.start()
    assert stream.query.status == "playing"
    below.stop()
    assert stream.query.status != "playing"
    stream.query.stop()


def test_a_batch_that_fails_below_is_tried_again(users):
    stream, seen = sn.stream(users).to_streamz(), []

    def once(rows):
        seen.append(len(rows))
        if len(seen) == 1:
            raise RuntimeError("full")

    stream.sink(once)
    users.add([{"user": "ann"}])
    with pytest.raises(sn.QueryError, match="RuntimeError full"):
        stream.query.step()
    stream.query.step()
    assert seen == [1, 1]


def test_the_sink_of_a_stream_is_the_stream(users):
    with pytest.raises(sn.PlanError, match="to_streamz: the sink is the stream"):
        sn.stream(users).to_streamz(sink=print)


def test_there_and_back(users):
    out = sn.stream(users).to_streamz()
    again = sn.from_streamz(out, {"user": "string"})
    users.add([{"user": "ann"}])
    out.query.run()
    assert again.collect()["user"].tolist() == ["ann"]


# -- objects


def test_objects_are_rows_as_dicts_one_batch_a_step(users):
    rows = sn.objects(sn.stream(users))
    upper = rows.map(lambda row: row["user"].upper())
    users.add([{"user": "ann"}, {"user": "bob"}])
    users.add([{"user": "cid"}])
    assert upper.step() == ["ANN", "BOB"]
    assert rows.last == [{"user": "ann"}, {"user": "bob"}]
    assert upper.step() == ["CID"]
    assert upper.step() is None


def test_objects_run_to_the_end_of_what_is_there(users):
    users.add([{"user": "ann"}])
    users.add([{"user": "bob"}])
    assert sn.objects(sn.stream(users)).count().run() == [[1], [1]]


def test_every_call_of_objects_begins_at_the_beginning(users):
    frame = sn.stream(users)
    users.add([{"user": "ann"}])
    assert sn.objects(frame).run() == sn.objects(frame).run()


def test_a_step_of_a_window_that_does_not_slide_yet_is_empty(users):
    users.add([{"user": "ann"}])
    assert sn.objects(sn.stream(users)).window(2, 2).step() == []


def test_a_step_needs_a_frame_above():
    with pytest.raises(sn.PlanError, match=r"step: no frame is above; begin with sn\.objects"):
        sn.batches().step()


def test_the_same_count_in_objects_and_in_columns():
    flights = sn.data.landings("JFK", "2013-02-08")
    pairs = sn.objects(flights).map(lambda row: (row["dest"], 1))
    old = pairs.update_state_by_key(lambda new, before: sum(new) + (before or 0)).run()[-1]
    new = flights.group_by("dest").agg(n=sn.count()).collect()
    assert dict(old) == dict(zip(new["dest"], new["n"], strict=True))


# -- the plugin


def entry_points():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["entry-points"]["streamz.nodes"]


def entry_point():
    ((name, value),) = entry_points().items()
    return importlib.metadata.EntryPoint(name, value, "streamz.nodes")


def test_the_plugin_is_a_node_of_ours():
    assert entry_point().load() is sn.Batches


@pytest.fixture
def plugged():
    """Return streamz' Stream, with the plugin where it is installed and else without knowing of it."""
    if hasattr(Stream, "batches"):
        return Stream

    class Own(Stream):  # type: ignore[misc]
        """Has the plugin for itself."""

    Own.register_plugin_entry_point(entry_point())
    return Own


def test_a_stream_gains_batches_by_the_plugin(plugged):
    source = plugged()
    count = source.batches(batch="1s").window("2s").count()
    source.emit([1])
    source.emit([2, 3])
    assert count.last == [3]
