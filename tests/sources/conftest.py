"""Every test of a source ends its queries, and with them the threads that receive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import streamnb as sn
from tests.sources.waiting import eventually, source_threads


@pytest.fixture(autouse=True)
def _end() -> Iterator[None]:
    yield
    for query in sn.queries():
        query.stop()
    eventually(lambda: not source_threads())
