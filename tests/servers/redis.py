"""Redis for tests: the system's server on a free port of this machine, with a password, in memory only."""

from __future__ import annotations

from tests.servers.process import Server, free_port

PASSWORD = "s3cret-of-redis"


class Redis:
    """A server; ``url`` is how to reach it. With a ``folder`` it writes every change there and has it again later."""

    def __init__(self, program: str, folder: str | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        kept = ["--appendonly", "yes", "--appendfsync", "always", "--dir", folder] if folder else ["--appendonly", "no"]
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--requirepass", PASSWORD]
        self.server = Server([*command, *kept], "Ready to accept connections")

    def start(self) -> None:
        """Start, or start again."""
        self.server.start()

    def stop(self) -> None:
        """Drop every connection and end."""
        self.server.stop()
