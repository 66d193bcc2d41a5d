"""to_pyspark_source: what it prints runs with plain python, formatted, and gives what the query gives here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import streamnb as sn
from streamnb.spark.session import lacking
from tests.lacking import give_up

pytestmark = pytest.mark.spark

CLICKS = {"at": "datetime", "user": "string", "n": "int64"}
VISITS = {"t": "datetime", "user": "string", "page": "string"}
ROWS = [("2024-01-01 00:00:03", "ann", 1), ("2024-01-01 00:04:00", "bob", 2), ("2024-01-01 00:21:00", "ann", 3),
        ("2024-01-01 00:22:00", "o'neil \"the\" 2nd", 4), (None, None, None)]  # fmt: skip
SEEN = [("2024-01-01 00:00:05", "ann", "home"), ("2024-01-01 00:30:00", "bob", "help")]
CITIES = pd.DataFrame(
    {"user": ["ann", "bob"], "city": ["Berne", "Zürich"], "since": pd.to_datetime(["2020-02-01"] * 2)}
)


def doubled(rows):
    return rows.assign(n=rows["n"] * 2)[["user", "n"]]


def windows(clicks):
    return clicks.with_watermark("at", "1 minute").group_by(sn.window("at", "10 minutes", slide="5 minutes"), "user")


def sessions(clicks):
    return clicks.with_watermark("at", "1 s").group_by(sn.session_window("at", "5 minutes"), "user")


def mine(clicks):
    return clicks.filter(~sn.col("n").is_null()).map_batches(doubled, {"user": "string", "n": "int64"})


def pairs(clicks, visits):
    between = sn.between("t", after="0s", before="1 minute", of="at")
    visits = visits.with_watermark("t", "2 minutes")
    return clicks.with_watermark("at", "1 minute").join(visits, on="user", how="left", within=between)


QUERIES: dict[str, tuple[Callable[..., Any], str]] = {
    "windows": (lambda c, _: windows(c).agg(n=sn.count(), m=sn.mean(sn.col("n") * 2), u=sn.max("user")), "append"),
    "updates": (lambda c, _: c.filter(sn.col("n") > 1).group_by("user").agg(n=sn.sum("n")), "update"),
    "sorted": (lambda c, _: c.group_by("user").agg(n=sn.sum("n")).sort("n", descending=True).limit(2), "complete"),
    "sessions": (lambda c, _: sessions(c).agg(n=sn.count()), "append"),
    "computed": (
        lambda c, _: c.select(
            "user", odd=sn.col("n") % 2, hour=sn.col("at").dt.hour(), who=sn.when(sn.col("user") == 'o\'neil "the" 2nd')
            .then(sn.lit("him")).otherwise(sn.lit("not")), half=sn.col("n") / 2,
        ).drop_duplicates(["user", "odd"]),
        "append",
    ),
    "two windows": (
        lambda c, _: windows(c).agg(n=sn.count()).group_by(sn.window(sn.window_time(), "1 hour")).agg(k=sn.sum("n")),
        "append",
    ),
    "pairs": (pairs, "append"),
    "table": (lambda c, _: c.join(CITIES, on="user", how="left").rename({"city": "place"}), "append"),
    "mine": (lambda c, _: mine(c), "append"),
    "together": (lambda c, v: c.select("user").union(v.select("user")), "append"),
}  # fmt: skip


def sources(name, folder):
    """Return two frames: files that Spark reads itself, or memory that becomes a folder of JSON."""
    frames = []
    given: list[tuple[dict[str, str], list[Any]]] = [(CLICKS, ROWS), (VISITS, SEEN)]
    for n, (schema, rows) in enumerate(given):
        records = [dict(zip(schema, row, strict=True)) for row in rows]
        (folder / str(n)).mkdir(parents=True)
        (folder / str(n) / "a.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
        memory = sn.MemorySource(schema)
        memory.add(records)
        frames.append(sn.from_files(f"{folder}/{n}/*.jsonl", schema) if name == "updates" else sn.stream(memory))
    return frames


def written(name, folder):
    """Return the script of a query, and what the query gives here."""
    make, mode = QUERIES[name]
    frame = make(*sources(name, folder / "in"))
    alone = sum(1 for node in frame.node.walk() if node.verb == "read") == 1
    source = frame.to_pyspark_source(
        mode, trigger="available_now", name=name, input=f"{folder}/in{'/0' if alone else ''}",
        output=f"{folder}/out", checkpoint=f"{folder}/checkpoint",
    )  # fmt: skip
    return source, frame.query(mode).run().result


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Run all scripts by a plain python, one after another on one Spark; nothing of streamnb is on its path."""
    if missing := lacking():
        give_up(missing)
    folders = {name: tmp_path_factory.mktemp("script") for name in QUERIES}
    found = {name: written(name, folder) for name, folder in folders.items()}
    paths = []
    for name, (source, _) in found.items():
        paths.append(folders[name] / "script.py")
        paths[-1].write_text(source)
    small = "--conf spark.sql.shuffle.partitions=1 --conf spark.ui.enabled=false --conf spark.log.level=OFF"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] {small} pyspark-shell", "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }  # fmt: skip
    every = f"import runpy; [runpy.run_path(path, run_name='__main__') for path in {list(map(str, paths))}]"
    subprocess.run([sys.executable, "-c", every], check=True, env=environment, cwd=folders["windows"], timeout=500)
    return {name: (source, ours, folders[name] / "out") for name, (source, ours) in found.items()}


