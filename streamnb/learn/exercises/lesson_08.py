"""Lesson 08: one query, three engines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from streamnb import data, from_pandas, window
from streamnb.aggregates import count
from streamnb.frame import StreamFrame
from streamnb.learn.exercise import Exercise, Told, World, Wrong, played
from streamnb.query import Query


def _worlds() -> Sequence[World]:
    seams = ("2013-02-07 17:30", "2013-02-10 09:00")
    return [World(f"a seam on {seam}", _parts(pd.Timestamp(seam))) for seam in seams]


def _parts(seam: pd.Timestamp) -> tuple[pd.DataFrame, StreamFrame]:
    rows = data.landings().collect()
    return rows[rows["arr"] <= seam], from_pandas(rows[rows["arr"] > seam], arrival="arr", every="30 min")


def _counted(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    days: pd.Series[pd.Timestamp] = pd.concat([past, live.collect()])["arr"].dt.normalize()
    return days.value_counts().rename_axis("window_start").rename("landed").reset_index()


def _report(rows: StreamFrame) -> StreamFrame:
    return rows.group_by(window("arr", "1 day")).agg(landed=count())


def _batch(past: pd.DataFrame) -> pd.DataFrame:
    return _report(from_pandas(past)).collect()


def _streamed(live: StreamFrame) -> pd.DataFrame:
    return played(_report(live), "update").result


def _added(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    parts = pd.concat([_batch(past), _streamed(live)])
    return parts.groupby("window_start", as_index=False)[["landed"]].sum()


def _appended(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    return pd.concat([_batch(past), _streamed(live)])


def _newest(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    return _appended(past, live).drop_duplicates("window_start", keep="last")


def _larger(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    return _appended(past, live).groupby("window_start", as_index=False)[["landed"]].max()


def _oldest(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    return _appended(past, live).drop_duplicates("window_start", keep="first")


def _summed(past: pd.DataFrame, live: StreamFrame) -> pd.DataFrame:
    parts = pd.concat([_batch(past), *played(_report(live), "update").emitted])
    return parts.groupby("window_start", as_index=False)[["landed"]].sum()


# -- how an answer is tried


def _tried(answer: Callable[[pd.DataFrame, StreamFrame], Any], past: pd.DataFrame, live: StreamFrame) -> Any:
    """Return what an answer gives; a stream is read in many batches."""
    read: list[int] = []

    def noted(rows: pd.DataFrame) -> pd.DataFrame:
        read.extend([len(rows)] * bool(len(rows)))
        return rows

    found = answer(past, live.map_batches(noted, live.schema))
    if found is None and read:
        raise Told("your function gives nothing back: is return missing?")
    if len(read) == 1 and not isinstance(found, StreamFrame | Query):
        raise Told("live was read once, all of it, as a table is; a stream goes on: run report(live) as a query")
    return found


EXERCISES = (
    Exercise(
        name="08.A",
        oracle=_counted,
        worlds=_worlds,
        solution=_added,
        mode="update",
        trial=_tried,
        wrong=(
            Wrong("the day of the seam stands there twice: each engine has counted a part of it", _appended),
            Wrong("of the day of the seam only the stream's part is left", _newest),
            Wrong("of the day of the seam only the batch's part is left", _oldest),
            Wrong("the larger of the two parts is not the day: each part of it was counted once", _larger),
            Wrong("the stream's days are missing; a query says nothing before it runs", lambda past, _: _batch(past)),
            Wrong("update says a count again whenever it grows: take the query's result, and add up nothing", _summed),
            Wrong("the history is missing", lambda _, live: _streamed(live)),
        ),
        hints=(
            "report takes a frame; sn.from_pandas makes one of a table.",
            "collect() gives the batch's part, query('update').run().result the stream's.",
            "The day of the seam is in both parts, and the parts of a count add up.",
        ),
        shown="""def report(rows):
    return rows.group_by(sn.window("arr", "1 day")).agg(landed=sn.count())

def whole(past, live):
    before = report(sn.from_pandas(past)).collect()
    after = report(live).query(output_mode="update").run().result
    return pd.concat([before, after]).groupby("window_start", as_index=False)["landed"].sum()""",
    ),
)
