"""Our own cases, recorded from PySpark 4.3.0: gaps of the public ones, and what random programs found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import streamnb as sn
from tests.cases.compare import counters, difference
from tests.cases.runner import run

CASES = json.loads((Path(__file__).parent / "recorded.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_it_is_as_spark_did_it(case, tmp_path):
    done = run(case, tmp_path)
    if "expect_error" in case:
        assert isinstance(done[-1].get("error"), sn.PlanError), "it ran"
        return
    assert difference(case, case["steps"], done) is None
    assert counters(case["steps"], done) is None
