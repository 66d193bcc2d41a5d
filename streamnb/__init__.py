"""An event-time streaming toolkit for notebooks, with the semantics of Spark Structured Streaming.

>>> import streamnb as sn
>>> flights = sn.data.landings("JFK", "2013-02-08")
>>> hourly = flights.with_watermark("dep", "3 hours").group_by(sn.window("dep", "1 hour")).agg(n=sn.count())
>>> query = hourly.query().run()
>>> len(query.result), len(query.late)
(9, 23)
"""

import sys
from typing import Any

from narwhals import col, lit, when

from streamnb import display, sinks
from streamnb.aggregates import (
    Aggregate,
    approx_count_distinct,
    collect_list,
    collect_set,
    count,
    count_distinct,
    first,
    last,
    max,
    max_by,
    mean,
    min,
    min_by,
    quantile,
    std,
    sum,
    var,
)
from streamnb.answers.doctor import doctor
from streamnb.connect import Sink, Source
from streamnb.connectors import (
    from_generator,
    from_kafka,
    from_mqtt,
    from_nats,
    from_redis,
    from_sql,
    from_sse,
    from_tcp,
    from_websocket,
)
from streamnb.crashing.crash import crash
from streamnb.errors import CheckpointError, ColumnNotFoundError, DataError, PlanError, QueryError, StreamnbError
from streamnb.evolving.differing import diff
from streamnb.expressions import window_time
from streamnb.frame import StreamFrame, from_files, from_pandas, from_rate, from_streamz, stream
from streamnb.group_state import GroupState
from streamnb.learn import chaos, data, simulate
from streamnb.learn.check import check, hint, solution
from streamnb.learn.decide import decisions
from streamnb.learn.load import load
from streamnb.learn.online import score
from streamnb.learn.predict import predict
from streamnb.learn.race import race
from streamnb.learn.workbench import workbench
from streamnb.learn.workers import workers
from streamnb.ops.join import between
from streamnb.ops.session import session_window
from streamnb.params import Param, param
from streamnb.peek import Peek, peek
from streamnb.query import Query
from streamnb.recovery import recover
from streamnb.rules import Rules, rules
from streamnb.sources.memory import MemorySource, add
from streamnb.sources.spool import Spool
from streamnb.spark.compare import compare
from streamnb.spark.forecast import forecast
from streamnb.sql import sql
from streamnb.stateful import ExpiredTimerInfo, StatefulProcessor, StatefulProcessorHandle, TimerValues
from streamnb.stream import Batches, batches, objects
from streamnb.suggest import suggest_watermark
from streamnb.time import ManualClock
from streamnb.variables import ListState, MapState, ValueState
from streamnb.views.inspectors import (
    alarms,
    clocks,
    crash_lab,
    delay,
    joins,
    late,
    metrics,
    modes,
    plan,
    plane,
    playground,
    save_html,
    set_motion,
    sources,
    state,
    sweep,
    why,
    windows,
    work,
)
from streamnb.views.queries import queries
from streamnb.views.reports import bars, flags, line, table
from streamnb.views.sliders import slider
from streamnb.what_if import what_if
from streamnb.windows import window

__version__ = "0.1.0"


def load_ipython_extension(ipython: Any) -> None:
    """Give a notebook the cell magic ``%%stream_sql``: ``%load_ext streamnb``."""
    from streamnb.views.magic import load

    load(ipython)


def _show(query: Query) -> None:
    from streamnb.views.display import show

    show(query)


def _answer(card: Any) -> None:
    from streamnb.views.shown import show_answer

    show_answer(card)


def _opened(query: Query) -> None:
    if "IPython" in sys.modules:
        from streamnb.views.notice import show_findings

        show_findings(query)


display.show, display.answer, display.opened = _show, _answer, _opened

__all__ = [
    "Aggregate",
    "Batches",
    "CheckpointError",
    "ColumnNotFoundError",
    "DataError",
    "ExpiredTimerInfo",
    "GroupState",
    "ListState",
    "ManualClock",
    "MapState",
    "MemorySource",
    "Param",
    "Peek",
    "PlanError",
    "Query",
    "QueryError",
    "Rules",
    "Sink",
    "Source",
    "Spool",
    "StatefulProcessor",
    "StatefulProcessorHandle",
    "StreamFrame",
    "StreamnbError",
    "TimerValues",
    "ValueState",
    "add",
    "alarms",
    "approx_count_distinct",
    "bars",
    "batches",
    "between",
    "chaos",
    "check",
    "clocks",
    "col",
    "collect_list",
    "collect_set",
    "compare",
    "count",
    "count_distinct",
    "crash",
    "crash_lab",
    "data",
    "decisions",
    "delay",
    "diff",
    "doctor",
    "first",
    "flags",
    "forecast",
    "from_files",
    "from_generator",
    "from_kafka",
    "from_mqtt",
    "from_nats",
    "from_pandas",
    "from_rate",
    "from_redis",
    "from_sql",
    "from_sse",
    "from_streamz",
    "from_tcp",
    "from_websocket",
    "hint",
    "joins",
    "last",
    "late",
    "line",
    "lit",
    "load",
    "max",
    "max_by",
    "mean",
    "metrics",
    "min",
    "min_by",
    "modes",
    "objects",
    "param",
    "peek",
    "plan",
    "plane",
    "playground",
    "predict",
    "quantile",
    "queries",
    "race",
    "recover",
    "rules",
    "save_html",
    "score",
    "session_window",
    "set_motion",
    "simulate",
    "sinks",
    "slider",
    "solution",
    "sources",
    "sql",
    "state",
    "std",
    "stream",
    "suggest_watermark",
    "sum",
    "sweep",
    "table",
    "var",
    "what_if",
    "when",
    "why",
    "window",
    "window_time",
    "windows",
    "work",
    "workbench",
    "workers",
]
