"""Errors: their classes, their codes, and the one form of their messages."""

from __future__ import annotations

import pickle  # noqa: TID251  how an error travels between processes, no checkpoint
import re

import pytest

import streamnb as sn
from streamnb.errors import (
    CODES,
    CheckpointError,
    ColumnNotFoundError,
    DataError,
    PlanError,
    QueryError,
    StreamnbError,
    column_not_found,
    one_of,
)

FORM = re.compile(r"^[\w. :=()'/-]+?: .+[;?].*[.?]$")


def clicks() -> sn.StreamFrame:
    return sn.stream(sn.MemorySource({"at": "datetime", "user": "string", "n": "int64"}))


@pytest.mark.parametrize("kind", [PlanError, DataError, CheckpointError, QueryError, ColumnNotFoundError])
def test_every_error_is_ours(kind: type[Exception]) -> None:
    assert issubclass(kind, StreamnbError)


def test_they_are_also_what_python_calls_them() -> None:
    assert issubclass(PlanError, ValueError)
    assert issubclass(DataError, ValueError)
    assert issubclass(ColumnNotFoundError, KeyError)
    assert issubclass(ColumnNotFoundError, PlanError)


def test_a_missing_column_names_the_nearest_or_all() -> None:
    assert str(column_not_found("filter", "usr", ["at", "user"])) == "filter: no column 'usr'; did you mean 'user'?"
    assert (
        str(column_not_found("filter", "xyz", ["at", "user"]))
        == "filter: no column 'xyz'; the columns are ['at', 'user']."
    )
    assert column_not_found("filter", "usr", []).code == "COLUMN_NOT_FOUND"


def test_a_choice_names_the_choices() -> None:
    error = one_of("join", "how", "outer", ["left", "full"])
    assert (str(error), error.code) == ("join: how='outer' is not known; use 'left' | 'full'.", "OPTION_INVALID")


def test_a_code_says_what_it_stands_for() -> None:
    assert all(
        re.fullmatch(r"[A-Z]+(_[A-Z]+)*", code) and meaning.islower() is not None for code, meaning in CODES.items()
    )
    assert len(set(CODES.values())) == len(CODES)


MISTAKES = {
    "AGGREGATE_INVALID": lambda: clicks().group_by("user").agg(n="n"),
    "APPEND_WITHOUT_WATERMARK": lambda: clicks().group_by("user").agg(n=sn.count()).query(),
    "COLUMN_NOT_FOUND": lambda: clicks().filter(sn.col("m") > 1),
    "COLUMN_DUPLICATE": lambda: clicks().rename({"user": "n"}),
    "COMPLETE_WITHOUT_AGGREGATION": lambda: clicks().query("complete"),
    "DURATION_INVALID": lambda: clicks().with_watermark("at", "soon"),
    "EVENT_TIME_TYPE": lambda: clicks().with_watermark("user", "1s"),
    "EXPRESSION_INVALID": lambda: clicks().filter(sn.col("n") + 1),
    "LIMIT_IN_UPDATE": lambda: clicks().limit(1).query("update"),
    "OPTION_INVALID": lambda: clicks().query("upsert"),
    "SCHEMA_INVALID": lambda: sn.MemorySource({"n": "text"}),
    "SCHEMA_MISMATCH": lambda: clicks().union(clicks().drop("n")),
    "SOURCE_MISSING": lambda: sn.stream([]),  # type: ignore[arg-type]
    "TWO_AGGREGATIONS": lambda: (
        clicks().group_by("n").agg(m=sn.count()).group_by("m").agg(k=sn.count()).query("update")
    ),
    "TWO_WINDOWS": lambda: clicks().group_by(sn.window("at", "1s"), sn.window("at", "2s")).agg(n=sn.count()),
    "WATERMARK_REDEFINED": lambda: clicks().with_watermark("at", "1s").with_watermark("at", "1s").query(),
    "WINDOW_INVALID": lambda: sn.window("at", "0s"),
}


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_has_its_code_and_names_the_way_out(code: str) -> None:
    with pytest.raises(PlanError) as error:
        MISTAKES[code]()
    assert error.value.code == code
    assert FORM.match(str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_an_error_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(DataError("read: the value 5; write 6.")))  # noqa: S301
    assert str(error) == "read: the value 5; write 6."
