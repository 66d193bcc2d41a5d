"""Where rows go: one connector a file."""

from streamnb.sinks.alerts import Alerts
from streamnb.sinks.console import Console
from streamnb.sinks.delta import Delta
from streamnb.sinks.duckdb import DuckDB
from streamnb.sinks.files import Files
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.kafka import Kafka
from streamnb.sinks.memory import Memory
from streamnb.sinks.postgres import Postgres
from streamnb.sinks.redis import Redis
from streamnb.sinks.sqlite import SQLite

__all__ = [
    "Alerts",
    "Console",
    "Delta",
    "DuckDB",
    "Files",
    "ForeachBatch",
    "Kafka",
    "Memory",
    "Postgres",
    "Redis",
    "SQLite",
]
