"""drop_duplicates_within_watermark: the first row of a key passes; those that follow within the delay do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.ops.dedup_step import Deduplication, key_columns

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def drop_duplicates_within_watermark(self: StreamFrame, columns: Sequence[str] | str | None = None) -> StreamFrame:
    """Let the first row of a key pass, and drop its duplicates for as long as the watermark's delay.

    For events that carry an id and may come twice with different times. The key is forgotten once the watermark reaches
    the first row's time plus the delay; duplicates do not prolong that, and until then a row of the key is a duplicate
    however far its time is. Rows behind the watermark are dropped. A null time counts as 1970, as in Spark.

    Parameters
    ----------
    columns
        The key, which need not hold the event time; all columns, if none are given.

    State
        One row a key, for the delay of the watermark. The stream needs ``with_watermark``.

    Spark: ``dropDuplicatesWithinWatermark``.

    >>> once = flights.with_watermark("dep", "1 hour").drop_duplicates_within_watermark("dest")
    >>> len(once.query().run().result)
    60
    """
    verb = DropDuplicatesWithinWatermark.verb
    return self.then(DropDuplicatesWithinWatermark((self.node,), key_columns(verb, self, columns)))


class DropDuplicatesWithinWatermark(Deduplication):
    verb: ClassVar[str] = "drop_duplicates_within_watermark"

    @property
    def expires(self) -> pl.Expr:
        if self.mark is None:
            return pl.lit(None)
        name, mark = self.mark
        return pl.col(name).to_physical().fill_null(0) + mark.shift + mark.delay
