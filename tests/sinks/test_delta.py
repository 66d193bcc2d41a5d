"""Delta: what is its own beside the rules of every transactional sink."""

from __future__ import annotations

import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

import streamnb as sn
from streamnb.errors import MissingError
from tests.sinks.odd import odd


def opened(path, **options):
    sink = sn.sinks.Delta(path, **options)
    sink.open("q", 0)
    return sink


def versions(path):
    from deltalake import DeltaTable

    return DeltaTable(path).version() + 1


def test_odd_values_keep_their_types(tmp_path):
    rows = odd().drop("hour", "gap")
    opened(tmp_path).write_polars(0, rows, "append")
    back = pl.read_delta(str(tmp_path)).sort("id")
    assert back.select("nothing", "kind").dtypes == [pl.String, pl.String]
    same = pl.exclude("nothing", "kind", "seoul")
    assert back.select(same).schema == rows.select(same).schema
    assert back.rows() == rows.with_columns(pl.col("seoul").dt.convert_time_zone("UTC")).rows()


@pytest.mark.parametrize("column", ["hour", "gap"])
def test_what_delta_has_no_type_for_is_refused(tmp_path, column):
    with pytest.raises(sn.QueryError, match=rf"Delta: it has no .* as in column '{column}'; cast it"):
        opened(tmp_path).write_polars(0, odd().select(column), "append")


def test_unsigned_numbers_are_widened_while_they_fit(tmp_path):
    schema = {"a": pl.UInt8, "b": pl.UInt32, "c": pl.UInt64}
    opened(tmp_path / "t").write_polars(
        0, pl.DataFrame({"a": [255], "b": [2**32 - 1], "c": [2**63 - 1]}, schema), "append"
    )
    assert pl.read_delta(str(tmp_path / "t")).rows() == [(255, 2**32 - 1, 2**63 - 1)]
    with pytest.raises(sn.QueryError, match=r"it has no UInt64 as in column 'c'"):
        opened(tmp_path / "u").write_polars(0, pl.DataFrame({"c": [2**63]}, {"c": pl.UInt64}), "append")


def test_a_batch_is_one_version_of_the_table(tmp_path):
    sink = opened(tmp_path, key="k")
    for batch in range(4):
        sink.write_polars(batch, pl.DataFrame({"k": ["a"], "n": [batch]}), "update")
    assert versions(tmp_path) == 4


def test_a_merge_that_changes_nothing_is_noted(tmp_path):
    sink = opened(tmp_path, key="k", version="n")
    for batch, n in enumerate([5, 3, 4, 6]):
        sink.write_polars(batch, pl.DataFrame({"k": ["a"], "n": [n]}), "update")
    assert pl.read_delta(str(tmp_path)).rows() == [("a", 6)]


def test_nan_and_null_are_two_keys(tmp_path):
    sink = opened(tmp_path, key="x")
    for batch in range(2):
        sink.write_polars(batch, pl.DataFrame({"x": [float("nan"), None, 1.0], "n": [batch] * 3}), "update")
    assert pl.read_delta(str(tmp_path))["n"].to_list() == [1, 1, 1]


def test_of_two_writers_of_one_batch_one_is_refused_and_then_skips(tmp_path, monkeypatch):
    first, second = opened(tmp_path), opened(tmp_path)
    rows = pl.DataFrame({"n": [1]})
    first.write_polars(0, rows, "append")
    real = type(second)._table

    def overtaken(sink):
        monkeypatch.setattr(type(second), "_table", real)
        there = real(sink)
        first.write_polars(1, rows, "append")
        return there

    monkeypatch.setattr(type(second), "_table", overtaken)
    with pytest.raises(OSError, match=r"Concurrent transaction failed"):
        second.write_polars(1, rows, "append")
    second.write_polars(1, rows, "append")
    assert len(pl.read_delta(str(tmp_path))) == 2


def test_other_types_are_one_line(tmp_path):
    sink = opened(tmp_path)
    sink.write_polars(0, pl.DataFrame({"n": [1]}), "append")
    with pytest.raises((sn.QueryError, OSError), match=r"^[^\n]*n[^\n]*$"):
        sink.write_polars(1, pl.DataFrame({"n": ["text"]}), "append")


def test_keys_of_a_store_are_not_shown():
    options = {"AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true"}
    options |= {"AWS_ACCESS_KEY_ID": "me-1234", "AWS_REGION": "x", "max_retries": "0", "retry_timeout": "1s"}
    sink = sn.sinks.Delta("s3://bucket/t", storage_options=options)
    with pytest.raises(OSError, match=r"^s3://bucket/t: [^\n]*$") as caught:
        sink.write_polars(0, pl.DataFrame({"n": [1]}), "append")
    assert "s3cret" not in f"{sink!r} {vars(sink)!r}" + "".join(traceback.format_exception(caught.value))


def test_keys_that_a_store_refuses_are_one_line_and_not_shown():
    class Refuses(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815  their names

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        options = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{store.server_port}", "AWS_ALLOW_HTTP": "true"}
        options |= {"AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_ACCESS_KEY_ID": "me-1234", "AWS_REGION": "x"}
        sink = sn.sinks.Delta("s3://bucket/t", storage_options=options)
        with pytest.raises(OSError, match=r"^s3://bucket/t: [^\n]*403 Forbidden[^\n]*$") as caught:
            sink.write_polars(0, pl.DataFrame({"n": [1]}), "append")
        store.shutdown()
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_missing_library_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingError, match=r'^sinks\.Delta needs deltalake: pip install "streamnb\[delta\]"$'):
        sn.sinks.Delta("t")
