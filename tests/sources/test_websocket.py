"""from_websocket, against a server of the websockets library."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Self

import pytest

import streamnb as sn
from streamnb.errors import DataError, MissingError
from tests.servers.process import free_port
from tests.sources.waiting import eventually, seconds_to_stop, source_threads, status, step_until

SCHEMA = {"v": "int64"}
TOKEN = "s3cret-of-websocket"


class Server:
    """Sends what a test puts in, to clients that know the token."""

    def __init__(self, port: int = 0) -> None:
        from websockets.sync.server import serve

        self.said: queue.Queue[str | bytes] = queue.Queue()
        self.heard: list[Any] = []
        self.farewells: list[int | None] = []
        self._connections: list[Any] = []
        self._server = serve(self._serve, "127.0.0.1", port, process_request=self._admit, max_size=None)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/clicks"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _admit(self, connection: Any, request: Any) -> Any:
        if request.path != "/clicks":
            return connection.respond(HTTPStatus.NOT_FOUND, "no")
        if request.headers.get("Authorization") != TOKEN:
            return connection.respond(HTTPStatus.UNAUTHORIZED, "no")
        return None

    def _serve(self, connection: Any) -> None:
        try:
            self._speak(connection)
        finally:
            connection.close()
            self.farewells.append(connection.close_code)

    def _speak(self, connection: Any) -> None:
        self._connections.append(connection)
        self.heard.append(connection.recv())
        while connection is self._connections[-1] and connection.close_code is None:
            try:
                said = self.said.get(timeout=0.05)
            except queue.Empty:
                continue
            if connection is self._connections[-1]:
                connection.send(said)
            else:
                self.said.put(said)

    def hang_up(self) -> None:
        self._connections.append(None)
        self._connections[-2].close_socket()

    def close(self) -> None:
        self._connections.append(None)
        self._server.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def read(server: Server, schema: Any = SCHEMA, token: str = TOKEN, **options: Any) -> sn.StreamFrame:
    return sn.from_websocket(server.url, schema, send=["subscribe"], headers={"Authorization": token}, **options)


def test_a_message_is_a_row_text_or_bytes(server):
    query = read(server).query()
    for message in '{"v": 1}', b'{"v": 2}':
        server.said.put(message)
    step_until(query, 2)
    assert query.result["v"].tolist() == [1, 2]
    assert server.heard == ["subscribe"]
    query.rewind(-1).run()
    assert query.result["v"].tolist() == [1, 2]


def test_a_query_that_ends_says_goodbye(server):
    query = read(server).query()
    server.said.put('{"v": 1}')
    step_until(query, 1)
    query.stop()
    eventually(lambda: server.farewells == [1000])


def test_a_connection_that_breaks_is_made_again(server):
    frame = read(server)
    query = frame.query()
    server.said.put('{"v": 1}')
    step_until(query, 1)
    server.hang_up()
    eventually(lambda: len(server.heard) == 2)
    server.said.put('{"v": 2}')
    step_until(query, 2)
    assert status(frame) == "connected"


def test_a_message_of_ten_megabytes(server):
    query = read(server, {"k": "string"}).query()
    server.said.put('{"k": "' + "x" * 10_000_000 + '"}')
    step_until(query, 1)
    assert query.result["k"].str.len().tolist() == [10_000_000]


def test_invalid_utf8_is_set_aside(server):
    query = read(server).query()
    server.said.put(b'{"v": "\xff"}')
    server.said.put('{"v": 1}')
    step_until(query, 1)
    assert query.dead_letters["reason"].tolist() == ["byte 7 of 10 is not UTF-8"]


def test_an_address_where_nothing_is_is_one_line(server):
    with pytest.raises(DataError, match=r"from_websocket: ws://127\.0\.0\.1:\d+/nope answers 404"):
        sn.from_websocket(server.url.replace("clicks", "nope"), SCHEMA).query().step()


def test_a_wrong_token_is_one_line_without_it(server):
    frame = read(server, token="wrong-but-secret")
    with pytest.raises(DataError, match=r"from_websocket: ws://127\.0\.0\.1:\d+/clicks answers 401") as caught:
        frame.query().step()
    assert "wrong-but-secret" not in f"{caught.value} {frame!r} {status(frame)}"


def test_an_absent_server_is_one_line_without_the_secrets_of_its_address():
    frame = sn.from_websocket(f"ws://ann:hunter2@127.0.0.1:{free_port()}/x?token=hunter3", SCHEMA)
    with pytest.raises(DataError, match=r"from_websocket: cannot reach ws://127\.0\.0\.1:\d+/x: .*refused") as caught:
        frame.query().step()
    assert "hunter" not in f"{caught.value} {frame!r} {status(frame)}"


def test_a_query_stops_within_a_second_and_its_thread_ends(server):
    query = read(server).start()
    eventually(lambda: server.heard)
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)


def test_a_missing_library_is_one_line_to_type(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "websockets.sync.client", None)
    with pytest.raises(MissingError) as caught:
        sn.from_websocket("ws://127.0.0.1:9/", SCHEMA)
    assert str(caught.value) == 'from_websocket needs websockets: pip install "streamnb[websocket]"'
