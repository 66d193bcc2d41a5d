"""from_tcp: lines from a TCP server."""

from __future__ import annotations

import socket

from streamnb.connect import Source
from streamnb.patience import GLANCE
from streamnb.schema import Schema
from streamnb.sources.records import format_of
from streamnb.sources.spool import RefusedError
from streamnb.sources.spooled import AnySpool, Reception, Spooled
from streamnb.time import SECOND, Duration, duration

LONGEST = 256_000_000
"""More bytes than this without an end are no record."""


def from_tcp(
    host: str,
    port: int,
    schema: Schema | None = None,
    *,
    format: str = "json",
    spool: AnySpool = None,
    received: str | None = "received",
    rows_per_batch: int = 10_000,
    timeout: Duration = "5 seconds",
) -> Source:
    """Connect to a TCP server and take every line for a row.

    Lines are kept in a spool, so that a query can rewind and go on from its checkpoint; what is sent while nobody is
    connected is lost. A connection that ends is made again, later each time up to ten seconds.

    Parameters
    ----------
    schema
        The fields of the JSON lines. None: guessed from the first ones. A field that it does not name is left out, one
        that is not there is null, a value that does not fit makes its line a dead letter (``q.dead_letters``). An
        object or a list is JSON in a column of text.
    format
        ``"json"``, or ``"text"`` or ``"raw"`` for one column ``value``.
    spool
        A folder, or ``sn.Spool(…)``; None: a temporary one, from which a checkpoint cannot go on.
    received
        The column that says when a row came (UTC). None: no such column.
    rows_per_batch
        At most so many rows in one step.
    timeout
        How long the server may take to answer.

    Spark
        ``spark.readStream.format("socket")``, which has no spool.

    >>> sn.from_tcp("localhost", 7000, {"n": "int64"})
      1  read from_tcp(localhost:7000)
    """
    seconds = duration(timeout, "from_tcp") / SECOND

    def receive(reception: Reception) -> bool:
        with socket.create_connection((host, port), seconds) as connection:
            reception.connected()
            connection.settimeout(GLANCE)
            _read_lines(connection, reception)
        return False

    return Spooled(
        "from_tcp",
        f"{host}:{port}",
        format_of("from_tcp", format, schema),
        receive,
        spool=spool,
        received=received,
        rows_per_batch=rows_per_batch,
        timeout=seconds,
    )


def _read_lines(connection: socket.socket, reception: Reception) -> None:
    pending = bytearray()
    while True:
        reception.check()
        try:
            data = connection.recv(2**16)
        except TimeoutError:
            continue
        if not data:
            _give(reception, bytes(pending))
            return
        *lines, rest = data.split(b"\n")
        for line in lines:
            _give(reception, bytes(pending) + line)
            pending.clear()
        pending += rest
        if len(pending) > LONGEST:
            raise RefusedError(f"from_tcp: {LONGEST} bytes came without a line break; these are no lines.")


def _give(reception: Reception, line: bytes) -> None:
    if line.strip():
        reception.give(line.removesuffix(b"\r"))
