"""Parse: SQL text into sqlglot's tree, in Spark's dialect with the window tables of Flink and RisingWave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import ParseError, SqlglotError

from streamnb.errors import PlanError

WINDOW_TABLES = ("TUMBLE", "HOP", "SESSION")


def _window_table(name: str) -> Callable[[Any], exp.Expr]:
    def parse(parser: Any) -> exp.Expr:
        parser._match(TokenType.TABLE)  # noqa: SLF001  how sqlglot is extended
        arguments = parser._parse_csv(parser._parse_lambda)  # noqa: SLF001
        return exp.Anonymous(this=name, expressions=arguments)

    return parse


class StreamSQL(Spark):
    """Spark's SQL, in which ``window(…)`` may stand anywhere and ``TUMBLE(TABLE t, DESCRIPTOR(c), …)`` is a table."""

    class Tokenizer(Spark.Tokenizer):
        """Without the keywords that stand in the way of the functions of the same name."""

        KEYWORDS: ClassVar = {w: t for w, t in Spark.Tokenizer.KEYWORDS.items() if w not in {"WINDOW", "SESSION"}}

    class Parser(Spark.Parser):  # type: ignore[misc, valid-type]  # sqlglot makes this name at run time
        """With the window tables."""

        FUNCTION_PARSERS: ClassVar = {
            **Spark.Parser.FUNCTION_PARSERS,
            **{name: _window_table(name) for name in WINDOW_TABLES},
        }


def parsed(query: str) -> exp.Query:
    """Return the one SELECT (or UNION of several) that a text is."""
    try:
        statements = sqlglot.parse(query, read=StreamSQL)
    except ParseError as error:
        raise _syntax(error.errors[0] if error.errors else {"description": str(error)}) from None
    except SqlglotError as error:
        raise _syntax({"description": str(error)}) from None
    if len(statements) != 1 or statements[0] is None:
        raise _syntax({"description": f"{len([s for s in statements if s])} statements where one is expected"})
    (statement,) = statements
    if not isinstance(statement, exp.Query):
        raise unsupported(type(statement).__name__.upper(), "write SELECT")
    return statement


def _syntax(found: dict[str, Any]) -> PlanError:
    place = f"line {found['line']}, column {found['col']}: " if "line" in found else ""
    near = f" at {found['highlight']!r}" if found.get("highlight") else ""
    return PlanError(
        f"sql: {place}{found['description'].rstrip('.')}{near}; mend the statement there.", code="SQL_SYNTAX"
    )


def unsupported(what: str, way_out: str = "write this step with the verbs of the frame") -> PlanError:
    """Return the error for SQL that is not understood here."""
    return PlanError(f"sql: {what} is not supported; {way_out}.", code="SQL_UNSUPPORTED")


def text(node: exp.Expr) -> str:
    """Return the SQL of a part of a statement."""
    return node.sql(dialect=StreamSQL, comments=False)


def allow(node: exp.Expr, *names: str) -> None:
    """Refuse a part of a statement that has more to it than these arguments."""
    for name, value in node.args.items():
        if value and name not in names:
            raise unsupported(f"{name.strip('_').upper().replace('_', ' ')} in {text(node)}")


_WAYS_OUT: Mapping[type[exp.Expr], str] = {
    exp.Window: "analytic windows do not run on streams; group by a window of time, or keep state of your own",
    exp.Subquery: "join with the other frame",
    exp.Exists: "write LEFT SEMI JOIN",
    exp.IntDiv: "write FLOOR(a / b)",
    exp.AggFunc: "aggregates stand in SELECT, HAVING and ORDER BY of a grouped query, not within one another",
    exp.Explode: "call frame.explode(column) first",
    exp.CurrentTimestamp: "the time of a batch is in q.progress; add a column to the source",
}


def refusal(node: exp.Expr) -> PlanError:
    """Return the error for a part of a statement that is not understood, with its own way out."""
    way_out = next((way for kind, way in _WAYS_OUT.items() if isinstance(node, kind)), None)
    name = node.name.upper() if isinstance(node, exp.Anonymous) else type(node).__name__.upper()
    return unsupported(f"{name} in {text(node)}", *([] if way_out is None else [way_out]))
