"""transform_with_state: a processor of one's own per key, with state variables and timers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from streamnb.ddl import schema_of
from streamnb.errors import PlanError, column_not_found, one_of
from streamnb.ops.processor_step import VERB, ProcessorStep
from streamnb.per_key import PerKey
from streamnb.per_key import time_mode as known_mode
from streamnb.plan import EventTime, Opening, Step
from streamnb.schema import Schema, as_rows

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame
    from streamnb.ops.group_by import Grouped

OUTPUT_MODES = ("append", "update", "complete")


def transform_with_state(
    self: Grouped,
    processor: Any,
    output_schema: Schema | str,
    time_mode: str = "none",
    *,
    initial_state: Any = None,
    event_time_column: str | None = None,
    output_mode: str | None = None,
) -> StreamFrame:
    """Hand the rows of every key to a ``sn.StatefulProcessor``, with its state variables and timers.

    In a batch come first the keys with rows, each once, then the timers that have expired, earliest first; a key can
    have both. A timer expires when the watermark (``"event"``) or the clock (``"processing"``) reaches it. A timer
    registered while timers are handled waits for the next batch. Rows come out as data frames, dicts or tuples; where
    every key gives out a row or two, making data frames of them takes most of the time.

    Parameters
    ----------
    processor
        An instance. Every batch works with a fresh copy of it.
    output_schema
        The columns that come out, as a dict or in Spark's words: ``"user string, n bigint"``.
    time_mode
        ``"none"``: no timers. ``"event"``: timers by the watermark; late rows are dropped. ``"processing"``: timers and
        time to live by the clock, so a batch runs at every trigger.
    initial_state
        A table with the key columns; ``handle_initial_state`` gets the rows of every key in the first batch.
    event_time_column
        The column that comes out as event time, so that windows can follow. A row at or behind the watermark there
        fails the query: later steps would drop it.
    output_mode
        ``"append"``, ``"update"`` or ``"complete"``. Taken because Spark takes it; the query's is what counts.

    State
        A row a value, a row an element, a row a pair, a row a timer; until cleared, or its time to live is over.

    Spark
        ``transformWithStateInPandas``. ``collect()`` gives every key its rows, then lets every event-time timer expire
        once; timers by the clock do not expire in it.
    """
    node = TransformWithState(
        (self.frame.node,),
        self.keys,
        processor,
        schema_of(VERB, output_schema),
        known_mode(VERB, "time_mode", time_mode),
        None if initial_state is None else as_rows(f"{VERB} initial_state", initial_state),
        event_time_column or None,
        output_mode.lower() if output_mode else None,
    )
    return self.frame.then(node)


@dataclass(frozen=True, eq=False)
class TransformWithState(PerKey):
    processor: Any
    returns: pl.Schema
    time_mode: str
    initial: pl.DataFrame | None
    event_time_column: str | None
    output_mode: str | None
    verb: ClassVar[str] = VERB
    remembers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.check_keys()
        has_rows = any(hasattr(self.processor, name) for name in ("handle_input_rows", "handleInputRows"))
        if isinstance(self.processor, type) or not has_rows:
            raise PlanError(
                f"{VERB}: {self.processor!r} is no processor; give an instance of a class with handle_input_rows.",
                code="OPTION_INVALID",
            )
        if self.output_mode not in {None, *OUTPUT_MODES}:
            raise one_of(VERB, "output_mode", self.output_mode, OUTPUT_MODES)
        self._check_initial_state()
        self._check_event_time()

    def _check_initial_state(self) -> None:
        columns = self.key_schema.names() if self.initial is None else self.initial.columns
        for name in self.key_schema:
            if name not in columns:
                raise column_not_found(f"{VERB} initial_state", name, columns)

    def _check_event_time(self) -> None:
        name = self.event_time_column
        if name is None:
            return
        if self.time is None:
            raise PlanError(
                f"{VERB}: event_time_column={name!r} needs a watermark to be judged by; declare with_watermark below.",
                code="EVENT_TIME_WITHOUT_WATERMARK",
            )
        if name not in self.returns:
            raise column_not_found(VERB, name, self.returns)
        if not isinstance(self.returns[name], pl.Datetime):
            raise PlanError(
                f"{VERB}: event_time_column={name!r} is {self.returns[name]}, and event time is a datetime; "
                f"write '{name} timestamp' in output_schema.",
                code="EVENT_TIME_TYPE",
            )

    @cached_property
    def schema(self) -> pl.Schema:
        return self.returns

    @cached_property
    def event_times(self) -> Mapping[str, EventTime]:
        if self.event_time_column is None or self.time is None:
            return {}
        return {self.event_time_column: replace(self.time[1], shift=0)}

    @cached_property
    def key(self) -> tuple[str, ...] | None:
        return None

    def open(self, opening: Opening) -> Step:
        return ProcessorStep(self, opening)

    def describe(self) -> str:
        time = "" if self.time_mode == "none" else f", {self.time_mode} time"
        return f"{VERB} {type(self.processor).__name__} by {', '.join(self.keys)}{time}"
