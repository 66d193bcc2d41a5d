"""Spark is asked again: the recorded cases are what it does, and every query goes there through to_pyspark."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import pytest

from tests.cases.compare import counters, difference, disagreement
from tests.cases.runner import run
from tests.cases.test_cases import FURTHER, NO_WORDS
from tests.programs import program
from tests.spark.frames import Raw, can_run
from tests.spark.moved import Moved
from tests.spark.oracle import Oracle, Step

pytestmark = pytest.mark.spark

PUBLIC = Path(__file__).parents[1] / "cases" / "public.json"
CASES = {case["name"]: case for case in json.loads(PUBLIC.read_text())["cases"]}
ANOTHER_ZONE = {
    "win_one_day_is_utc_aligned_despite_dst": "naive times are UTC, and the session of this case tells another zone",
}
ACCEPTED = [n for n, case in CASES.items() if "expect_error" not in case and n not in ANOTHER_ZONE]
REFUSED = [n for n, case in CASES.items() if "expect_error" in case and n not in {*FURTHER, *NO_WORDS}]
SEEDS = range(30)
RAW = (
    "late_row_older_than_watermark_in_same_batch_kept",
    "gen_session_05",
    "gen_multiwm_02",
    "nulls_dedup_null_is_one_value",
)
RAW_SEEDS = range(2, 30, 7)
"""A sample goes another way too, written by hand, so that a fault of to_pyspark cannot hide one of the engine."""


@pytest.fixture(scope="session")
def answers(oracle, request):
    """Return what Spark does with the cases of this run, as futures by test; three are asked at a time."""
    mine = local()

    def ask(case: Mapping[str, Any], way: Any) -> list[Step]:
        if not hasattr(mine, "oracle"):
            mine.oracle = Oracle(oracle.spark.newSession())
        answer: list[Step] = mine.oracle.run(case, way)
        said = answer[-1].get("error", "")
        slow = "Python worker failed to connect back" in said or "timed out" in said  # Spark waits some seconds only
        return mine.oracle.run(case, way) if slow else answer

    with ThreadPoolExecutor(3) as pool:
        waiting: dict[str, Future[list[Step]]] = {}
        for item in request.session.items:
            if item.path == Path(__file__) and "going" in getattr(item, "callspec", item).__dict__.get("params", ()):
                waiting[item.nodeid] = pool.submit(ask, *item.callspec.params["going"])
        yield waiting
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def asked(answers, request):
    """Return what Spark did with the case of this test."""
    return answers[request.node.nodeid].result()


def going(names, way):
    return [pytest.param((CASES[name], way), id=name) for name in names]


def programs(seeds, way):
    return [pytest.param((program(seed), way), id=str(seed)) for seed in seeds]


def recorded(case):
    """Return what Spark did when the case was recorded, without what only a look into its plans can tell."""
    return [{k: v for k, v in step.items() if k != "op_watermarks"} for step in case["steps"]]


def same(case, again):
    assert difference(case, recorded(case), again) is None
    assert counters(recorded(case), again) is None


@pytest.mark.parametrize("going", going(ACCEPTED, Moved))
def test_a_case_moved_to_spark_is_what_spark_does(going, asked):
    same(going[0], asked)


@pytest.mark.parametrize("going", programs(SEEDS, Moved))
def test_a_random_program_ends_as_on_spark(going, asked, tmp_path):
    case, _ = going
    assert disagreement(case, asked, run(case, tmp_path)) is None, json.dumps(case)


@pytest.mark.parametrize("going", going(RAW, Raw))
def test_a_recorded_case_is_what_spark_does(going, asked):
    same(going[0], asked)


@pytest.mark.parametrize("going", programs(filter(lambda seed: can_run(program(seed)["query"]), RAW_SEEDS), Raw))
def test_a_random_program_said_by_hand_ends_as_on_spark(going, asked, tmp_path):
    case, _ = going
    assert disagreement(case, asked, run(case, tmp_path)) is None, json.dumps(case)


@pytest.mark.parametrize("going", going(REFUSED, Moved))
@pytest.mark.usefixtures("going")
def test_what_is_refused_here_is_refused_there(asked):
    """Some plans are refused while they are written, some by to_pyspark, the rest by Spark when it starts."""
    assert "error" in asked[-1]


def test_spark_refuses_what_is_recorded_as_refused(oracle):
    (refused,) = oracle.run(CASES["rejected_append_window_agg_without_watermark"], Raw)
    assert "without watermark" in refused["error"]


@pytest.mark.parametrize("name", FURTHER)
def test_where_we_go_further_the_move_is_refused_with_the_reason(name, oracle):
    (refused,) = oracle.run(CASES[name], Moved)
    assert any(why in refused["error"] for why in ("Spark refuses exact distinct counts", "session window"))


@pytest.mark.parametrize("name", ANOTHER_ZONE)
def test_a_session_in_another_zone_is_refused(name, oracle):
    (refused,) = oracle.run(CASES[name], Moved)
    assert "spark.conf.set('spark.sql.session.timeZone', 'UTC')" in refused["error"]
