"""%%stream_sql, in a shell without a kernel."""

from __future__ import annotations

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import streamnb as sn

QUERY = "SELECT user, COUNT(*) AS n FROM clicks GROUP BY user"


@pytest.fixture
def shell():
    source = sn.MemorySource({"user": "string"})
    source.add([{"user": "ann"}, {"user": "ann"}])
    shell = InteractiveShell()
    sn.load_ipython_extension(shell)
    shell.user_ns["clicks"] = sn.stream(source)
    yield shell
    InteractiveShell.clear_instance()


def test_a_frame_without_a_name_is_the_value_of_the_cell(shell):
    frame = shell.run_cell_magic("stream_sql", "", QUERY)
    assert frame.explain() == shell.user_ns["clicks"].group_by("user").agg(n=sn.count()).explain()


def test_a_frame_with_a_name_is_assigned_and_not_shown(shell):
    assert shell.run_cell_magic("stream_sql", "counts", QUERY) is None
    assert shell.user_ns["counts"].collect()["n"].tolist() == [2]


def test_a_mode_opens_a_query_which_is_assigned_and_shown(shell):
    query = shell.run_cell_magic("stream_sql", "counts --mode update", QUERY)
    assert shell.user_ns["counts"] is query
    assert query.name == "counts"
    assert query.run().result["n"].tolist() == [2]


def test_a_table_that_is_no_frame_is_found_by_name(shell):
    shell.user_ns["people"] = [{"user": "ann", "age": 7}]
    frame = shell.run_cell_magic("stream_sql", "", "SELECT user, age FROM clicks JOIN people USING (user)")
    assert frame.collect()["age"].tolist() == [7, 7]


def test_a_table_that_is_missing_lists_the_frames_of_the_notebook(shell):
    with pytest.raises(sn.PlanError, match=r"no table 'click'; the tables are \['clicks'\]"):
        shell.run_cell_magic("stream_sql", "", "SELECT * FROM click")


def test_a_mode_that_is_none_is_an_error_of_usage(shell):
    with pytest.raises(UsageError, match="mode"):
        shell.run_cell_magic("stream_sql", "--mode appendix", QUERY)
