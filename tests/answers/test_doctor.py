"""The doctor: each finding on a query that has it, and none on one that has not."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import streamnb as sn
from streamnb.answers.findings import LESSONS
from tests.answers.seen import CASES
from tests.ops.test_transform_with_state import Count as Processor

SCHEMA = {"ts": "datetime", "k": "string", "v": "int64"}
WINDOW = sn.window("ts", "1 hour")


@pytest.fixture
def rows() -> sn.MemorySource:
    return sn.MemorySource(SCHEMA)


def codes(frame: sn.StreamFrame, mode: str = "append") -> tuple[str, ...]:
    """Return the codes of a frame, the same as of its query."""
    found = frame.query(mode).findings.codes
    assert sn.doctor(frame, mode).codes == found
    return found


def test_a_healthy_query_has_no_finding(rows):
    marked = sn.stream(rows).with_watermark("ts", "1 hour")
    assert codes(marked.group_by(WINDOW, "k").agg(n=sn.count())) == ()
    assert codes(marked.drop_duplicates_within_watermark(["k"])) == ()
    assert repr(sn.doctor(marked.drop_duplicates(["k", "ts"]))) == "Nothing to find."
    assert codes(sn.stream(rows).group_by().agg(n=sn.count()), "update") == ()


def test_state_that_never_ends(rows):
    plain, other = sn.stream(rows), sn.stream(sn.MemorySource({"at": "datetime", "k": "string"}))
    assert codes(plain.group_by("k").agg(n=sn.count()), "update") == ("STATE_GROWS",)
    assert codes(plain.drop_duplicates(["k"])) == ("STATE_GROWS",)
    assert codes(plain.join(other, on="k")) == ("STATE_GROWS",)
    counted = plain.group_by("k").transform_with_state(Processor(), output_schema={"k": "string", "n": "int64"})
    assert codes(counted) == ("STATE_GROWS",)


def test_a_watermark_for_nothing(rows):
    marked = sn.stream(rows).with_watermark("ts", "1 hour")
    assert codes(marked.filter(sn.col("v") > 1)) == ("WATERMARK_UNUSED",)
    assert set(codes(marked.group_by("k").agg(n=sn.count()), "update")) == {"WATERMARK_UNUSED", "STATE_GROWS"}


def test_what_never_comes_out(rows):
    other = sn.stream(sn.MemorySource({"at": "datetime", "k": "string"})).with_watermark("at", "1 hour")
    within = sn.between("at", after="0s", before="1 hour", of="ts")
    assert "NEVER_EMITS" in codes(sn.stream(rows).join(other, on="k", how="left", within=within))
    assert "NEVER_EMITS" in codes(sn.stream(rows).limit(0))
    assert sn.doctor(sn.stream(rows).group_by(WINDOW).agg(n=sn.count())).codes == (
        "APPEND_WITHOUT_WATERMARK", "STATE_GROWS",
    )  # fmt: skip


def test_a_query_of_which_the_doctor_says_it_never_comes_out_does_not(rows):
    late = sn.MemorySource({"at": "datetime", "k": "string"})
    within = sn.between("at", after="0s", before="1 hour", of="ts")
    right = sn.stream(late).with_watermark("at", "1 hour")
    query = sn.stream(rows).join(right, on="k", how="left", within=within).query()
    rows.add([{"ts": "2024-01-01", "k": "a"}])
    late.add([{"at": "2034-01-01", "k": "z"}])
    assert query.run().result.empty


def test_modes_that_surprise(rows):
    marked = sn.stream(rows).with_watermark("ts", "1 hour").group_by(WINDOW, "k").agg(n=sn.count())
    assert codes(marked, "complete") == ("MODE_SURPRISES",)
    assert codes(marked.filter(sn.col("n") > 1), "update") == ("MODE_SURPRISES",)
    assert codes(marked.select("n"), "update") == ("MODE_SURPRISES",)
    assert codes(marked.filter(sn.col("k") == "a"), "update") == ()


def test_no_delay_and_days_that_begin_elsewhere(rows):
    assert codes(sn.stream(rows).with_watermark("ts", "0s").group_by(WINDOW).agg(n=sn.count())) == ("NO_DELAY",)
    seoul = pd.DataFrame({"ts": pd.to_datetime(["2024-01-01"]).tz_localize("Asia/Seoul")})
    marked = sn.from_pandas(seoul).with_watermark("ts", "1 hour")
    assert codes(marked.group_by(sn.window("ts", "1 day")).agg(n=sn.count())) == ("DAY_IN_UTC",)
    assert codes(marked.group_by(sn.window("ts", "1 day", start="15 hours")).agg(n=sn.count())) == ()


def test_one_clock_ahead_of_time(rows):
    clock = sn.ManualClock("2024-01-01 12:00")
    query = sn.stream(rows).with_watermark("ts", "10 minutes").group_by(WINDOW).agg(n=sn.count()).query(clock=clock)
    rows.add([{"ts": "2024-01-01 11:59"}])
    assert query.run().findings.codes == ()
    rows.add([{"ts": "2024-01-03 12:00", "k": "fast"}])
    (finding,) = query.run().findings
    assert finding.code == "FUTURE_CLOCK"
    assert "k=fast" in finding.what
    assert "guard_future" in finding.way_out
    table = pd.DataFrame({"ts": pd.to_datetime(["2024-01-03", "2024-01-01"]), "got": pd.Timestamp("2024-01-01 01:00")})
    frame = sn.from_pandas(table, arrival="got").with_watermark("ts", "1h").group_by(WINDOW).agg(n=sn.count())
    assert sn.doctor(frame).codes == ("FUTURE_CLOCK",)


def test_an_input_that_is_idle(rows):
    quiet = sn.MemorySource(SCHEMA)
    left, right = (sn.stream(source).with_watermark("ts", "10 minutes") for source in (rows, quiet))
    query = left.union(right).group_by(WINDOW).agg(n=sn.count()).query()
    for hour in range(10, 16):
        assert "IDLE_INPUT" not in query.findings.codes or hour > 13
        rows.add([{"ts": f"2024-01-01 {hour}:00"}])
        query.run()
    (finding,) = query.findings
    assert (finding.code, finding.what.startswith("input 2")) == ("IDLE_INPUT", True)
    quiet.add([{"ts": "2024-01-01 15:00"}])
    assert query.run().findings.codes == ()


@pytest.mark.parametrize("case", CASES[::3], ids=[case.name for case in CASES[::3]])
def test_every_finding_says_what_why_the_way_out_and_where_to_learn_it(case):
    query, _ = case.played(batches=2)
    for finding in query.findings:
        assert min(map(len, (finding.what, finding.why, finding.way_out))) > 5
        assert not re.search(r"[.;]$", finding.way_out)
        assert finding.lesson in LESSONS
    assert "streamnb-card" in query.findings._repr_html_()


def test_the_lessons_that_are_there_have_these_numbers():
    home = Path(sn.__file__).parents[1] / "notebooks"
    numbers = {path.name[:2] for path in home.glob("[0-9][0-9]_*.ipynb")}
    assert numbers & set(LESSONS)
