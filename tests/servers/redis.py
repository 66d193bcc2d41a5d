"""Redis for tests: the system's server on a free port of this machine, with a password."""

from __future__ import annotations

import shutil

from tests.servers.process import Server, free_port

PASSWORD = "s3cret-of-redis"


class Redis:
    """A server; ``url`` is how to reach it. It writes every change to ``folder`` and has it again after a restart."""

    def __init__(self, program: str, folder: str) -> None:
        self.port, self._folder = free_port(), folder
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        kept = ["--appendonly", "yes", "--dir", folder, "--save", ""]
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD, *kept]
        self.server = Server(command, "Ready to accept connections")

    def place(self, name: str) -> str:
        """Return an address, and behind a space the name of what is to be written there."""
        return f"{self.url} {name}"

    password = PASSWORD

    def start(self) -> None:
        """Start, or start again."""
        self.server.start()

    def stop(self) -> None:
        """Drop every connection and end."""
        self.server.stop()

    def remove(self) -> None:
        """End, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder)
