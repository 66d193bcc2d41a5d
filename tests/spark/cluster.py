"""A Spark of one's own on loopback: a master, workers, and a Connect server, from the pip package; each by its pid."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_FOUND = importlib.util.find_spec("pyspark")
BIN = Path(str(_FOUND.origin if _FOUND else "")).parent / "bin"
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Daemon:
    """A process that says on its log when it is ready; what the pattern ``ready`` finds there is its ``address``.

    Each takes a free port of its own choice: one that was looked for here could be taken by the time it starts.
    """

    def __init__(self, command: Sequence[str], ready: str, folder: Path, memory: str) -> None:
        environment = os.environ | {
            "SPARK_DAEMON_MEMORY": memory,
            "SPARK_DAEMON_JAVA_OPTS": f"{SMALL} -Dspark.master.rest.enabled=false",
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(folder),
            "SPARK_HOME": str(BIN.parent),
        }
        self.process = subprocess.Popen(
            command, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.address: str | None = None
        self._told, self._ready = threading.Event(), re.compile(ready)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if found := self._ready.search(line):
                self.address = found[found.re.groups]
                self._told.set()
        self._told.set()

    def wait(self, seconds: float = 300) -> str:
        """Return the address; with what went wrong if it does not come."""
        self._told.wait(seconds)
        assert self.address, "".join(line for line in self.lines if "ERROR" in line or "xception" in line)[:2000]
        return self.address

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


class Cluster:
    """A master with two workers, and a Connect server whose driver works on them."""

    def __init__(self, workers: Sequence[Daemon], address: str) -> None:
        self.workers, self.address = workers, address


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Start all of it, end all of it."""
    with ExitStack() as stack:

        def daemon(command: Sequence[str], ready: str, memory: str = "256m") -> Daemon:
            started = Daemon(command, ready, folder, memory)
            stack.callback(started.stop)
            return started

        spark_class, where = str(BIN / "spark-class"), ["--host", "127.0.0.1", "--webui-port", "0", "--port", "0"]
        master = daemon([spark_class, "org.apache.spark.deploy.master.Master", *where], r"Starting .* (spark://\S+)")
        url = master.wait()
        worker = [spark_class, "org.apache.spark.deploy.worker.Worker", *where, "--cores", "1", "--memory", "600m"]
        workers = [
            daemon([*worker, "-d", str(folder / f"work-{n}"), url], "Successfully registered with master")
            for n in range(2)
        ]
        server = daemon(_connect(url), r"Spark Connect server started at: (\S+)", "700m")
        for started in workers:
            started.wait()
        yield Cluster(workers, f"sc://{server.wait()}")


def _connect(master_url: str) -> list[str]:
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": 0,
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC {SMALL}", "spark.executor.extraJavaOptions": SMALL,
        "spark.executor.memory": "512m", "spark.executor.cores": 1, "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": 2, "spark.sql.session.timeZone": "UTC",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    kind = "org.apache.spark.sql.connect.service.SparkConnectServer"
    return [str(BIN / "spark-submit"), "--master", master_url, *options, "--class", kind, "spark-internal"]
