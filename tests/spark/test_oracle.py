"""Spark is asked again: the recorded cases are what it does, and random programs end as they do here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cases.compare import counters, difference, disagreement
from tests.cases.runner import run
from tests.programs import program

pytestmark = pytest.mark.spark

PUBLIC = Path(__file__).parents[1] / "cases" / "public.json"
CASES = {case["name"]: case for case in json.loads(PUBLIC.read_text())["cases"]}
SAMPLE = (
    "late_row_older_than_watermark_in_same_batch_kept",
    "gen_session_05",
    "gen_multiwm_02",
    "nulls_dedup_null_is_one_value",
)
SEEDS = range(30)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_recorded_case_is_what_spark_does(name, oracle):
    again = oracle.run(CASES[name])
    assert difference(CASES[name], CASES[name]["steps"], again) is None
    assert counters(CASES[name]["steps"], again) is None


def test_spark_refuses_what_is_recorded_as_refused(oracle):
    (refused,) = oracle.run(CASES["rejected_append_window_agg_without_watermark"])
    assert "without watermark" in refused["error"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_program_ends_as_on_spark(seed, oracle, tmp_path):
    case = program(seed)
    assert disagreement(case, oracle.run(case), run(case, tmp_path)) is None, json.dumps(case)
