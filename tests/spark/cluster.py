"""A Spark of one's own on loopback: a master, workers, and a Connect server, from the pip package; each by its pid."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

_FOUND = importlib.util.find_spec("pyspark")
BIN = Path(str(_FOUND.origin if _FOUND else "")).parent / "bin"
SMALL = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


class Daemon:
    """A process that says on its log when it is ready."""

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
        self.ready, self._told, self._text = False, threading.Event(), ready
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if self._text in line:
                self.ready = True
                self._told.set()
        self._told.set()

    def wait(self, seconds: float = 180) -> Daemon:
        self._told.wait(seconds)
        assert self.ready, "".join(line for line in self.lines if "ERROR" in line or "xception" in line)[:2000]
        return self

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
    port, grpc = free_port(), free_port()
    master_url = f"spark://127.0.0.1:{port}"
    with ExitStack() as stack:

        def daemon(command: Sequence[str], ready: str, memory: str = "256m") -> Daemon:
            started = Daemon(command, ready, folder, memory)
            stack.callback(started.stop)
            return started

        spark_class, where = str(BIN / "spark-class"), ["--host", "127.0.0.1", "--webui-port", "0"]
        master = [spark_class, "org.apache.spark.deploy.master.Master", *where, "--port", str(port)]
        daemon(master, "I have been elected leader").wait()
        worker = [spark_class, "org.apache.spark.deploy.worker.Worker", *where, "--cores", "1", "--memory", "600m"]
        workers = [
            daemon([*worker, "-d", str(folder / f"work-{n}"), master_url], "Successfully registered") for n in range(2)
        ]
        server = daemon(_connect(master_url, grpc), "Spark Connect server started", "700m")
        for started in (*workers, server):
            started.wait()
        yield Cluster(workers, f"sc://127.0.0.1:{grpc}")


def _connect(master_url: str, port: int) -> list[str]:
    settings = {
        "spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": port,
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC {SMALL}", "spark.executor.extraJavaOptions": SMALL,
        "spark.executor.memory": "512m", "spark.executor.cores": 1, "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": 2, "spark.sql.session.timeZone": "UTC",
    }  # fmt: skip
    options = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    kind = "org.apache.spark.sql.connect.service.SparkConnectServer"
    return [str(BIN / "spark-submit"), "--master", master_url, *options, "--class", kind, "spark-internal"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
