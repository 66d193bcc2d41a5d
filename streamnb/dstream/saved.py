"""What nodes remember, as one JSON file: written whole, or not at all."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streamnb.dstream.work import Parts, partitions
from streamnb.errors import CheckpointError

_PLAIN = (type(None), bool, int, float, str)
_INTO: dict[type, Callable[[Any], Any]] = {
    tuple: list,
    set: list,
    dict: lambda table: [list(item) for item in table.items()],
    Parts: partitions,
    dt.datetime: lambda at: [at.isoformat()],
    dt.date: lambda day: [day.isoformat()],
}
_FROM: dict[str, Callable[[Any], Any]] = {
    "tuple": tuple,
    "set": set,
    "dict": dict,
    "Parts": Parts,
    "datetime": lambda text: dt.datetime.fromisoformat(text[0]),
    "date": lambda text: dt.date.fromisoformat(text[0]),
}


def encode(value: Any) -> Any:
    """Return a value as JSON has it: what JSON lacks is ``{type: parts}``."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [encode(part) for part in value]
    if kind not in _INTO:
        raise CheckpointError(
            f"checkpoint: {value!r} is a {kind.__name__}, which JSON cannot hold; "
            "keep numbers, text, times, lists, tuples, sets and dicts of them."
        )
    return {kind.__name__: [encode(part) for part in _INTO[kind](value)]}


def decode(value: Any) -> Any:
    """Return the value that ``encode`` was given."""
    if isinstance(value, list):
        return [decode(part) for part in value]
    if isinstance(value, dict):
        ((name, parts),) = value.items()
        return _FROM[name](decode(parts))
    return value


def write(path: Path, content: Any) -> None:
    """Write a file that is there whole after a crash, or as it was before."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(encode(content), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read(path: Path) -> Any:
    """Return what ``write`` was given."""
    try:
        return decode(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"checkpoint: {path} is damaged ({error}); restore it or start anew.") from error
