"""from_sse: server-sent events."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.parse import unquote, urlsplit

from streamnb.connect import Source
from streamnb.errors import one_of
from streamnb.patience import GLANCE, secrets_of, shown
from streamnb.schema import Schema
from streamnb.sources.records import format_of
from streamnb.sources.spool import RefusedError
from streamnb.sources.spooled import AnySpool, Reception, Spooled
from streamnb.sources.tcp import LONGEST
from streamnb.time import SECOND, Duration, duration


def from_sse(
    url: str,
    schema: Schema | None = None,
    *,
    format: str = "json",
    headers: Mapping[str, str] | None = None,
    silence: Duration = "1 minute",
    spool: AnySpool = None,
    received: str | None = "received",
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Take every server-sent event for a row: its data by ``format``, its name in the column ``event``.

    Events are kept in a spool, so that a query can rewind and go on from its checkpoint. A connection that ends is made
    again, with the last event's id, from which many servers go on; status 204 ends the stream.

    Parameters
    ----------
    url
        ``"http://…"`` or ``"https://…"``; a name and password in it are sent as basic authentication.
    headers
        Such as ``{"Authorization": os.environ["TOKEN"]}``; never shown.
    silence
        Connect anew when nothing came for so long, not even a comment.
    schema, format, spool, received, rows_per_batch, timeout
        As in ``from_tcp``.

    >>> sn.from_sse("https://localhost/events", {"n": "int64"})
      1  read from_sse(https://localhost/events)
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise one_of("from_sse", "url", shown(url), ("http://…", "https://…"))
    seconds, quiet = duration(timeout, "from_sse") / SECOND, duration(silence, "from_sse") / SECOND
    given = {"Accept": "text/event-stream", "Cache-Control": "no-store", **_authorization(url), **(headers or {})}
    last_id: list[str] = []

    def receive(reception: Reception) -> bool:
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=seconds)
        connection.connect()
        line = connection.sock
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers=given | ({"Last-Event-ID": last_id[0]} if last_id else {}))
            response = connection.getresponse()
            if response.status == http.HTTPStatus.NO_CONTENT:
                return True
            _check(response, url)
            reception.connected()
            line.settimeout(quiet)
            with _left(reception, line):
                _read(response, reception, last_id)
        finally:
            line.close()
            connection.close()
        return False

    return Spooled(
        "from_sse",
        shown(url),
        format_of("from_sse", format, schema),
        receive,
        spool=spool,
        received=received,
        tag="event",
        rows_per_batch=rows_per_batch,
        timeout=seconds,
        secrets=secrets_of(url, headers),
    )


def _authorization(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _check(response: http.client.HTTPResponse, url: str) -> None:
    if response.status in {401, 403, 404}:
        raise RefusedError(
            f"from_sse: {shown(url)} answers {response.status} {response.reason}; mend the url or headers=."
        )
    if response.status != http.HTTPStatus.OK:
        raise ConnectionError(f"{response.status} {response.reason}")


@contextmanager
def _left(reception: Reception, line: socket.socket) -> Iterator[None]:
    """Break the connection, which otherwise waits for the next event, once nobody asks any more."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(GLANCE) and reception.is_asked():
            pass
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _read(response: http.client.HTTPResponse, reception: Reception, last_id: list[str]) -> None:
    """Give the events of a response; an event that is not whole at its end is none."""
    event, data = "message", list[bytes]()
    while line := response.readline(LONGEST):
        reception.check()
        name, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if not line.strip():
            if data:
                reception.give(b"\n".join(data), event)
            event, data = "message", []
        elif name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            last_id[:] = [value.decode("latin-1")]
    reception.check()
