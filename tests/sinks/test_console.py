"""Console: every batch on paper."""

from __future__ import annotations

import pytest

import streamnb as sn


def test_every_batch_is_printed_with_its_number(capsys: pytest.CaptureFixture[str]) -> None:
    source = sn.MemorySource({"k": "string", "n": "int64"})
    query = sn.stream(source).query(sink=sn.sinks.Console(rows=2))
    source.add([{"k": "a", "n": 1}, {"k": "b", "n": 2}, {"k": "c", "n": 3}])
    source.add()
    query.run()
    assert capsys.readouterr().out == (
        "-- batch 0 (append)\nk  n\na  1\nb  2\n… 1 more\n-- batch 1 (append)\n(no rows)\n"
    )
