"""from_websocket: the messages of a WebSocket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from streamnb.connect import Source
from streamnb.errors import one_of
from streamnb.patience import GLANCE, library, secrets_of, shown
from streamnb.schema import Schema
from streamnb.sources.records import format_of
from streamnb.sources.spool import RefusedError
from streamnb.sources.spooled import AnySpool, NobodyAsks, Reception, Spooled
from streamnb.sources.tcp import LONGEST
from streamnb.time import SECOND, Duration, duration


def from_websocket(
    url: str,
    schema: Schema | None = None,
    *,
    format: str = "json",
    send: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
    spool: AnySpool = None,
    received: str | None = "received",
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Take every message of a WebSocket for a row.

    Messages are kept in a spool, so that a query can rewind and go on from its checkpoint; what is sent while nobody
    is connected is lost. A connection that ends is made again, later each time up to ten seconds.

    Parameters
    ----------
    url
        ``"ws://…"`` or ``"wss://…"``.
    send
        Messages to send once connected, such as a subscription.
    headers
        Such as ``{"Authorization": os.environ["TOKEN"]}``; never shown.
    schema, format, spool, received, rows_per_batch, timeout
        As in ``from_tcp``.

    >>> sn.from_websocket("wss://localhost/feed", {"n": "int64"})
      1  read from_websocket(wss://localhost/feed)
    """
    if urlsplit(url).scheme not in {"ws", "wss"}:
        raise one_of("from_websocket", "url", shown(url), ("ws://…", "wss://…"))
    client = library("from_websocket", "websockets.sync.client", "websockets", "websocket")
    errors = library("from_websocket", "websockets.exceptions", "websockets", "websocket")
    seconds = duration(timeout, "from_websocket") / SECOND
    options = {"open_timeout": seconds, "close_timeout": 1, "max_size": LONGEST, "additional_headers": headers}

    def receive(reception: Reception) -> bool:
        try:
            with client.connect(url, **options) as connection:
                for message in send:
                    connection.send(message)
                reception.connected()
                while reception.is_asked():
                    _take(connection, reception)
            raise NobodyAsks  # after a goodbye: the other side takes an error in there for ours
        except errors.InvalidStatus as error:
            if error.response.status_code in {401, 403, 404}:
                raise RefusedError(
                    f"from_websocket: {shown(url)} answers {error.response.status_code}; mend the url or headers=."
                ) from None
            raise

    return Spooled(
        "from_websocket",
        shown(url),
        format_of("from_websocket", format, schema),
        receive,
        spool=spool,
        received=received,
        rows_per_batch=rows_per_batch,
        timeout=seconds,
        secrets=secrets_of(url, headers),
    )


def _take(connection: object, reception: Reception) -> None:
    try:
        message = connection.recv(timeout=GLANCE)  # type: ignore[attr-defined]
    except TimeoutError:
        return
    reception.give(message.encode() if isinstance(message, str) else message)
