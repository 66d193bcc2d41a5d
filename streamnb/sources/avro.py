"""Avro: messages written by a schema, as rows."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from streamnb.errors import DataError, PlanError
from streamnb.patience import library
from streamnb.sources.records import fitted

_PRIMITIVES: dict[str, pl.DataType] = {
    "boolean": pl.Boolean(), "int": pl.Int32(), "long": pl.Int64(), "float": pl.Float32(), "double": pl.Float64(),
    "bytes": pl.Binary(), "string": pl.String(), "enum": pl.String(), "fixed": pl.Binary(),
}  # fmt: skip
_LOGICAL: dict[str, pl.DataType] = {
    "timestamp-millis": pl.Datetime("us", "UTC"), "timestamp-micros": pl.Datetime("us", "UTC"),
    "local-timestamp-millis": pl.Datetime("us"), "local-timestamp-micros": pl.Datetime("us"),
    "date": pl.Date(), "uuid": pl.String(),
}  # fmt: skip
_REGISTRY_HEADER = 5


class Avro:
    """One Avro record a message, written by ``schema``, without the schema in it.

    ``header`` says that a zero byte and a schema's number of four bytes stand before it, as registries have it. Of a
    dict of numbers to schemas each message is read by its own, and its fields are made to fit the highest. A schema
    without a number is taken for that of all messages, whatever their number.
    """

    def __init__(self, verb: str, schema: Any, *, header: bool) -> None:
        self._fastavro = library(verb, "fastavro", "fastavro", "kafka")
        self._skip = _REGISTRY_HEADER if header else 0
        given = schema if header and isinstance(schema, Mapping) and all(isinstance(n, int) for n in schema) else None
        try:
            self._by_number = {number: self._parsed(one) for number, one in (given or {}).items()}
            self._written = self._parsed(schema) if given is None else self._by_number[max(given)]
            self.schema = pl.Schema({f["name"]: _type(f["type"]) for f in self._written["fields"]})
        except (KeyError, TypeError, ValueError, self._fastavro.schema.SchemaParseException) as error:
            raise PlanError(
                f"{verb}: the Avro schema cannot be read: {error}; give a record's schema, as JSON or a dict.",
                code="SCHEMA_INVALID",
            ) from None

    def _parsed(self, schema: str | Mapping[str, Any]) -> Any:
        return self._fastavro.parse_schema(json.loads(schema) if isinstance(schema, str) else schema)

    def frame(self, values: Sequence[Any]) -> pl.DataFrame:
        return fitted(values, self.schema)

    def value(self, payload: bytes | None) -> Any:
        if not payload:
            return {}
        written, body = self._writer(payload), io.BytesIO(payload[self._skip :])
        try:
            found = self._fastavro.schemaless_reader(body, written, None)
        except Exception as error:  # noqa: BLE001  fastavro raises what the bytes make it raise
            raise DataError(f"it was not written by this Avro schema: {error!r}") from None
        if body.read(1):
            raise DataError(f"its {len(payload)} bytes are more than this Avro schema reads")
        return {name: str(value) if _is_uuid(value) else value for name, value in found.items()}

    def _writer(self, payload: bytes) -> Any:
        """Return the schema that a message was written by."""
        if not self._by_number:
            return self._written
        number = int.from_bytes(payload[1:_REGISTRY_HEADER], "big")
        if number not in self._by_number:
            known = sorted(self._by_number)
            raise DataError(f"it was written by Avro schema {number}, and those known are {known}; give it in schema=")
        return self._by_number[number]


def _is_uuid(value: object) -> bool:
    return type(value).__name__ == "UUID"


def _type(avro: Any) -> pl.DataType:
    """Return the column type of an Avro type."""
    if isinstance(avro, list):
        (some,) = [part for part in avro if part != "null"]
        return _type(some)
    if isinstance(avro, str):
        return _PRIMITIVES[avro]
    return _logical(avro) or _nested(avro)


def _logical(avro: Mapping[str, Any]) -> pl.DataType | None:
    if avro.get("logicalType") == "decimal":
        return pl.Decimal(avro["precision"], avro.get("scale", 0))
    return _LOGICAL.get(avro.get("logicalType", ""))


def _nested(avro: Mapping[str, Any]) -> pl.DataType:
    if avro["type"] == "array":
        return pl.List(_type(avro["items"]))
    if avro["type"] == "record":
        return pl.Struct({f["name"]: _type(f["type"]) for f in avro["fields"]})
    return _PRIMITIVES[avro["type"]]
