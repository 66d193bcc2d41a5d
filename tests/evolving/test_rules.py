"""Rules that change while a query runs: every result names the version that decided it, and is decided by it again."""

from __future__ import annotations

import pytest

import streamnb as sn
from tests.evolving.rows import feed, source

FIRST = [{"card": "ann", "most": 0}, {"card": "bob", "most": 100}]
SECOND = [{"card": "ann", "most": 100}, {"card": "bob", "most": 0}]


def decided(over, limits, how="inner"):
    return sn.stream(over).join(limits, on="card", how=how).filter(sn.col("v") > sn.col("most"))


def test_every_row_names_the_version_that_decided_it():
    src, limits = source(2), sn.rules("limits", FIRST)
    query = decided(src, limits).query().run()
    limits.set(SECOND)
    feed(src, 1)
    query.run()
    assert query.result["v"].tolist() == [1, 20]
    assert query.result["limits_version"].tolist() == [1, 2]
    assert [trace.given["limits"].number for trace in query.trace] == [1, 1, 2]


@pytest.mark.parametrize("how", ["left", "semi", "anti", "inner"])
def test_a_row_that_nothing_matched_names_it_too(how):
    src, limits = source(1), sn.rules("limits", [{"card": "eve", "most": 0}, {"card": "bob", "most": 0}])
    found = sn.stream(src).join(limits, on="card", how=how).query().run().result
    assert set(found["limits_version"]) == {1}
    assert len(found) == {"left": 2, "semi": 1, "anti": 1, "inner": 1}[how]


def test_rewound_a_batch_is_decided_by_its_version_again():
    src, limits = source(2), sn.rules("limits", FIRST)
    query = decided(src, limits).query().run()
    limits.set(SECOND)
    feed(src, 1)
    first = query.run().result
    query.rewind(to=0)
    assert query.run().result.equals(first)


def test_a_batch_begun_before_a_crash_is_decided_by_its_version(tmp_path):
    src, handed = source(2), []

    def sink(rows, _):
        handed.append(rows["limits_version"].tolist())
        if len(handed) == 2:
            raise OSError("gone")

    path = tmp_path / "limits.csv"
    path.write_text("card,most\nann,0\nbob,100\n")
    query = decided(src, sn.rules("limits", str(path))).query(sink=sink, checkpoint=tmp_path / "checkpoint")
    with pytest.raises(sn.QueryError):
        query.run()
    query.stop()
    path.write_text("card,most\nann,100\nbob,0\n")
    feed(src, 1)
    again = decided(src, sn.rules("limits", str(path))).query(checkpoint=tmp_path / "checkpoint").run()
    assert again.result["limits_version"].tolist() == [1, 2]
    assert again.result["v"].tolist() == [1, 20]


def test_a_file_is_a_new_version_only_when_its_rows_have_changed(tmp_path):
    path = tmp_path / "limits.csv"
    path.write_text("card,most\nann,0\n")
    limits = sn.rules("limits", path)
    assert limits.now().number == 1
    path.write_text("card,most\nann,0\n")
    assert limits.now().number == 1
    path.write_text("card,most\nann,12\n")
    assert limits.now().number == 2


def test_a_stream_of_changes_is_the_table_of_its_newest_rows():
    changes = sn.MemorySource({"card": "string", "most": "int64"})
    changes.add(FIRST)
    limits = sn.rules("limits", changes, key="card")
    changes.add([{"card": "ann", "most": 7}])
    assert sorted(limits.now().rows.rows()) == [("ann", 7), ("bob", 100)]


def test_a_table_with_other_columns_is_refused_and_the_old_one_holds():
    limits = sn.rules("limits", FIRST)
    with pytest.raises(sn.DataError):
        limits.set([{"card": "ann", "least": 0}])
    assert limits.now().rows["most"].to_list() == [0, 100]


def test_the_version_can_be_filtered_by():
    src, limits = source(1), sn.rules("limits", FIRST)
    found = sn.stream(src).join(limits, on="card").filter(sn.col("limits_version") == 1).query().run()
    assert len(found.result) == 2


def test_why_tells_what_the_version_of_then_did():
    src, limits = source(2), sn.rules("limits", FIRST)
    query = decided(src, limits).query().run()
    limits.set(SECOND)
    assert "result" in repr(query.why({"v": 1, "card": "ann"})).lower()


def test_a_fork_sees_the_versions_of_its_origin():
    src, limits = source(2), sn.rules("limits", FIRST)
    query = decided(src, limits).query().run()
    limits.set(SECOND)
    fork = query.fork(at_batch=-1).run()
    assert fork.result.equals(query.result)


@pytest.mark.parametrize("name", ["", "my limits", "a/b"])
def test_its_name_is_a_name(name):
    with pytest.raises(sn.PlanError, match="is no name"):
        sn.rules(name, FIRST)


def test_made_anew_for_another_logic_its_versions_go_on(tmp_path):
    src = source(2)
    query = decided(src, sn.rules("limits", FIRST)).query(checkpoint=tmp_path).run()
    again = sn.rules("limits", SECOND)
    query.evolve(decided(src, again))
    feed(src, 1)
    query.run().stop()
    assert query.result["limits_version"].tolist() == [1, 2]
    third = sn.rules("limits", SECOND)
    story = decided(src, third).query(checkpoint=tmp_path).fork(at_batch=-1).run().result
    assert story["v"].tolist() == query.result["v"].tolist() == [1, 20]
    assert third.version == 2


def test_rebuilt_with_a_table_made_anew_every_batch_goes_by_its_version():
    src, limits = source(6), sn.rules("limits", FIRST)

    def counted(table, *keys):
        return decided(src, table).with_watermark("at", "1 hour").group_by("limits_version", *keys).agg(n=sn.count())

    query = counted(limits).query("update").run()
    limits.set(SECOND)
    feed(src, 3)
    before = query.run().state
    query.evolve(counted(sn.rules("limits", SECOND), "card"), rebuild=True)
    query.evolve(counted(sn.rules("limits", SECOND)), rebuild=True)
    assert query.state.equals(before)


def test_two_tables_of_one_name_do_not_decide_for_one_another():
    src, limits, other = source(2), sn.rules("limits", FIRST), sn.rules("limits", SECOND)
    query = decided(src, limits).query().run()
    fork = query.fork(at_batch=-1, query=decided(src, other)).run()
    with pytest.raises(sn.PlanError, match="two tables are called 'limits'"):
        query.switch_to(fork)
    with pytest.raises(sn.PlanError, match="two tables are called 'limits'"):
        query.evolve(decided(src, other))
    feed(src, 1)
    assert query.run().result["v"].tolist() == [1, 2]
