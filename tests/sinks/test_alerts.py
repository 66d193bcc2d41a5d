"""Alerts: a call for every row, tried again, with an id that stays the same."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import Request, urlopen

import polars as pl
import pytest

import streamnb as sn
from tests.lost import lose_commits


@pytest.fixture
def source():
    return sn.MemorySource({"k": "string", "n": "int64"})


@pytest.fixture
def calls():
    return []


def unreliable(calls, failures):
    """Return a function that notes its calls and fails the first times."""
    left = iter(range(failures))

    def fn(row, id):
        calls.append((row["k"], id))
        if next(left, None) is not None:
            raise OSError("no route")

    return fn


def test_every_row_is_a_call_and_every_call_has_an_id_of_its_own(source, calls):
    source.add([{"k": "a", "n": 1}, {"k": "a", "n": 1}, {"k": None, "n": None}])
    source.add([{"k": "a", "n": 1}])
    sn.stream(source).query(sink=sn.sinks.Alerts(lambda row, name: calls.append((dict(row), name)))).run()
    assert [row for row, _ in calls] == [{"k": "a", "n": 1}] * 2 + [{"k": None, "n": None}, {"k": "a", "n": 1}]
    assert len({id for _, id in calls}) == 4


def test_with_a_key_there_is_one_alert_a_key(source, calls):
    for n in range(3):
        source.add([{"k": "a", "n": n}, {"k": None, "n": n}])
    alerts = sn.sinks.Alerts(lambda row, _: calls.append((row["k"], row["n"])), key="k")
    sn.stream(source).group_by("k").agg(n=sn.sum("n")).query("update", sink=alerts).run()
    assert calls == [("a", 0), (None, 0)]


def test_a_call_that_fails_is_tried_again_with_the_same_id(source, calls):
    source.add([{"k": "a", "n": 1}, {"k": "b", "n": 1}])
    sn.stream(source).query(sink=sn.sinks.Alerts(unreliable(calls, 1), retries=1)).run()
    assert [k for k, _ in calls] == ["a", "a", "b"]
    assert calls[0] == calls[1]


def test_what_was_made_is_not_made_again_when_the_batch_comes_again(source):
    made = []

    def fn(row, _):
        made.append(row["k"])
        if made.count("b") == 1 and row["k"] == "b":
            raise OSError("no route")

    source.add([{"k": "a", "n": 1}, {"k": "b", "n": 1}, {"k": "c", "n": 1}])
    query = sn.stream(source).query(sink=sn.sinks.Alerts(fn, retries=0))
    with pytest.raises(sn.QueryError, match=r"a call failed 1 times in batch 0: OSError no route; step again"):
        query.run()
    query.run()
    assert made == ["a", "b", "b", "c"]


def test_a_restart_hands_out_the_same_id(source, calls, tmp_path):
    source.add([{"k": "a", "n": 1}])
    for _ in range(2):
        alerts = sn.sinks.Alerts(lambda _, name: calls.append(name))
        sn.stream(source).query(sink=alerts, checkpoint=tmp_path).run().stop()
        lose_commits(tmp_path)
    assert len(calls) == 2
    assert len(set(calls)) == 1


def test_a_call_that_takes_too_long_is_given_up():
    never = threading.Event()
    alerts = sn.sinks.Alerts(lambda *_: never.wait(20), retries=0, timeout="100 ms")
    with pytest.raises(sn.QueryError, match=r"TimeoutError no answer within 0\.1 s"):
        alerts.write_polars(0, pl.DataFrame({"k": ["a"]}), "append")
    never.set()


def test_a_stop_does_not_wait_for_a_call_nor_for_the_next_try(source, calls):
    source.add([{"k": "a", "n": 1}])
    query = sn.stream(source).query(sink=sn.sinks.Alerts(unreliable(calls, 99), retries=20)).play(every="1 ms")
    query.await_termination(0.5)
    started = time.monotonic()
    query.stop()
    assert time.monotonic() - started < 1
    assert calls


def test_an_alert_over_http_carries_its_id():
    heard = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((self.headers["Idempotency-Key"], json.loads(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def post(row, id):
            url = f"http://127.0.0.1:{server.server_port}"
            urlopen(Request(url, json.dumps(row).encode(), {"Idempotency-Key": id}), timeout=5).close()

        sn.sinks.Alerts(post).write_polars(3, pl.DataFrame({"k": ["a"]}), "append")
        server.shutdown()
    ((id, row),) = heard
    assert row == {"k": "a"}
    assert id.startswith("/3/")


def test_a_key_that_is_no_column_is_named():
    with pytest.raises(sn.ColumnNotFoundError, match=r"Alerts: no column 'kk'; did you mean 'k'"):
        sn.sinks.Alerts(print, key="kk").write_polars(0, pl.DataFrame({"k": ["a"]}), "append")


def test_less_than_no_retries_are_refused():
    with pytest.raises(sn.PlanError, match=r"retries=-1 is less than none"):
        sn.sinks.Alerts(print, retries=-1)