@pytest.mark.parametrize("name", QUERIES)
def test_a_printed_script_gives_what_the_query_gives(name, scripts):
    _, ours, out = scripts[name]
    parts = [pd.read_parquet(path) for path in sorted(out.rglob("*.parquet"))]
    theirs = pd.concat(parts, ignore_index=True)
    assert plain(theirs) == plain(ours), theirs.to_string()
    assert list(theirs.columns) == list(ours.columns)


def plain(rows):
    rows = rows.apply(lambda column: column.dt.tz_localize(None) if hasattr(column, "dt") else column)
    return sorted(tuple("" if pd.isna(v) else str(v).removesuffix(".0") for v in row) for row in rows.to_numpy())


@pytest.mark.parametrize("name", QUERIES)
def test_a_printed_script_is_formatted_as_ruff_formats(name, tmp_path):
    source, _ = written(name, tmp_path)
    ruff = shutil.which("ruff") or str(Path(sys.executable).parent / "ruff")
    done = subprocess.run([ruff, "format", "--isolated", "-"], input=source, capture_output=True, text=True, check=True)
    assert done.stdout == source
    assert "streamnb" not in source.split("\n", 1)[1]


def test_what_cannot_stand_in_a_script_is_refused_by_name():
    clicks = sn.stream(sn.MemorySource(CLICKS))
    with pytest.raises(sn.PlanError, match="whose source cannot stand in a script"):
        clicks.map_batches(lambda rows: rows, CLICKS).to_pyspark_source()
    stateful = clicks.group_by("user").apply_in_pandas_with_state(doubled, "user string", "n bigint")
    with pytest.raises(sn.PlanError, match="a script cannot hold a function with its state"):
        stateful.to_pyspark_source()
    with pytest.raises(sn.PlanError, match="a table of 201 rows is too long"):
        clicks.join(pd.DataFrame({"n": range(201)}), on="n").to_pyspark_source()
    with pytest.raises(sn.PlanError, match="tells times in America/New_York, UTC"):
        sn.stream(sn.MemorySource(CLICKS | {"there": "datetime[America/New_York]"})).to_pyspark_source()
    with pytest.raises(sn.PlanError, match="declare with_watermark"):
        clicks.group_by("user").agg(n=sn.count()).to_pyspark_source()
