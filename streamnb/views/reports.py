"""Reports: sn.bars, sn.line, sn.table and sn.flags, the sinks that are pictures in the notebook."""

from __future__ import annotations

from collections.abc import Sequence

from streamnb.views.bars import Bars
from streamnb.views.flags import Flags
from streamnb.views.lines import Lines
from streamnb.views.listing import Listing


def bars(x: str, y: str, by: str | None = None, *, title: str | None = None) -> Bars:
    """Show what a query gives out as bars, live, in the cell that opens the query: ``frame.start(sink=sn.bars(…))``.

    In update mode a bar follows its key, in complete mode the last table is drawn, in append mode bars are added.
    Where the watermark tells, a bar that may still change is hollow and a final one is solid. A rewound query takes its
    bars with it; the views of a query look at one batch, this one too. The numbers stand in the table behind it.

    Parameters
    ----------
    x, y
        A time, a number or a name; and a number. The last 60 places are drawn.
    by
        A colour for each of its values, side by side; the first six.
    title
        Instead of the columns' names.

    >>> chart = sn.bars("window_start", "n")
    >>> hourly.query("update", sink=chart).run().status
    'done'
    """
    return Bars(x, y, by, title)


def line(x: str, y: str, by: str | None = None, *, title: str | None = None) -> Lines:
    """Show what a query gives out as lines over ``x``, a time or a number; a line for each of the values of ``by``.

    The last 400 places are drawn. Else as ``sn.bars``.

    >>> chart = sn.line("window_start", "n")
    >>> hourly.query("update", sink=chart).run().status
    'done'
    """
    return Lines(x, y, by, title)


def table(columns: Sequence[str] | None = None, limit: int = 30, *, title: str | None = None) -> Listing:
    """Show what a query gives out as a table, live; what the last batch added or changed is marked.

    Of more than ``limit`` rows those touched last are shown. Else as ``sn.bars``.

    >>> chart = sn.table()
    >>> hourly.query("update", sink=chart).run().status
    'done'
    """
    return Listing(columns, limit, title)


def flags(by: str, at: str | None = None, *, title: str | None = None) -> Flags:
    """Show what a query gives out, such as alerts, as flags along time: a lane for each of the values of ``by``.

    ``at`` is the time of a row; the first datetime column, unless given. Else as ``sn.bars``.

    >>> chart = sn.flags("dest", at="dep")
    >>> flights.filter(sn.col("arr_delay") > 60).query(sink=chart).run().status
    'done'
    """
    return Flags(by, at, title)
