"""A server that a test starts on a free port and ends by its process: wait for the line that says it is ready."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from typing import Any, Self

PATIENCE = 30.0


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A program of which the output tells when it is ready. ``start`` after ``stop`` or ``kill`` is a restart."""

    def __init__(self, command: Sequence[str], ready: str, **options: Any) -> None:
        self._command, self._ready, self._options = command, ready, options
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []

    def start(self) -> Self:
        """Start the program and wait until it is ready."""
        self.log.clear()
        self._process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **self._options,
        )
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self._process, ready), daemon=True).start()
        ready.wait(PATIENCE)
        if not any(self._ready in line for line in self.log):
            self.kill()
            raise RuntimeError(f"{self._command[0]} did not start:\n{''.join(self.log[-20:])}")
        return self

    def _listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.log.append(line)
            if self._ready in line:
                ready.set()
        ready.set()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """Ask the program to end, and wait; kill it if it does not."""
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the program at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
