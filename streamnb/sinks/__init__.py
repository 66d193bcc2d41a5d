"""Where rows go: one connector a file."""

from streamnb.sinks.console import Console
from streamnb.sinks.duckdb import DuckDB
from streamnb.sinks.files import Files
from streamnb.sinks.foreach_batch import ForeachBatch
from streamnb.sinks.memory import Memory
from streamnb.sinks.postgres import Postgres
from streamnb.sinks.sqlite import SQLite

__all__ = ["Console", "DuckDB", "Files", "ForeachBatch", "Memory", "Postgres", "SQLite"]
