"""Every public case: what Spark did, batch by batch, and what we do."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

import streamnb as sn
from tests.cases.compare import counters, difference
from tests.cases.runner import run
from tests.cases.table import Unsayable

CASES = {case["name"]: case for case in json.loads((Path(__file__).parent / "public.json").read_text())["cases"]}
ACCEPTED = [name for name, case in CASES.items() if "expect_error" not in case]
REFUSED = [name for name, case in CASES.items() if "expect_error" in case]

PENDING: dict[str, str] = {}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    return cache(lambda name: run(CASES[name], tmp_path_factory.mktemp(name)))


@pytest.mark.parametrize("name", ACCEPTED)
def test_rows_batches_and_watermarks_are_sparks(name, played):
    wrong = difference(CASES[name], CASES[name]["steps"], played(name))
    assert wrong is None, f"{name}: {wrong}"


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_state_is_as_large_as_sparks(name, played):
    wrong = counters(CASES[name]["steps"], played(name))
    assert wrong is None, f"{name}: {wrong}"


@pytest.mark.parametrize("name", REFUSED)
def test_a_plan_that_spark_refuses_is_refused(name, played):
    done = played(name)
    assert "error" in done[-1], f"{name}: it ran"
    assert isinstance(done[-1]["error"], sn.PlanError | sn.CheckpointError)
    assert len(done) - 1 <= CASES[name]["expect_error"]["step"]
