"""Client libraries, imported when a sink is made; one that is missing is named with the line that installs it."""

from __future__ import annotations

import importlib
from typing import Any

_EXTRAS = {
    "confluent_kafka": ("confluent-kafka", "kafka"),
    "deltalake": ("deltalake", "delta"),
    "duckdb": ("duckdb", "duckdb"),
    "psycopg": ("psycopg", "postgres"),
    "redis": ("redis", "redis"),
}


def client(sink: str, module: str) -> Any:
    """Return a client library; an ImportError says how to get it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package, extra = _EXTRAS[module]
        raise ImportError(f'sinks.{sink} needs {package}: pip install "streamnb[{extra}]"') from error
