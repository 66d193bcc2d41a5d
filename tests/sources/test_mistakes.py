"""What people write at first: one line that says what to write instead, before anything runs, and no secret in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import streamnb as sn
from streamnb.patience import secrets_of, shown

SCHEMA = {"n": "int64"}
MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "no scheme of Redis": (lambda: sn.from_redis("s", "u:hunter2@localhost:6379", SCHEMA), "write redis://user"),
    "a URL for a name": (lambda: sn.from_mqtt("t", "mqtt://u:hunter2@localhost", schema=SCHEMA), "host is a name such"),
    "a port in the name": (lambda: sn.from_mqtt("t", "localhost:1883", schema=SCHEMA), "port a number"),
    "a schema for a port": (lambda: sn.from_mqtt("t", "localhost", SCHEMA), "port a number"),  # type: ignore[arg-type]
    "another database": (lambda: sn.from_sql("t", "mysql://u:hunter2@h/db", "id"), "where='mysql://h/db' is not known"),
    "HTTP for a WebSocket": (lambda: sn.from_websocket("http://u:hunter2@h", SCHEMA), "use 'ws://…' | 'wss://…'"),
    "no scheme of a WebSocket": (lambda: sn.from_websocket("h:80/x?token=hunter2", SCHEMA), "url='h:80/x' is not"),
    "no types": (lambda: sn.from_tcp("h", 7, ["n"]), r"write {'column': 'int64'}"),  # type: ignore[arg-type]
    "several topics": (lambda: sn.from_kafka(["t"], "h:9", SCHEMA), "both are text"),  # type: ignore[arg-type]
    "a list of servers": (lambda: sn.from_kafka("t", ["h:9"], SCHEMA), "'host:port,host:port'"),  # type: ignore[arg-type]
    "an offset for all": (lambda: sn.from_kafka("t", "h:9", SCHEMA, start=0), "start=0 is not known"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_with_the_way_out(name: str) -> None:
    make, said = MISTAKES[name]
    with pytest.raises(sn.PlanError) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_an_address_without_a_scheme_is_shown_without_its_secrets() -> None:
    assert shown("u:hunter2@localhost:4222/x?y=hunter2") == "localhost:4222/x"
    assert "hunter2" in secrets_of("u:hunter2@localhost:4222")
