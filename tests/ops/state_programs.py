"""The named programs of the cases, with state of one's own, in the words of our two interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

import streamnb as sn

GROUP_SCHEMAS = {
    "running_count": ("n bigint", "n bigint"),
    "count_processing_timeout": ("n bigint", "n bigint"),
    "max_event_time": ("max_s bigint", "m bigint"),
    "event_session": ("start_s bigint, end_s bigint, n bigint", "a bigint, b bigint, n bigint"),
    "sum_until": ("total bigint, done boolean", "v bigint"),
    "keep_on_timeout": ("n bigint", "n bigint"),
}
PROCESSOR_SCHEMAS = {
    "running_count": "n bigint",
    "count_processing_timer": "n bigint",
    "multi_processing_timers": "n bigint",
    "max_event_time_timer": "max_s bigint",
    "last_values_list": "vs string",
    "map_counts": "sub string, n bigint",
    "count_ttl": "n bigint",
    "min_time_count": "out_time timestamp, n bigint",
}
_TIMES = {"none": "none", "processing_time": "processing", "event_time": "event"}


def map_groups(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``map_groups`` node."""
    out, state = GROUP_SCHEMAS[node["program"]]
    program = GROUP_PROGRAMS[node["program"]]
    schema = _keyed(frame, node, out)

    def fn(key: tuple[Any, ...], rows: pd.DataFrame, st: sn.GroupState) -> pd.DataFrame:
        given = [(*key, *row) for row in program(rows.to_dict("records"), st, node.get("params", {}))]
        return pd.DataFrame(given, columns=list(schema))

    mode, timeout = node.get("mode", "update"), _TIMES[node.get("timeout", "none")]
    return frame.group_by(*node["keys"]).apply_in_pandas_with_state(fn, schema, state, mode, timeout)


