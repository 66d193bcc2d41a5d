"""Every public case: what Spark did, batch by batch, and what we do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import streamnb as sn
from tests.cases.compare import counters, difference
from tests.cases.runner import run
from tests.cases.table import UnsayableError

CASES = {case["name"]: case for case in json.loads((Path(__file__).parent / "public.json").read_text())["cases"]}

FURTHER = {
    "rejected_distinct_aggregate": "count_distinct is exact here, at the price of the values in state",
    "rejected_session_update": "in update mode a session that grows, or merges others, is given out anew",
}
"""Plans that Spark refuses and that run here, knowingly."""

NO_WORDS = {
    "rejected_static_left_semi_static_left": "join is a verb of streams, so a table cannot stand on its left",
    "rejected_static_left_anti_static_left": "join is a verb of streams, so a table cannot stand on its left",
    "rejected_except_stream_stream": "there is no such verb",
}
"""Plans that Spark refuses and that nobody can write here."""

COUNTED_OTHERWISE = {
    "join_self_same_source": "Spark reads the branch that this self-join shares once, and counts its rows once",
}

ACCEPTED = [name for name, case in CASES.items() if "expect_error" not in case]
REFUSED = [name for name, case in CASES.items() if "expect_error" in case]


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return cache(lambda name: run(CASES[name], tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("name", ACCEPTED)
def test_rows_batches_and_watermarks_are_sparks(name, played):
    assert difference(CASES[name], CASES[name]["steps"], played(name)) is None


@pytest.mark.parametrize("name", ACCEPTED)
def test_times_in_a_zone_change_nothing(name, tmp_path):
    assert difference(CASES[name], CASES[name]["steps"], run(CASES[name], tmp_path, "America/New_York")) is None


@pytest.mark.parametrize("name", [n for n in ACCEPTED if n not in COUNTED_OTHERWISE])
def test_the_counters_are_sparks(name, played):
    assert counters(CASES[name]["steps"], played(name)) is None


@pytest.mark.parametrize("name", [n for n in REFUSED if n not in {*FURTHER, *NO_WORDS}])
def test_what_spark_refuses_is_refused_no_later(name, played):
    done = played(name)
    assert isinstance(done[-1].get("error"), sn.PlanError | sn.CheckpointError), f"it ran: {done[-1]}"
    assert len(done) - 1 <= CASES[name]["expect_error"]["step"]


@pytest.mark.parametrize("name", FURTHER)
def test_where_we_go_further_it_runs(name, played):
    assert all("batches" in step for step in played(name))


@pytest.mark.parametrize("name", NO_WORDS)
def test_what_cannot_be_written_cannot_be_written(name, played):
    with pytest.raises(UnsayableError):
        played(name)
