"""Schemas as Spark writes them: ``"user string, n bigint, tags array<string>"``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from streamnb.errors import PlanError
from streamnb.schema import polars_schema, polars_type

_SPARK = {
    "bigint": "int64",
    "integer": "int64",
    "smallint": "int16",
    "short": "int16",
    "tinyint": "int8",
    "byte": "int8",
}
_OPEN, _CLOSE = "<[(", ">])"


def schema_of(verb: str, schema: Any) -> pl.Schema:
    """Return a schema in Polars types, from a mapping, from Spark's words, or from a type of PySpark.

    ``int`` and ``float`` are kept in 64 bits, so nothing is lost in them. A bare type, such as ``"bigint"``, is one
    column ``value``, as in Spark.
    """
    if isinstance(schema, Mapping):
        return polars_schema(verb, schema)
    text = schema if isinstance(schema, str) else _simple(verb, schema)
    text = text.strip()
    if text.startswith("struct<") and text.endswith(">"):
        text = text.removeprefix("struct<").removesuffix(">")
    columns = [_column(verb, part) for part in _parts(text)]
    names = [name for name, _ in columns]
    if not names or len(set(names)) < len(names):
        raise PlanError(
            f"{verb}: the schema {schema!r} names no column, or one twice; write it like 'user string, n bigint'.",
            code="SCHEMA_INVALID",
        )
    return pl.Schema(dict(columns))


def _simple(verb: str, schema: Any) -> str:
    """Return the words of a PySpark type, which knows them itself."""
    if not hasattr(schema, "simpleString"):
        raise PlanError(
            f"{verb}: {schema!r} is no schema; write {{'n': 'int64'}} or 'n bigint'.", code="SCHEMA_INVALID"
        )
    return str(schema.simpleString())


def _parts(text: str) -> Iterator[str]:
    """Yield what stands between the commas outside of brackets."""
    depth, start = 0, 0
    for at, sign in enumerate(text):
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == "," and not depth:
            yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()


def _column(verb: str, part: str) -> tuple[str, pl.DataType]:
    words = part.replace(":", " ", 1).split(None, 1) if not part.startswith("`") else part[1:].split("`", 1)
    if len(words) < 2:
        return "value", _type(verb, part)
    return words[0], _type(verb, words[1].lstrip(" :"))


def _type(verb: str, text: str) -> pl.DataType:
    text = text.strip()
    if text.lower().endswith(" not null"):
        text = text[: -len(" not null")].strip()
    if text.lower().startswith("array<") and text.endswith(">"):
        return pl.List(_type(verb, text[len("array<") : -1]))
    return polars_type(verb, _SPARK.get(text.lower(), text))
