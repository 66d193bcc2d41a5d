"""from_tcp, against a server of sockets: lines are kept, connections are made again, a stop is a stop."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
from collections.abc import Iterator
from typing import Any, Self

import pytest

import streamnb as sn
from streamnb.errors import DataError, PlanError
from tests.servers.process import free_port
from tests.sources.waiting import eventually, seconds_to_stop, source_of, source_threads, status, step_until

SCHEMA = {"v": "int64"}


class Lines:
    """A server that says what a test lets it say, to one client at a time."""

    def __init__(self, port: int = 0) -> None:
        self._server = socket.create_server(("127.0.0.1", port), reuse_port=True)
        self.port: int = self._server.getsockname()[1]
        self._clients: list[socket.socket] = []
        self._come = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._clients.append(client)
            self._come.set()

    def say(self, text: str | bytes) -> None:
        assert self._come.wait(10)
        self._clients[-1].sendall(text.encode() if isinstance(text, str) else text)

    def hang_up(self) -> None:
        assert self._come.wait(10)
        self._come.clear()
        self._clients[-1].close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def server() -> Iterator[Lines]:
    with Lines() as lines:
        yield lines


def read(server: Lines, schema: Any = SCHEMA, **options: Any) -> sn.StreamFrame:
    return sn.from_tcp("127.0.0.1", server.port, schema, **options)


def got(query: sn.Query) -> list[int]:
    return [int(v) for v in query.result["v"]]


def test_a_line_is_a_row_with_the_time_it_came(server):
    query = read(server).query()
    assert query.step() is None
    server.say('{"v": 1}\n{"v"')
    step_until(query, 1)
    server.say(': 2}\r\n\n{"v": 3}\n')
    step_until(query, 3)
    assert got(query) == [1, 2, 3]
    assert query.result["received"].is_monotonic_increasing


def test_a_query_rewinds_and_reads_the_same_again(server):
    query = read(server, rows_per_batch=2).query()
    query.step()
    server.say("".join(f'{{"v": {n}}}\n' for n in range(5)))
    step_until(query, 5)
    before = [rows.to_dict("records") for rows in query.emitted]
    query.rewind(-1).run()
    assert [row for rows in query.emitted for row in rows.to_dict("records")] == [
        row for rows in before for row in rows
    ]


def test_a_query_goes_on_from_its_checkpoint(server, tmp_path):
    options = {"spool": tmp_path / "spool", "rows_per_batch": 2}
    frame = read(server, **options)
    first = frame.query(checkpoint=tmp_path / "query")
    first.step()
    server.say('{"v": 1}\n{"v": 2}\n{"v": 3}\n')
    eventually(lambda: source_of(frame)._spool.end == 3)
    first.step()
    first.stop()
    again = read(server, **options).query(checkpoint=tmp_path / "query").run()
    assert got(again) == [3]


def test_a_checkpoint_without_its_spool_is_refused(server, tmp_path):
    query = read(server).query(checkpoint=tmp_path)
    query.step()
    server.say('{"v": 1}\n')
    step_until(query, 1)
    query.stop()
    with pytest.raises(DataError, match="ends at record 0 and 1 was read before; give spool= the folder"):
        read(server).query(checkpoint=tmp_path).step()


def test_a_connection_that_ends_is_made_again(server):
    frame = read(server)
    query = frame.query()
    query.step()
    server.say('{"v": 1}\n{"v": 2}')
    server.hang_up()
    eventually(lambda: status(frame).startswith("trying again in 0."))
    server.say('{"v": 3}\n')
    step_until(query, 3)
    assert got(query) == [1, 2, 3]
    assert status(frame) == "connected"


def test_the_waits_between_attempts_grow(server):
    frame = read(server)
    query = frame.query()
    query.step()
    server.close()
    seen: list[str] = []

    def grown() -> bool:
        if status(frame) not in seen:
            seen.append(status(frame))
        return len(seen) >= 4

    eventually(grown)
    waits = [float(told.split()[3]) for told in seen if told.startswith("trying again in ")]
    assert len(waits) >= 3
    assert waits == sorted({0.125 * 2**n for n in range(7)} & {*waits})  # a busy machine may miss one


def test_an_absent_server_is_one_line_and_is_tried_again():
    port = free_port()
    frame = sn.from_tcp("127.0.0.1", port, SCHEMA)
    query = frame.query()
    with pytest.raises(DataError, match=rf"from_tcp: cannot reach 127\.0\.0\.1:{port}: .*refused; start the server"):
        query.step()
    with Lines(port) as late:
        eventually(lambda: status(frame) == "connected")
        late.say('{"v": 1}\n')
        step_until(query, 1)
    query.stop()


def test_a_query_stops_within_a_second_and_its_thread_ends(server):
    query = read(server).start()
    eventually(source_threads)
    assert seconds_to_stop(query) < 1
    eventually(lambda: not source_threads(), 5)


def test_two_queries_read_one_connection(server):
    frame = read(server)
    first, second = frame.query(), frame.filter(sn.col("v") > 1).query()
    first.step()
    server.say('{"v": 1}\n{"v": 2}\n')
    step_until(first, 2)
    step_until(second, 1)
    first.stop()
    server.say('{"v": 3}\n')
    step_until(second, 2)
    assert (got(first), got(second)) == ([1, 2], [2, 3])


def test_a_forgotten_query_receives_no_more(server):
    query = read(server).query()
    query.step()
    assert source_threads()
    del query

    def collected() -> bool:
        gc.collect()
        return not source_threads()

    eventually(collected)


def test_a_full_spool_stops_receiving_until_the_query_is_through(server):
    frame = read(server, spool=sn.Spool(limit=5_000), rows_per_batch=20)
    query = frame.query()
    query.step()
    server.say("".join(f'{{"v": {n}}}\n' for n in range(1000)))
    eventually(lambda: status(frame).startswith("waiting: the spool holds"))
    step_until(query, 1000)
    assert got(query) == list(range(1000))
    with pytest.raises(DataError, match=r"record 0 of .* was dropped"):
        query.rewind(-1).step()


def test_a_line_of_ten_megabytes(server):
    query = read(server, {"k": "string"}).query()
    query.step()
    server.say(b'{"k": "' + b"x" * 10_000_000 + b'"}\n')
    step_until(query, 1)
    assert query.result["k"].str.len().tolist() == [10_000_000]


def test_invalid_utf8_is_named_by_its_record(server):
    frame = read(server)
    query = frame.query()
    query.step()
    server.say(b'{"v": 1}\n{"v": "\xff"}\n')
    eventually(lambda: source_of(frame)._spool.end == 2)
    query.run()
    assert got(query) == [1]
    assert query.dead_letters[["offset", "reason"]].to_numpy().tolist() == [["record 1", "byte 7 of 10 is not UTF-8"]]


def test_columns_are_guessed_from_the_first_lines(server):
    said = threading.Thread(target=lambda: server.say('{"at": "2026-01-01 00:00:07", "v": 1}\n'))
    said.start()
    frame = read(server, None)
    assert list(frame.schema) == ["at", "v", "received"]
    query = frame.query()
    step_until(query, 1)
    assert str(query.result["at"][0]) == "2026-01-01 00:00:07"


def test_nothing_to_guess_from_is_said(server):
    with pytest.raises(DataError, match="nothing came to guess the columns from"):
        read(server, None, timeout="200 ms")


@pytest.mark.parametrize("options", [{"format": "xml"}, {"rows_per_batch": 0}, {"received": "v"}, {"timeout": "soon"}])
def test_an_option_that_is_none_is_refused(options):
    with pytest.raises(PlanError):
        sn.from_tcp("127.0.0.1", 9, SCHEMA, **options)
