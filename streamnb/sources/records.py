"""Records: the bytes of a message as a row, by a schema, or by a guess at one."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from streamnb.connect import BadRecord
from streamnb.errors import DataError, one_of
from streamnb.schema import Schema, as_rows, polars_schema
from streamnb.sources.sift import Record, sift

Where = Callable[[int], str]
"""Names the place of a record in its source by its number, such as ``partition 0, offset 12``."""


class Format(Protocol):
    """How the bytes of messages become columns."""

    schema: pl.Schema

    def value(self, payload: Any) -> Any:
        """Return what one message says, of its bytes or what else a source has; a DataError if it cannot be read."""

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        """Return a row for each message; a DataError if one does not fit."""


class Json:
    """One JSON object a message. Fields that the schema does not name are left out; absent ones are null."""

    def __init__(self, schema: Schema) -> None:
        self.schema = polars_schema("schema", schema)

    def value(self, payload: bytes | None) -> Any:
        return parsed(payload) if payload else {}

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return fitted(values, self.schema)


class Text:
    """A message as text, in the column ``value``."""

    schema = pl.Schema({"value": pl.String()})

    def value(self, payload: bytes | None) -> Any:
        return None if payload is None else decoded(payload)

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return pl.DataFrame({"value": values}, schema=self.schema)


class Raw:
    """A message as it is, in the column ``value``."""

    schema = pl.Schema({"value": pl.Binary()})

    def value(self, payload: bytes | None) -> Any:
        return payload

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return pl.DataFrame({"value": values}, schema=self.schema)


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


# -- one record


def decoded(payload: bytes) -> str:
    """Return UTF-8 bytes as text; a DataError if they are not."""
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"byte {error.start} of {len(payload)} is not UTF-8") from None


def parsed(payload: bytes) -> Mapping[str, Any]:
    """Return a JSON object; a DataError if the bytes are none."""
    text = decoded(payload)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"it is not JSON: {error}") from None
    if not isinstance(found, Mapping):
        raise DataError(f"it is JSON but no object: {type(found).__name__}")
    return found


def objects(payloads: Iterable[bytes | None]) -> list[Mapping[str, Any]]:
    """Return the JSON objects among messages."""
    found = []
    for payload in payloads:
        with contextlib.suppress(DataError):
            found += [parsed(payload)] if payload else []
    return found


def fitted(records: Sequence[Mapping[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    """Return records as rows of a schema; fields that it does not name are left out."""
    if not records:
        return pl.DataFrame(schema=schema)
    try:
        columns = {name: [record.get(name) for record in records] for name in schema}
        texts = {n: [_as_text(v, t) for v in columns[n]] for n, t in schema.items() if _holds_text(t)}
        return as_rows("record", columns | texts, schema)
    except UnicodeError as error:
        raise DataError(f"record: {error}; mend it.") from None


def _holds_text(dtype: Any) -> bool:
    return _holds_text(dtype.inner) if isinstance(dtype, pl.List) else bool(dtype == pl.String())


def _as_text(value: Any, dtype: Any) -> Any:
    """Return a value as its column of text takes it: an object or a list as JSON."""
    if isinstance(value, list) and isinstance(dtype, pl.List):
        return [_as_text(one, dtype.inner) for one in value]
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else value


# -- many


@dataclass(frozen=True)
class _Message(Record):
    number: int
    value: Any


def rows_of(
    format: Format, payloads: Sequence[Any], where: Where, check: Callable[[int], object] = lambda _: None
) -> tuple[pl.DataFrame, list[int], list[BadRecord]]:
    """Return the rows of messages, which messages they are, and those that are none.

    ``check`` may find fault with a message too, with a DataError.
    """
    good: list[_Message] = []
    bad: list[BadRecord] = []
    for number, payload in enumerate(payloads):
        record = Record(where(number), _bytes(payload))
        try:
            check(number)
            good.append(_Message(record.offset, record.raw, number, format.value(payload)))
        except DataError as error:
            bad.append(record.bad(str(error)))
    found = sift(good, lambda part: format.frame([message.value for message in part]))
    unfit = {record.offset for record in found.bad}
    return found.rows, [m.number for m in good if m.offset not in unfit], [*bad, *found.bad]


def _bytes(payload: Any) -> bytes:
    return payload or b"" if isinstance(payload, bytes | None) else repr(payload).encode(errors="backslashreplace")


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
