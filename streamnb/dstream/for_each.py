"""ForEachBatch: the end of a chain of batches, a function that is called for its effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamz import Stream
from streamz.sinks import Sink

from streamnb.dstream.node import BatchNode, guarded
from streamnb.dstream.work import named, with_time


class ForEachBatch(Sink):  # type: ignore[misc]  # streamz has no types
    """A streamz sink: streamz holds it, and so all above it, until ``destroy()``."""

    def __init__(self, upstream: BatchNode, fn: Callable[..., object]) -> None:
        super().__init__(upstream, stream_name=named("for_each_batch", fn))
        self._fn = with_time(fn)

    def update(self, x: Any, who: Stream | None = None, metadata: Any = None) -> Any:
        """Call the function; what it returns is waited for if it is a future."""
        assert isinstance(who, BatchNode)  # noqa: S101  __init__
        result = guarded(lambda: self.name, who.time, [x], self._fn)
        return result if hasattr(result, "__await__") else []
