"""sn.sql: a SELECT as the frame that the verbs would make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamnb.frame import StreamFrame


def sql(query: str, /, **tables: Any) -> StreamFrame:
    """Return the frame that a SELECT describes: the same verbs, the same plan, no second engine.

    The dialect is Spark's. Windows are written as in Spark, ``GROUP BY window(dep, '1 hour')``, which gives the columns
    ``window_start`` and ``window_end`` (also called ``window.start`` and ``window.end``), or as tables, as in Flink and
    RisingWave: ``FROM TUMBLE(flights, dep, INTERVAL '1' HOUR) GROUP BY window_start, window_end``, ``HOP(table, time,
    slide, size)``, ``SESSION(table, time, gap)``.

    Understood are SELECT with expressions and aliases, ``*``, WHERE, GROUP BY, HAVING, DISTINCT, ORDER BY, LIMIT, WITH,
    queries in FROM, UNION [ALL], JOIN (INNER, LEFT, RIGHT, FULL, LEFT SEMI, LEFT ANTI) with ON or USING, where
    ``b.at BETWEEN a.at AND a.at + INTERVAL '1' HOUR`` becomes ``within``; CASE, COALESCE, CAST, IN, BETWEEN, LIKE, IS
    NULL, arithmetic as the verbs have it, and the aggregates of ``agg`` by their names in Spark. A watermark is
    declared on the frame, or by the hint ``SELECT /*+ WATERMARK(dep, '3 hours') */ …``. What a plan may do is up to the
    verbs.

    >>> import streamnb as sn
    >>> flights = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    >>> hourly = sn.sql('''
    ...     SELECT window(dep, '1 hour'), carrier, COUNT(*) AS n FROM flights
    ...     GROUP BY window(dep, '1 hour'), carrier HAVING n > 1
    ... ''', flights=flights)
    >>> list(hourly.schema)
    ['window_start', 'window_end', 'carrier', 'n']

    Parameters
    ----------
    query
        One SELECT.
    tables
        The frames, by the names they have in the query; on the right of a join also pandas, Polars or Arrow tables.

    Raises
    ------
    PlanError
        ``SQL_SYNTAX`` with the place, ``SQL_UNSUPPORTED`` with what is not understood and the way out,
        ``SQL_TABLE_UNKNOWN``, ``SQL_AMBIGUOUS``, and whatever the verbs raise.
    """
    from streamnb.sqlplan.parse import parsed
    from streamnb.sqlplan.select import frame_of

    return frame_of(parsed(query), tables)


def table_names(query: str) -> list[str]:
    """Return the names of the tables that a query reads."""
    from streamnb.sqlplan.names import tables_of
    from streamnb.sqlplan.parse import parsed

    return tables_of(parsed(query))
