"""installed: what of all that streamnb needs or can use is there, and the command that brings what is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import streamnb
from streamnb.spark.session import OLDEST_JAVA, java_version

_CORE = ("narwhals", "polars", "pandas", "pyarrow", "numpy", "sqlglot", "streamz", "tornado", "ipywidgets", "anywidget")
_BY_LAB = "missing; type pip install 'streamnb[lab]'"
_SCRIPTS = (("@jupyter-widgets/jupyterlab-manager", "jupyterlab-widgets"), ("anywidget", "anywidget"))
_CLIENTS = (
    ("pyspark", "running on Spark", "spark"),
    ("confluent-kafka", "from_kafka and sn.sinks.Kafka", "kafka"),
    ("fastavro", "Avro in from_kafka", "kafka"),
    ("redis", "from_redis and sn.sinks.Redis", "redis"),
    ("psycopg", "Postgres", "postgres"),
    ("nats-py", "from_nats", "nats"),
    ("paho-mqtt", "from_mqtt", "mqtt"),
    ("websockets", "from_websocket", "websocket"),
    ("duckdb", "sn.sinks.DuckDB", "duckdb"),
    ("deltalake", "sn.sinks.Delta", "delta"),
    ("river", "models that learn from a stream", "ml"),
)


def findings() -> list[tuple[str, str]]:
    """Return the name of each thing that streamnb needs or can use, and what is to be said of it."""
    return [
        ("python", platform.python_version()),
        ("streamnb", streamnb.__version__),
        *((name, _told(name) or "missing; type pip install streamnb") for name in _CORE),
        ("bokeh", _bokeh()),
        *((name, _told(name) or _BY_LAB) for name in ("jupyterlab", "notebook")),
        *((name, _told(name) or _needed(what, extra)) for name, what, extra in _CLIENTS),
        ("java", _java()),
        ("widgets", _widgets()),
        ("kernel", _kernel()),
    ]


def _told(name: str) -> str | None:
    """Return the version of a distribution, and what to type if it is not one that streamnb is made for."""
    version = _version(name)
    wanted = None if version is None else _wanted(name)
    if version is None or wanted is None or wanted.contains(version, prereleases=True):
        return version
    return f"{version}, and streamnb is made for {wanted}; type pip install '{name}{wanted}'"


def _wanted(name: str) -> SpecifierSet | None:
    """Return which versions the installed streamnb asks for."""
    try:
        lines = importlib.metadata.requires("streamnb") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((asked.specifier for asked in map(Requirement, lines) if asked.name == name), None)


def _java() -> str:
    version, way_out = java_version(), f"type sudo apt-get install openjdk-{OLDEST_JAVA}-jre-headless"
    if version is None:
        return f"missing, needed only for running on Spark here; {way_out}"
    return str(version) if version >= OLDEST_JAVA else f"{version}, too old for Spark; {way_out}"


def _widgets() -> str:
    """Tell the versions of the scripts that JupyterLab and Notebook load to show widgets."""
    if importlib.util.find_spec("jupyter_core") is None:
        return _BY_LAB
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    said = []
    for script, brought_by in _SCRIPTS:
        package = next((file for folder in folders if (file := folder / script / "package.json").exists()), None)
        if package is None:
            return f"{script} is missing in {folders[0]} and the like; type pip install --force-reinstall {brought_by}"
        said.append(f"{script} {json.loads(package.read_text(encoding='utf-8'))['version']}")
    return ", ".join(said)


def _kernel() -> str:
    """Tell which Python a notebook runs in."""
    if _version("ipykernel") is None:
        return _BY_LAB
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return "python3 is missing; type python -m ipykernel install --sys-prefix"
    if program in {"python", "python3"}:  # Jupyter puts its own in this place
        return sys.executable
    same = Path(program).parent == Path(sys.executable).parent
    return program if same else f"{program}, which is another Python; type python -m ipykernel install --sys-prefix"


def _needed(what: str, extra: str) -> str:
    return f"missing, needed only for {what}; type pip install 'streamnb[{extra}]'"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _bokeh() -> str:
    python, script = _version("bokeh"), _bokehjs()
    if python is None:
        return "missing; type pip install streamnb"
    if python == script:
        return f"{_told('bokeh')}, and BokehJS is the same"
    return f"{python}, but BokehJS is {script}; type pip install --force-reinstall bokeh"


def _bokehjs() -> str | None:
    """Return the version written in the JavaScript that the bokeh package carries, without importing bokeh."""
    spec = importlib.util.find_spec("bokeh")
    if spec is None or spec.origin is None:
        return None
    script = Path(spec.origin).parent / "server" / "static" / "js" / "bokeh.min.js"
    found = re.search(r'\.version="(\d[^"]*)"', script.read_text(encoding="utf-8")) if script.exists() else None
    return found[1] if found else None
