"""Random rows for every program with state of one's own, recorded from PySpark 4.3.0."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import streamnb as sn
from tests.cases.compare import counters, difference
from tests.cases.runner import run

CASES = json.loads((Path(__file__).parent / "recorded_state.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_it_is_as_spark_did_it(case, tmp_path):
    done = run(case, tmp_path)
    if "expect_error" in case:
        assert isinstance(done[-1].get("error"), sn.StreamnbError), "it ran"
        assert len(done) - 1 <= case["expect_error"]["step"]
        return
    assert difference(case, case["steps"], done) is None
    assert counters(case["steps"], done) is None
