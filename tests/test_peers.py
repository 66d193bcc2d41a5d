"""What README says of a peer that can be run here."""

from __future__ import annotations

import pandas as pd
import streamz
from streamz.dataframe import DataFrame

import streamnb as sn

START = pd.Timestamp("2026-01-01")
ROWS = ((1, 1), (20, 1), (1, 100), (21, 1))  # seconds, value; the third comes 19 s late


def test_streamz_counts_a_late_row_into_the_window_of_others():
    stream = streamz.Stream()
    frame = DataFrame(stream, example=pd.DataFrame({"v": [1]}, index=[START]))
    sums = frame.window("10s").v.sum().stream.sink_to_list()
    for second, value in ROWS:
        stream.emit(pd.DataFrame({"v": [value]}, index=[START + pd.Timedelta(seconds=second)]))
    assert sums == [1, 1, 101, 102]


def test_ours_counts_it_into_its_own_window_or_into_none():
    rows = pd.DataFrame({"at": [START + pd.Timedelta(seconds=s) for s, _ in ROWS], "v": [v for _, v in ROWS]})
    sums = {}
    for delay in ("30 seconds", "0 seconds"):
        timed = sn.from_pandas([*rows.to_dict("records"), {"at": START, "v": 7}], rows=1).with_watermark("at", delay)
        query = timed.group_by(sn.window("at", "10 seconds")).agg(v=sn.sum("v")).query("update").run()
        sums[delay] = query.result["v"].tolist(), len(query.late)
    assert sums == {"30 seconds": ([108, 2], 0), "0 seconds": ([101, 2], 1)}
