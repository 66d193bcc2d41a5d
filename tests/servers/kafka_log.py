"""A broker of one topic that knows when its messages came: it answers ListOffsets by time, which librdkafka's does not.

No Kafka in Java can be had from pip, apt or npm. This one speaks what a consumer asks, in Kafka's own protocol:
ApiVersions 0, Metadata 1, ListOffsets 1, Fetch 4, with record batches of magic 2. It takes no messages over the line.
"""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 1, 2, 3, 18
_SPOKEN = {0: (0, 3), FETCH: (4, 4), LIST_OFFSETS: (1, 1), METADATA: (1, 1), API_VERSIONS: (0, 0)}
_LATEST, _EARLIEST, _UNSUPPORTED = -1, -2, 35


@dataclass
class Reader:
    """A request, taken apart from the front."""

    body: bytes
    at: int = 0

    def number(self, format: str) -> int:
        (value,) = struct.unpack_from(f">{format}", self.body, self.at)
        self.at += struct.calcsize(f">{format}")
        return int(value)

    def text(self) -> str:
        size = self.number("h")
        self.at += max(size, 0)
        return self.body[self.at - max(size, 0) : self.at].decode()


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def array(items: Sequence[bytes]) -> bytes:
    return struct.pack(">i", len(items)) + b"".join(items)


def varint(value: int) -> bytes:
    left, found = (value << 1) ^ (value >> 63), b""
    while left > 0x7F:
        found, left = found + bytes([left & 0x7F | 0x80]), left >> 7
    return found + bytes([left])


@dataclass
class KafkaLog:
    """Partitions of (milliseconds, value), each in its order, at ``bootstrap``; ``asked`` are the times asked for."""

    topic: str
    partitions: Sequence[Sequence[tuple[int, bytes]]]
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        log = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while len(size := self.rfile.read(4)) == 4:
                    answer = log.answer(Reader(self.rfile.read(int.from_bytes(size, "big"))))
                    self.wfile.write(struct.pack(">i", len(answer)) + answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.bootstrap = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Reader) -> bytes:
        """Return the answer to a request, behind its number."""
        key, version = request.number("h"), request.number("h")
        number = struct.pack(">i", request.number("i"))
        request.text()  # the client's name
        if key == API_VERSIONS:
            return number + self._versions(version)
        how: dict[int, Callable[[Reader], bytes]] = {
            METADATA: self._metadata, LIST_OFFSETS: self._offsets, FETCH: self._fetch
        }  # fmt: skip
        return number + how[key](request)

    def _versions(self, version: int) -> bytes:
        told = [struct.pack(">hhh", key, *bounds) for key, bounds in _SPOKEN.items()]
        return struct.pack(">h", _UNSUPPORTED if version else 0) + array(told)

    def _metadata(self, _: Reader) -> bytes:
        broker = struct.pack(">i", 1) + text("127.0.0.1") + struct.pack(">ih", self.port, -1)
        one = array([struct.pack(">i", 1)])
        partitions = [struct.pack(">hii", 0, n, 1) + one + one for n in range(len(self.partitions))]
        topic = struct.pack(">h", 0) + text(self.topic) + b"\0" + array(partitions)
        return array([broker]) + struct.pack(">i", 1) + array([topic])

    def _offsets(self, request: Reader) -> bytes:
        request.number("i")
        return self._each(request, lambda n: self._offset(n, request.number("q")))

    def _offset(self, partition: int, time: int) -> bytes:
        """Find the first message that came at a time or later; none: no offset."""
        log = self.partitions[partition]
        if time in {_LATEST, _EARLIEST}:
            at, offset = -1, len(log) if time == _LATEST else 0
        else:
            self.asked.append(time)
            at, offset = next(((at, n) for n, (at, _) in enumerate(log) if at >= time), (-1, -1))
        return struct.pack(">ihqq", partition, 0, at, offset)

    def _fetch(self, request: Reader) -> bytes:
        request.at += 17  # who asks, and how long and how much
        return struct.pack(">i", 0) + self._each(request, lambda n: self._records(n, request))

    def _records(self, partition: int, request: Reader) -> bytes:
        first, _ = request.number("q"), request.number("i")
        log = self.partitions[partition]
        batch = _batch(first, log[first:]) if first < len(log) else b""
        if not batch:
            threading.Event().wait(0.05)  # as a broker waits for more
        return struct.pack(">ihqqii", partition, 0, len(log), len(log), -1, len(batch)) + batch

    def _each(self, request: Reader, partition: Callable[[int], bytes]) -> bytes:
        """Return what is said of every partition of every topic that is asked for."""
        topics = []
        for _ in range(request.number("i")):
            name = text(request.text())
            topics.append(name + array([partition(request.number("i")) for _ in range(request.number("i"))]))
        return array(topics)


def _batch(first: int, messages: Sequence[tuple[int, bytes]]) -> bytes:
    start, last = messages[0][0], max(at for at, _ in messages)
    records = b"".join(_record(n, at - start, value) for n, (at, value) in enumerate(messages))
    head = struct.pack(">hiqqqhi", 0, len(messages) - 1, start, last, -1, -1, -1)
    body = struct.pack(">ibI", 0, 2, 0) + head + struct.pack(">i", len(messages)) + records
    return struct.pack(">qi", first, len(body)) + body


def _record(number: int, later: int, value: bytes) -> bytes:
    body = b"\0" + varint(later) + varint(number) + varint(-1) + varint(len(value)) + value + varint(0)
    return varint(len(body)) + body
