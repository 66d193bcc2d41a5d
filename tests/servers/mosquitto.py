"""MQTT for tests: the system's mosquitto on a free port of this machine, with a password."""

from __future__ import annotations

import getpass
import subprocess
from pathlib import Path

from tests.servers.process import Server, free_port

USER, PASSWORD = "ann", "s3cret-of-mqtt"


class Mosquitto:
    """A broker on ``port``. What it holds for a client that is away outlives a restart."""

    def __init__(self, program: str, folder: Path) -> None:
        self.port = free_port()
        users = folder / "users"
        users.write_text(f"{USER}:{PASSWORD}\n")
        users.chmod(0o600)
        subprocess.run([f"{program}_passwd".replace("/usr/sbin", "/usr/bin"), "-U", str(users)], check=True)
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {users}\n"
            f"persistence true\npersistence_location {folder}/\nlog_dest stderr\nuser {getpass.getuser()}\n"
        )
        self.server = Server([program, "-c", str(settings)], "running")

    def start(self) -> None:
        """Start, or start again."""
        self.server.start()

    def stop(self) -> None:
        """Drop every connection and end."""
        self.server.stop()
