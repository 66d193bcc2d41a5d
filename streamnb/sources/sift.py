"""Sift: the rows of a text, and the records in it that are none."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import polars as pl
from polars.exceptions import PolarsError

from streamnb.connect import BadRecord, Sifted
from streamnb.errors import DataError
from streamnb.schema import as_rows, fit

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Record:
    """A piece of a text that should be one row, and where it stands."""

    offset: str
    raw: bytes

    def bad(self, reason: str) -> BadRecord:
        return BadRecord(self.offset, reason, self.raw.decode(errors="backslashreplace").rstrip("\r\n"))


@dataclass(frozen=True)
class _Dict(Record):
    """A record that is no text."""

    value: Any


Kind = TypeVar("Kind", bound=Record)


def sift(records: Sequence[Kind], load: Callable[[Sequence[Kind]], pl.DataFrame]) -> Sifted:
    """Return the rows of the records that load, in order; a record is bad if it does not load alone."""
    frames: list[pl.DataFrame] = []
    bad: list[BadRecord] = []
    waiting = [list(records)] if records else []
    while waiting:
        part = waiting.pop()
        try:
            frames.append(load(part))
        except (DataError, PolarsError) as error:
            if len(part) == 1:
                bad.append(part[0].bad(in_short(error)))
            else:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
    return Sifted(pl.concat(frames) if frames else load([]), bad)


def sifted(verb: str, found: Any, schema: pl.Schema, place: str) -> Sifted:
    """Return what a source gave as rows of its schema; of dicts, each that does not fit by itself.

    ``place`` names the batch in the source, for records that do not say where they stand.
    """
    if isinstance(found, Sifted):
        return Sifted(as_rows(verb, found.rows, schema), found.bad)
    try:
        return Sifted(as_rows(verb, found, schema))
    except DataError:
        if not isinstance(found, Sequence):
            raise
    records = [
        _Dict(f"{place} record {n}", repr(record).encode(errors="backslashreplace"), record)
        for n, record in enumerate(found)
    ]
    return sift(records, lambda part: as_rows(verb, [record.value for record in part], schema))


def in_short(error: Exception) -> str:
    """Return what is wrong, without the verb before it and the way out behind."""
    text = str(error).partition("\n")[0]
    return text.partition(": ")[2].rpartition("; ")[0] or text if isinstance(error, DataError) else text


# -- JSON lines


def json_lines(content: bytes, where: str, start: int, schema: pl.Schema) -> Sifted:
    """Return the rows of JSON lines; ``start`` is the place of their first byte in the file ``where``."""
    content, start = (content[3:], 3) if start == 0 and content.startswith(_BOM) else (content, start)
    if _SURROGATE.search(content) is None:
        try:
            return Sifted(_load_lines(content, schema))
        except (DataError, PolarsError):
            pass
    good, bad = [], []
    for record in _lines(content, where, start):
        reason = _no_json(record.raw)
        good.append(record) if reason is None else bad.append(record.bad(reason))
    found = sift(good, lambda records: _load_lines(b"\n".join(r.raw for r in records), schema))
    return Sifted(found.rows, sorted([*bad, *found.bad], key=_place))


def _place(bad: BadRecord) -> int:
    return int(bad.offset.rpartition(" ")[2])


def _lines(content: bytes, where: str, start: int) -> Iterable[Record]:
    for line in content.split(b"\n"):
        if line.strip():
            yield Record(f"{where} byte {start}", line)
        start += len(line) + 1


def _no_json(line: bytes) -> str | None:
    """Say why a line is no JSON object that can be kept as text; None if it is one."""
    try:
        found = json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {error}"
    if not isinstance(found, dict):
        return f"it is JSON but no object: {type(found).__name__}"
    return "it holds half a surrogate pair" if b"\\u" in line and _has_surrogate(found) else None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _has_surrogate(value: Any) -> bool:
    text = json.dumps(value, ensure_ascii=False)
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _load_lines(content: bytes, schema: pl.Schema) -> pl.DataFrame:
    if not content.strip():
        return pl.DataFrame(schema=schema)
    return as_rows("json", pl.read_ndjson(content, infer_schema_length=None), schema)


def infer_lines(content: bytes) -> pl.DataFrame:
    """Return the rows that JSON lines look like, whatever their columns."""
    good = [line.raw for line in _lines(content.removeprefix(_BOM), "", 0) if _no_json(line.raw) is None]
    return pl.read_ndjson(b"\n".join(good), infer_schema_length=None) if good else pl.DataFrame()


# -- CSV


def csv_rows(content: bytes, where: str, schema: pl.Schema) -> Sifted:
    """Return the rows of a CSV file; other columns than those of the schema are a DataError."""
    header, *records = _csv_records(content, where) or [Record(where, b"")]
    check_columns(where, _read_csv(header.raw, {}).columns, schema)
    try:
        return Sifted(_load_csv(content, schema))
    except (DataError, PolarsError):
        return sift(records, lambda part: _load_csv(header.raw + b"".join(r.raw for r in part), schema))


def check_columns(where: str, columns: Sequence[str], schema: pl.Schema) -> None:
    """Raise a DataError unless a file has just the columns of a schema, in any order."""
    if sorted(columns) == sorted(schema):
        return
    missing = [name for name in schema if name not in columns]
    if missing:
        raise DataError(
            f"from_files: {where} lacks the columns {missing} that other files have; "
            "give schema= and fill them, or move the file away."
        )
    fit(f"from_files: {where}", pl.DataFrame(schema=dict.fromkeys(columns, pl.Null)), schema)


def _csv_records(content: bytes, where: str) -> list[Record]:
    """Cut a CSV file at the ends of its records, which may hold line breaks in quotes."""
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    records: list[Record] = []
    first = 0
    while first < len(lines):
        last = _end_of_record(lines, first)
        records.append(Record(f"{where} line {first + 1}", b"\n".join(lines[first:last]) + b"\n"))
        first = last
    return records


def _end_of_record(lines: Sequence[bytes], first: int) -> int:
    """Return the line after a record; one whose quotes never close is one line."""
    quotes = 0
    for number in range(first, len(lines)):
        quotes += lines[number].count(b'"')
        if quotes % 2 == 0:
            return number + 1
    return first + 1


def _load_csv(content: bytes, schema: pl.Schema) -> pl.DataFrame:
    # Times are read as text first, so that a bad one is named.
    loose = {name: pl.String() if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
    return as_rows("csv", _read_csv(content, loose), schema)


def _read_csv(content: bytes, types: Mapping[str, pl.DataType]) -> pl.DataFrame:
    return pl.read_csv(io.BytesIO(content), schema_overrides=types, raise_if_empty=False)
