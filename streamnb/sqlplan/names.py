"""The tables that a query reads."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from streamnb.sqlplan.windows import is_window_table


def tables_of(query: exp.Query) -> list[str]:
    """Return the names of the tables, without those that the query makes itself."""
    made = {made.alias for made in query.find_all(exp.CTE)}
    return [name for name in dict.fromkeys(_names(query)) if name not in made]


def _names(query: exp.Query) -> Iterator[str]:
    for table in query.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier):
            yield table.name
    for call in query.find_all(exp.Anonymous):
        if is_window_table(call) and call.expressions:
            yield call.expressions[0].name
