"""from_sse, against an HTTP server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError
from tests.servers.process import free_port
from tests.sources.waiting import eventually, seconds_to_stop, source_threads, status, step_until

SCHEMA = {"v": "int64"}
HANG_UP = object()


class Events:
    """Sends what a test puts in, chunked as HTTP/1.1 servers do."""

    def __init__(self) -> None:
        self.said: queue.Queue[Any] = queue.Queue()
        self.asked: list[dict[str, str]] = []
        self.answer = HTTPStatus.OK
        self.open = True
        events = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                events.asked.append({"path": self.path, **dict(self.headers)})
                answer = events.answer
                self.send_response(answer)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                number = len(events.asked)
                while events.open and answer == HTTPStatus.OK and self.one(number):
                    pass
                self.close_connection = True

            def one(self, number: int) -> bool:
                try:
                    said = events.said.get(timeout=0.05)
                except queue.Empty:
                    return number == len(events.asked)
                if number != len(events.asked):
                    events.said.put(said)
                    return False
                if said is not HANG_UP:
                    self.wfile.write(f"{len(said):x}\r\n".encode() + said + b"\r\n")
                return said is not HANG_UP

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/live?key=hunter4"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Events]:
    with Events() as running:
        yield running


def test_an_event_is_a_row_with_its_name(server):
    query = sn.from_sse(server.url, SCHEMA).query()
    server.said.put(b': hello\n\ndata: {"v": 1}\n\nevent: sold\ndata: {"v":')
    server.said.put(b"\ndata: 2}\nid: 17\n\ndata\n\n")
    step_until(query, 3)
    assert query.result["event"].tolist() == ["message", "sold", "message"]
    assert query.result["v"].tolist()[:2] == [1, 2]
    assert server.asked[0]["path"] == "/live?key=hunter4"


def test_a_connection_that_ends_is_made_again_with_the_last_id(server):
    frame = sn.from_sse(server.url, SCHEMA)
    query = frame.query()
    server.said.put(b'id: 17\ndata: {"v": 1}\n\ndata: {"v": 9')
    server.said.put(HANG_UP)
    step_until(query, 1)
    server.said.put(b'data: {"v": 2}\n\n')
    step_until(query, 2)
    assert query.result["v"].tolist() == [1, 2]
    assert [asked.get("Last-Event-ID") for asked in server.asked] == [None, "17"]
    assert status(frame) == "connected"


def test_no_content_is_the_end(server):
    server.answer = HTTPStatus.NO_CONTENT
    frame = sn.from_sse(server.url, SCHEMA)
    assert frame.query().step() is None
    assert status(frame) == "ended"


def test_a_name_and_a_password_are_sent_and_never_shown(server):
    server.answer = HTTPStatus.UNAUTHORIZED
    frame = sn.from_sse(server.url.replace("//", "//ann:hunter%202@"), SCHEMA)
    with pytest.raises(DataError, match=r"from_sse: http://127\.0\.0\.1:\d+/live answers 401 Unauthorized") as caught:
        frame.query().step()
    assert "hunter" not in f"{caught.value} {frame!r} {status(frame)}"
    assert server.asked[0]["Authorization"] == "Basic YW5uOmh1bnRlciAy"


def test_an_address_where_nothing_is_is_one_line(server):
    server.answer = HTTPStatus.NOT_FOUND
    with pytest.raises(DataError, match=r"from_sse: http://127\.0\.0\.1:\d+/live answers 404 Not Found"):
        sn.from_sse(server.url, SCHEMA).query().step()


def test_a_server_in_trouble_is_tried_again(server):
    server.answer = HTTPStatus.SERVICE_UNAVAILABLE
    frame = sn.from_sse(server.url, SCHEMA)
    query = frame.query()
    with pytest.raises(DataError, match=r"cannot reach .*: 503"):
        query.step()
    server.answer = HTTPStatus.OK
    server.said.put(b'data: {"v": 1}\n\n')
    eventually(lambda: status(frame) == "connected")
    step_until(query, 1)


def test_an_event_of_ten_megabytes_and_one_that_is_no_utf8(server):
    query = sn.from_sse(server.url, {"k": "string"}).query()
    server.said.put(b'data: {"k": "' + b"x" * 10_000_000 + b'"}\n\n')
    server.said.put(b'data: {"k": "\xff"}\n\ndata: {"k": "b"}\n\n')
    step_until(query, 2)
    assert query.result["k"].str.len().tolist() == [10_000_000, 1]
    assert query.dead_letters["reason"].tolist() == ["byte 7 of 10 is not UTF-8"]


def test_an_absent_server_is_one_line():
    with pytest.raises(DataError, match=r"cannot reach .*refused"):
        sn.from_sse(f"http://127.0.0.1:{free_port()}/", SCHEMA).query().step()


def test_silence_beyond_the_limit_connects_anew(server):
    query = sn.from_sse(server.url, SCHEMA, silence="300 ms").query()
    query.step()
    eventually(lambda: len(server.asked) >= 2)
    server.said.put(b'data: {"v": 1}\n\n')
    step_until(query, 1)


def test_a_query_stops_within_a_second_and_its_thread_ends(server):
    query = sn.from_sse(server.url, SCHEMA).start()
    eventually(lambda: server.asked)
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)


def test_an_address_that_is_none_is_refused_without_its_secrets():
    with pytest.raises(PlanError, match=r"http://…") as caught:
        sn.from_sse("ftp://ann:hunter2@x/", SCHEMA)
    assert "hunter" not in str(caught.value)
