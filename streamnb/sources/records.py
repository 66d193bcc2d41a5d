"""Records: the bytes of a message as a row, by a schema, or by a guess at one."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import polars as pl

from streamnb.errors import DataError, one_of
from streamnb.schema import Schema, as_rows, polars_schema

Where = Callable[[int], str]
"""Names the place of a record by its number, such as ``partition 0, offset 12``."""


class Format(Protocol):
    """How the bytes of messages become columns."""

    schema: pl.Schema

    def rows(self, payloads: Sequence[bytes | None], where: Where) -> pl.DataFrame:
        """Return a row for each payload; null in every column for one that is missing or empty."""


class Json:
    """One JSON object a message. Fields that the schema does not name are left out; absent ones are null."""

    def __init__(self, schema: Schema) -> None:
        self.schema = polars_schema("schema", schema)

    def rows(self, payloads: Sequence[bytes | None], where: Where) -> pl.DataFrame:
        return fitted([parsed(p, where(n)) if p else {} for n, p in enumerate(payloads)], self.schema, where)


class Text:
    """A message as text, in the column ``value``."""

    schema = pl.Schema({"value": pl.String()})

    def rows(self, payloads: Sequence[bytes | None], where: Where) -> pl.DataFrame:
        texts = [None if p is None else decoded(p, where(n)) for n, p in enumerate(payloads)]
        return pl.DataFrame({"value": texts}, schema=self.schema)


class Raw:
    """A message as it is, in the column ``value``."""

    schema = pl.Schema({"value": pl.Binary()})

    def rows(self, payloads: Sequence[bytes | None], where: Where) -> pl.DataFrame:
        return pl.DataFrame({"value": list(payloads)}, schema=self.schema)


def simple_format(verb: str, name: str, schema: Schema | None) -> Format:
    """Return the format of a name; ``schema`` names the fields of JSON."""
    if name == "json" and schema is not None:
        return Json(schema)
    if name == "text":
        return Text()
    if name == "raw":
        return Raw()
    raise one_of(verb, "format", name, ("json", "text", "raw"))


def format_of(verb: str, name: str, schema: Schema | None) -> Format | None:
    """Return the format of a name; None for JSON of which the columns are to be guessed."""
    return None if name == "json" and schema is None else simple_format(verb, name, schema)


def decoded(payload: bytes, where: str) -> str:
    """Return UTF-8 bytes as text; a DataError that names the place if they are not."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where}: byte {error.start} of {len(payload)} is not UTF-8 ({payload[error.start :][:8]!r}); "
            "read it with format='raw', or mend the producer."
        ) from None


def parsed(payload: bytes, where: str) -> Mapping[str, Any]:
    """Return a JSON object; a DataError that names the place if it is none."""
    try:
        found = json.loads(decoded(payload, where))
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{where}: {_short(payload)} is not JSON ({error}); read it with format='text', or mend the producer."
        ) from None
    if not isinstance(found, Mapping):
        raise DataError(f"{where}: {_short(payload)} is JSON but no object; read it with format='text'.")
    return found


def _short(payload: bytes) -> str:
    text = payload[:60].decode(errors="replace")
    return repr(text + "…" if len(payload) > 60 else text)


def fitted(records: Sequence[Mapping[str, Any]], schema: pl.Schema, where: Where) -> pl.DataFrame:
    """Return records as rows of a schema; a DataError names the first record that does not fit."""
    try:
        return _rows(where(0), records, schema)
    except (DataError, UnicodeError) as error:
        if len(records) == 1:
            said = str(error) if isinstance(error, DataError) else f"{where(0)}: {error}."
            raise DataError(f"{said} The record: {_short(repr(dict(records[0])).encode())}") from None
    half = len(records) // 2
    fitted(records[:half], schema, where)
    fitted(records[half:], schema, lambda n: where(n + half))
    raise AssertionError  # one of the halves does not fit


def _rows(verb: str, records: Sequence[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    if not records:
        return pl.DataFrame(schema=schema)
    return as_rows(verb, {name: [record.get(name) for record in records] for name in schema}, schema)


def guess(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the schema that records look like, in words that every ``schema=`` takes."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: _word([record.get(name) for record in records]) for name in names}


def _word(values: Sequence[Any]) -> str:
    words = {_type(value) for value in values if value is not None}
    if words == {"int64", "float64"}:
        return "float64"
    return words.pop() if len(words) == 1 else "string"


def _type(value: Any) -> str:
    if isinstance(value, list):
        return f"list[{_word(value)}]"
    if isinstance(value, str):
        return _time(value)
    return {bool: "bool", int: "int64", float: "float64", bytes: "binary"}.get(type(value), "string")


def _time(text: str) -> str:
    """Tell a time from other text: a date with an hour, in ISO's form."""
    if len(text) < 16 or text[4:5] != "-":
        return "string"
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return "string"
    return "datetime" if at.tzinfo is None else "datetime[UTC]"


def as_code(schema: Mapping[str, Any]) -> str:
    """Return a schema as the argument to paste."""
    return "schema={" + ", ".join(f'"{name}": "{_spelled(dtype)}"' for name, dtype in schema.items()) + "}"


def _spelled(dtype: Any) -> str:
    if isinstance(dtype, str):
        return dtype
    if isinstance(dtype, pl.Datetime):
        return "datetime" if dtype.time_zone is None else f"datetime[{dtype.time_zone}]"
    if isinstance(dtype, pl.List):
        return f"list[{_spelled(dtype.inner)}]"
    return {"String": "string", "Boolean": "bool"}.get(str(dtype), str(dtype).lower())
