"""NATS JetStream for tests: the system's server on a free port of this machine, with a password."""

from __future__ import annotations

from pathlib import Path

from tests.servers.process import Server, free_port

USER, PASSWORD = "ann", "s3cret-of-nats"


class Nats:
    """A server; ``url`` is how to reach it. Its streams outlive a restart."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        self.url = f"nats://{USER}:{PASSWORD}@127.0.0.1:{self.port}"
        settings = folder / "nats.conf"
        settings.write_text(
            f'listen: "127.0.0.1:{self.port}"\nmax_payload: 16MB\n'
            f'jetstream {{ store_dir: "{folder}" }}\nauthorization {{ user: "{USER}", password: "{PASSWORD}" }}\n'
        )
        self.server = Server([program, "-c", str(settings)], "Server is ready")

    def start(self) -> None:
        """Start, or start again."""
        self.server.start()

    def stop(self) -> None:
        """Drop every connection and end."""
        self.server.stop()
