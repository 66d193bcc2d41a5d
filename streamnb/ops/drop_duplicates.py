"""drop_duplicates, distinct: the first row of every key passes, the others do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from streamnb.ops.dedup_step import Deduplication, key_columns

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def drop_duplicates(self: StreamFrame, columns: Sequence[str] | str | None = None) -> StreamFrame:
    """Let the first row of every key pass, in order of input, and drop all later ones.

    Null is a value like any other. With event time among the columns, two rows are duplicates only if their times are
    equal. Rows behind the watermark are dropped, as in Spark, where the column of event time is among ``columns`` or is
    still used above; where nothing above reads it, Spark forgets it first, and no row is late.

    Parameters
    ----------
    columns
        The key; all columns, if none are given.

    State
        One row a key. With event time among the columns: until the watermark reaches its time. Otherwise for ever.

    Spark: ``dropDuplicates``.

    >>> flights.drop_duplicates("dest").collect()["dest"].size
    43
    """
    return self.then(DropDuplicates((self.node,), key_columns("drop_duplicates", self, columns)))


def distinct(self: StreamFrame) -> StreamFrame:
    """Let the first of equal rows pass: ``drop_duplicates()`` over all columns. Spark: ``distinct``.

    >>> flights.select("dest").distinct().collect()["dest"].size
    43
    """
    return drop_duplicates(self)


class DropDuplicates(Deduplication):
    verb: ClassVar[str] = "drop_duplicates"

    @property
    def expires(self) -> pl.Expr:
        if self.mark is None or self.mark[0] not in self.columns:
            return pl.lit(None)
        name, mark = self.mark
        return pl.col(name).to_physical() + mark.shift
