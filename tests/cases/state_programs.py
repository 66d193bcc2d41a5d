"""The named programs with state of one's own, in the words of our two interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
import pandas as pd

import streamnb as sn

TIMES = {"none": "none", "processing_time": "processing", "event_time": "event"}
_DDL = {nw.String(): "string", nw.Int64(): "bigint", nw.Float64(): "double", nw.Boolean(): "boolean"}


def map_groups(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``map_groups`` node."""
    make, returns, remembers = FUNCTIONS[node["program"]]
    call = make(node.get("params", {}))
    keys = node["keys"]
    names = [*keys, *(column.split()[0] for column in returns.split(", "))]

    def function(key: tuple[Any, ...], rows: pd.DataFrame, state: sn.GroupState) -> pd.DataFrame:
        return pd.DataFrame([(*key, *out) for out in call(rows, state)], columns=names)

    return frame.group_by(*keys).apply_in_pandas_with_state(
        function,
        output_schema=_with_keys(frame, keys, returns),
        state_schema=remembers,
        output_mode=node.get("mode", "update"),
        timeout=TIMES[node.get("timeout", "none")],
    )


def transform_with_state(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``transform_with_state`` node."""
    processor, returns = _PROCESSORS[node["program"]]
    keys = node["keys"]
    names = [*keys, *(column.split()[0] for column in returns.split(", "))]
    time = {"event_time_column": node["event_time_column"]} if node.get("event_time_column") else {}
    return frame.group_by(*keys).transform_with_state(
        processor(node.get("params", {}), names),
        output_schema=_with_keys(frame, keys, returns),
        time_mode=TIMES[node.get("time_mode", "none")],
        output_mode=node.get("mode", "update"),
        **time,
    )


def _with_keys(frame: Any, keys: list[str], returns: str) -> str:
    return ", ".join([*(f"{key} {_DDL[frame.schema[key]]}" for key in keys), returns])


# -- functions over a key's rows and its GroupState: what comes out, without the key

Out = list[tuple[Any, ...]]
Call = Callable[[pd.DataFrame, sn.GroupState], Out]


def _so_far(state: Any, otherwise: int = 0) -> int:
    return int(state.get[0]) if state.exists else otherwise


def _running_count(params: Mapping[str, Any]) -> Call:
    reset, emit = params.get("reset_at"), params.get("emit_on_reset", "none")

    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        n = _so_far(state) + len(rows)
        if reset is not None and n == reset:
            state.remove()
            return [] if emit == "none" else [(emit,)]
        state.update((n,))
        return [(n,)]

    return call


def _count_processing_timeout(params: Mapping[str, Any]) -> Call:
    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        if state.has_timed_out:
            state.remove()
            return [(-1,)]
        n = _so_far(state) + len(rows)
        state.update((n,))
        state.set_timeout_duration(params["timeout_ms"])
        return [(n,)]

    return call


def _keep_on_timeout(params: Mapping[str, Any]) -> Call:
    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        if state.has_timed_out:
            state.update(state.get)
            return [(-state.get[0],)]
        n = _so_far(state) + len(rows)
        state.update((n,))
        state.set_timeout_duration(params["timeout_ms"])
        return [(n,)]

    return call


def _max_event_time(params: Mapping[str, Any]) -> Call:
    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        if state.has_timed_out:
            state.remove()
            return [(-1,)]
        newest = max([int(t) for t in rows[params["time"]]] + ([_so_far(state)] if state.exists else []))
        state.update((newest,))
        state.set_timeout_timestamp((newest + params["delay_s"]) * 1000)
        return [(newest,)]

    return call


def _event_session(params: Mapping[str, Any]) -> Call:
    gap = params["gap_s"]

    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        if state.has_timed_out:
            first, last, n = state.get
            state.remove()
            return [(first, last + gap, n)]
        times = [int(t) for t in rows[params["time"]]]
        first, last, n = state.get if state.exists else (times[0], times[0], 0)
        first, last = min([first, *times]), max([last, *times])
        state.update((first, last, n + len(times)))
        state.set_timeout_timestamp((last + gap) * 1000)
        return []

    return call


def _sum_until(params: Mapping[str, Any]) -> Call:
    def call(rows: pd.DataFrame, state: sn.GroupState) -> Out:
        total = _so_far(state) + int(rows[params["col"]].sum())
        if total >= params["limit"]:
            state.remove()
            return [(total, True)]
        state.update((total,))
        return [(total, False)]

    return call


FUNCTIONS: dict[str, tuple[Callable[[Mapping[str, Any]], Call], str, str]] = {
    "running_count": (_running_count, "n bigint", "n bigint"),
    "count_processing_timeout": (_count_processing_timeout, "n bigint", "n bigint"),
    "keep_on_timeout": (_keep_on_timeout, "n bigint", "n bigint"),
    "max_event_time": (_max_event_time, "max_s bigint", "m bigint"),
    "event_session": (_event_session, "start_s bigint, end_s bigint, n bigint", "a bigint, b bigint, n bigint"),
    "sum_until": (_sum_until, "total bigint, done boolean", "v bigint"),
}


# -- processors


class _Program(sn.StatefulProcessor):
    def __init__(self, params: Mapping[str, Any], names: list[str]) -> None:
        self.params, self.names = params, names

    def out(self, key: tuple[Any, ...], *rows: tuple[Any, ...]) -> pd.DataFrame:
        return pd.DataFrame([(*key, *row) for row in rows], columns=self.names)


def _length(rows: Any) -> int:
    return sum(map(len, rows))


class _RunningCount(_Program):
    def init(self, handle):
        self.count = handle.get_value_state("c", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        n = (self.count.get()[0] if self.count.exists() else 0) + _length(rows)
        if n == self.params.get("reset_at"):
            self.count.clear()
            return self.out(key)
        self.count.update((n,))
        return self.out(key, (n,))


class _CountTtl(_RunningCount):
    def init(self, handle):
        self.count = handle.get_value_state("c", "n bigint", ttl=self.params["ttl_ms"])


class _CountTimer(_Program):
    """The first row of a key sets a timer; when it fires the count is cleared."""

    def init(self, handle):
        self.handle = handle
        self.count = handle.get_value_state("c", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        before = self.count.get()[0] if self.count.exists() else 0
        if before == 0:
            self.handle.register_timer(timer_values.get_current_processing_time_in_ms() + self.params["delay_ms"])
        self.count.update((before + _length(rows),))
        return self.out(key, self.count.get())

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.count.clear()
        return self.out(key, (-1,))


class _ThreeTimers(_Program):
    """Three timers at the first rows; each gives out the count, the last one clears it."""

    def init(self, handle):
        self.handle = handle
        self.count = handle.get_value_state("c", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        self.count.update(((self.count.get()[0] if self.count.exists() else 0) + _length(rows),))
        if not list(self.handle.list_timers()):
            now = timer_values.get_current_processing_time_in_ms()
            for n in (1, 2, 3):
                self.handle.register_timer(now + n * self.params["delay_ms"])
        return self.out(key)

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        n = self.count.get()[0] if self.count.exists() else 0
        if len(list(self.handle.list_timers())) <= 1:
            self.count.clear()
        return self.out(key, (n,))


class _MaxEventTime(_Program):
    def init(self, handle):
        self.handle = handle
        self.newest = handle.get_value_state("m", "m bigint")
        self.timer = handle.get_value_state("t", "t bigint")

    def handle_input_rows(self, key, rows, timer_values):
        times = [int(t) for part in rows for t in part[self.params["time"]]]
        newest = max([*times, *(self.newest.get() if self.newest.exists() else ())])
        self.newest.update((newest,))
        at, old = (newest + self.params["delay_s"]) * 1000, self.timer.get()[0] if self.timer.exists() else 0
        if old < at:
            if old:
                self.handle.delete_timer(old)
            self.handle.register_timer(at)
            self.timer.update((at,))
        return self.out(key, (newest,))

    def handle_expired_timer(self, key, timer_values, expired_timer_info):
        self.newest.clear()
        self.timer.clear()
        return self.out(key, (-1,))


class _LastValues(_Program):
    def init(self, handle):
        self.values = handle.get_list_state("l", "v string")

    def handle_input_rows(self, key, rows, timer_values):
        held = [v for (v,) in self.values.get()] if self.values.exists() else []
        held += [str(v) for part in rows for v in part[self.params["col"]]]
        held = held[-self.params["keep"] :]
        self.values.put([(v,) for v in held])
        return self.out(key, (",".join(held),))


class _MapCounts(_Program):
    def init(self, handle):
        self.counts = handle.get_map_state("m", "k string", "n bigint")

    def handle_input_rows(self, key, rows, timer_values):
        touched = [str(v) for part in rows for v in part[self.params["col"]]]
        for k in touched:
            n = self.counts.get_value((k,))[0] if self.counts.contains_key((k,)) else 0
            self.counts.update_value((k,), (n + 1,))
        return self.out(key, *((k, self.counts.get_value((k,))[0]) for k in dict.fromkeys(touched)))


class _MinTimeCount(_Program):
    def handle_input_rows(self, key, rows, timer_values):
        times = [t for part in rows for t in part[self.params["time"]]]
        return self.out(key, (min(times), len(times)))


_PROCESSORS: dict[str, tuple[type[_Program], str]] = {
    "running_count": (_RunningCount, "n bigint"),
    "count_processing_timer": (_CountTimer, "n bigint"),
    "multi_processing_timers": (_ThreeTimers, "n bigint"),
    "max_event_time_timer": (_MaxEventTime, "max_s bigint"),
    "last_values_list": (_LastValues, "vs string"),
    "map_counts": (_MapCounts, "sub string, n bigint"),
    "count_ttl": (_CountTtl, "n bigint"),
    "min_time_count": (_MinTimeCount, "out_time timestamp, n bigint"),
}