def transform_with_state(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``transform_with_state`` node."""
    schema = _keyed(frame, node, PROCESSOR_SCHEMAS[node["program"]])
    return frame.group_by(*node["keys"]).transform_with_state(
        PROCESSORS[node["program"]](node.get("params", {})),
        output_schema=schema,
        time_mode=_TIMES[node.get("time_mode", "none")],
        event_time_column=node.get("event_time_column"),
        output_mode=node.get("mode", "update"),
    )


def _keyed(frame: Any, node: Mapping[str, Any], out: str) -> dict[str, Any]:
    columns = dict(part.split() for part in out.split(", "))
    types = {"bigint": "int64"}
    return {k: frame.schema[k] for k in node["keys"]} | {n: types.get(t, t) for n, t in columns.items()}


# -- apply_in_pandas_with_state: from rows of a key to rows without the key


def _running_count(rows, st, params):
    n = (st.get[0] if st.exists else 0) + len(rows)
    if params.get("reset_at") == n:
        st.remove()
        emit = params.get("emit_on_reset", "none")
        return [] if emit == "none" else [(emit,)]
    st.update((n,))
    return [(n,)]


def _count_processing_timeout(rows, st, params):
    if st.has_timed_out:
        st.remove()
        return [(-1,)]
    n = (st.get[0] if st.exists else 0) + len(rows)
    st.update((n,))
    st.set_timeout_duration(params["timeout_ms"])
    return [(n,)]


def _max_event_time(rows, st, params):
    if st.has_timed_out:
        st.remove()
        return [(-1,)]
    m = max([int(r[params["time"]]) for r in rows] + ([st.get[0]] if st.exists else []))
    st.update((m,))
    st.set_timeout_timestamp((m + params["delay_s"]) * 1000)
    return [(m,)]


def _event_session(rows, st, params):
    if st.has_timed_out:
        first, last, n = st.get
        st.remove()
        return [(first, last + params["gap_s"], n)]
    times = [int(r[params["time"]]) for r in rows]
    first, last, n = st.get if st.exists else (min(times), max(times), 0)
    session = (min(first, *times), max(last, *times), n + len(times))
    st.update(session)
    st.set_timeout_timestamp((session[1] + params["gap_s"]) * 1000)
    return []


def _sum_until(rows, st, params):
    total = (st.get[0] if st.exists else 0) + sum(int(r[params["col"]]) for r in rows if pd.notna(r[params["col"]]))
    if total >= params["limit"]:
        st.remove()
        return [(total, True)]
    st.update((total,))
    return [(total, False)]


def _keep_on_timeout(rows, st, params):
    if st.has_timed_out:
        st.update(st.get)
        return [(-st.get[0],)]
    n = (st.get[0] if st.exists else 0) + len(rows)
    st.update((n,))
    st.set_timeout_duration(params["timeout_ms"])
    return [(n,)]


GROUP_PROGRAMS = {
    "running_count": _running_count,
    "count_processing_timeout": _count_processing_timeout,
    "max_event_time": _max_event_time,
    "event_session": _event_session,
    "sum_until": _sum_until,
    "keep_on_timeout": _keep_on_timeout,
}


# -- transform_with_state


class _Program(sn.StatefulProcessor):
    """A processor that counts rows in ``c``."""

    def __init__(self, params):
        self.params = params

    def handle_input_rows(self, key, rows, timer_values):
        raise NotImplementedError

    def init(self, handle):
        self.handle = handle
        self.c = handle.get_value_state("c", "n bigint")

    def count(self):
        return self.c.get()[0] if self.c.exists() else 0


def _rows(frames):
    return [row for frame in frames for row in frame.to_dict("records")]


class _Running(_Program):
    def handle_input_rows(self, key, rows, timer_values):
        n = self.count() + len(_rows(rows))
        if self.params.get("reset_at") == n:
            self.c.clear()
            return
        self.c.update((n,))
        yield (*key, n)


class _CountTimer(_Program):
    def handle_input_rows(self, key, rows, timer_values):
        n = self.count()
        if n == 0:
            self.handle.register_timer(timer_values.get_current_processing_time_in_ms() + self.params["delay_ms"])
        n += len(_rows(rows))
        self.c.update((n,))
        yield (*key, n)

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.c.clear()
        yield (*key, -1)


class _ManyTimers(_Program):
    def handle_input_rows(self, key, rows, timer_values):
        self.c.update((self.count() + len(_rows(rows)),))
        if not list(self.handle.list_timers()):
            now = timer_values.get_current_processing_time_in_ms()
            for i in (1, 2, 3):
                self.handle.register_timer(now + i * self.params["delay_ms"])

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        n = self.count()
        if len(list(self.handle.list_timers())) <= 1:
            self.c.clear()
        yield (*key, n)


class _MaxEventTime(_Program):
    def init(self, handle):
        self.handle = handle
        self.m = handle.get_value_state("m", "m bigint")
        self.t = handle.get_value_state("t", "t bigint")

    def handle_input_rows(self, key, rows, timer_values):
        seen = [int(r[self.params["time"]]) for r in _rows(rows)]
        m = max([*seen, self.m.get()[0]] if self.m.exists() else seen)
        self.m.update((m,))
        t = (m + self.params["delay_s"]) * 1000
        old = self.t.get()[0] if self.t.exists() else 0
        if old < t:
            if old:
                self.handle.delete_timer(old)
            self.handle.register_timer(t)
            self.t.update((t,))
        yield (*key, m)

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.m.clear()
        self.t.clear()
        yield (*key, -1)


class _LastValues(_Program):
    def init(self, handle):
        self.values = handle.get_list_state("l", "v string")

    def handle_input_rows(self, key, rows, timer_values):
        kept = [v for (v,) in self.values.get()] if self.values.exists() else []
        kept += [str(r[self.params["col"]]) for r in _rows(rows)]
        kept = kept[-self.params["keep"] :]
        self.values.put([(v,) for v in kept])
        yield (*key, ",".join(kept))


class _MapCounts(_Program):
    def init(self, handle):
        self.counts = handle.get_map_state("m", "k string", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        touched = [str(r[self.params["col"]]) for r in _rows(rows)]
        for sub in touched:
            n = self.counts.get_value((sub,))[0] if self.counts.contains_key((sub,)) else 0
            self.counts.update_value((sub,), (n + 1,))
        for sub in dict.fromkeys(touched):
            yield (*key, sub, self.counts.get_value((sub,))[0])


class _CountTtl(_Running):
    def init(self, handle):
        self.c = handle.get_value_state("c", "n bigint", self.params["ttl_ms"])


class _MinTime(_Program):
    def init(self, handle):
        pass

    def handle_input_rows(self, key, rows, timer_values):
        times = [r[self.params["time"]] for r in _rows(rows)]
        if times:
            yield (*key, min(times), len(times))


PROCESSORS = {
    "running_count": _Running,
    "count_processing_timer": _CountTimer,
    "multi_processing_timers": _ManyTimers,
    "max_event_time_timer": _MaxEventTime,
    "last_values_list": _LastValues,
    "map_counts": _MapCounts,
    "count_ttl": _CountTtl,
    "min_time_count": _MinTime,
}
