"""What became of a row, told for every way there is to go, and checked against the real flights of the figure."""

from __future__ import annotations

import pandas as pd
import pytest

import streamnb as sn
from streamnb.answers.why import Why
from streamnb.errors import ColumnNotFoundError
from streamnb.query import Query

RISKY = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def flights() -> Query:
    landings = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", "3 hours")
    return landings.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query().run()


def test_the_flight_of_the_figure(flights):
    told = flights.why("US 450")
    assert told.fate == "late"
    assert told.event_time == pd.Timestamp("2013-02-08 09:57")
    assert told.watermark == pd.Timestamp("2013-02-08 10:21")
    assert (told.setter.row["flight_id"], told.setter.event_time.strftime("%H:%M")) == ("B6 1006 02-08", "13:21")
    (window,) = told.windows
    assert (window.start.hour, window.end.hour, window.late_by) == (9, 10, pd.Timedelta("21min"))
    assert window.closed_at == pd.Timestamp("2013-02-08 15:00")
    assert [moment.values["n"] for moment in window.life if moment.values][-1] == 9
    assert sum(moment.late for moment in window.life) == 5
    delay, earlier, mode = told.rescues
    assert delay.value == pd.Timedelta("3h21min")
    assert earlier.value == window.closed_in
    assert mode.value == "complete"


def test_the_delay_that_it_names_is_the_shortest_that_saves_the_row(flights):
    needed = flights.why("US 450").rescues[0].value
    for delay, fate in ((needed, "late"), (needed + pd.Timedelta("1ms"), "emitted")):
        landings = sn.data.landings("JFK", "2013-02-08").with_watermark("dep", delay)
        again = landings.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query().run()
        assert again.why("US 450").fate == fate


def test_older_than_the_watermark_and_still_counted(flights):
    told = flights.why({"flight_id": "DL 1529 02-08"})
    assert told.event_time < told.watermark
    assert (told.fate, told.windows[0].fate) == ("emitted", "closed")
    assert told.emitted[0].batch_id == told.windows[0].closed_in


def test_a_kept_row_says_what_will_close_its_window(flights):
    told = flights.why(sn.col("dep") == sn.lit(pd.Timestamp("2013-02-08 17:24")))
    assert (told.fate, told.windows[0].fate) == ("held", "open")
    assert told.windows[0].closes_after == pd.Timestamp("2013-02-08 21:00")


def test_a_row_of_late_and_a_row_of_the_result_are_questions_too(flights):
    assert flights.why(flights.late.iloc[3]).fate == "late"
    told = flights.why(flights.result.iloc[4])
    assert told.fate == "result"
    assert len(told.rows) == flights.result["n"].iloc[4]
    assert told.rows["dep"].dt.hour.unique().tolist() == [9]


def test_every_late_row_is_told_late_with_its_own_numbers(flights):
    for _, row in flights.late.iloc[::8].iterrows():
        told = flights.why(row)
        assert (told.fate, told.batch_id, told.windows[0].late_by) == ("late", row["batch_id"], row["late_by"])


def test_many_rows_the_first_is_told_and_the_others_counted(flights):
    told = flights.why({"dest": "LAX"})
    everyone = sn.data.landings("JFK", "2013-02-08").collect()
    assert told.others == (everyone["dest"] == "LAX").sum() - 1
    assert told.row["flight_id"] == everyone[everyone["dest"] == "LAX"]["flight_id"].iloc[0]


def test_no_row_comes_with_near_misses(flights):
    told = flights.why({"flight_id": "US 451 02-08", "carrier": "US"})
    assert told.fate == "none"
    assert any("'US 450 02-08'" in text for text in told.near)
    assert "nearest is 450" in " ".join(flights.why({"flight": 451}).near)
    with pytest.raises(ColumnNotFoundError, match="flight_id"):
        flights.why({"flight_ids": 1})


@pytest.fixture
def rows() -> sn.MemorySource:
    return sn.MemorySource({"ts": "datetime", "k": "string", "v": "int64"})


def test_what_removed_a_row_is_named(rows):
    rows.add([{"ts": "2024-01-01 00:01", "k": "a", "v": 1}, {"ts": "2024-01-01 00:02", "k": "a", "v": 2}])
    rows.add([{"ts": "2024-01-01 00:03", "k": "b", "v": 3}])
    once = sn.stream(rows).filter(sn.col("v") != 3).drop_duplicates(["k"]).query().run()
    assert once.why({"v": 3}).fate == "filtered"
    told = once.why({"v": 2})
    assert told.fate == "duplicate"
    assert "duplicate of k=a, v=1 in batch 0" in told.title
    assert once.why({"v": 1}).fate == "emitted"


def test_a_row_not_read_yet_waits(rows):
    query = sn.stream(rows).query()
    rows.add([{"k": "a"}])
    assert query.why({"k": "a"}).fate == "waiting"


def test_joins_tell_who_waits_and_who_found_nobody(rows):
    other = sn.MemorySource({"at": "datetime", "k": "string", "w": "int64"})
    left, right = sn.stream(rows).with_watermark("ts", "0s"), sn.stream(other).with_watermark("at", "0s")
    within = sn.between("at", after="0s", before="1 minute", of="ts")
    query = left.join(right, on="k", within=within).query()
    rows.add([{"ts": "2024-01-01 00:01", "k": "a", "v": 1}, {"ts": "2024-01-01 00:01", "k": "b", "v": 2}])
    other.add([{"at": "2024-01-01 00:01:30", "k": "a", "w": 7}])
    query.run()
    assert query.why({"v": 1}).fate == "emitted"
    assert query.why({"w": 7}).fate == "emitted"
    assert query.why({"v": 2}).fate == "held"
    for source, name in ((rows, "ts"), (other, "at")):
        source.add([{name: "2024-01-01 00:10", "k": "z"}])
    query.run()
    assert query.why({"v": 2}).fate == "unmatched"
    pair = query.why({"v": 1, "w": 7})
    assert pair.rows is not None
    assert sorted(pair.rows["batch_id"]) == [0, 0]


def test_a_table_that_lacks_the_key(rows):
    rows.add([{"k": "a"}, {"k": "b"}])
    query = sn.stream(rows).join(pd.DataFrame({"k": ["a"]}), on="k").query().run()
    assert [query.why({"k": key}).fate for key in "ab"] == ["emitted", "unmatched"]


def test_a_row_in_several_windows_is_late_for_some(rows):
    windows = sn.window("ts", "10 minutes", "5 minutes")
    query = sn.stream(rows).with_watermark("ts", "0s").group_by(windows).agg(n=sn.count()).query()
    for at in ("00:01", "00:11", "00:12", "00:07"):
        rows.add([{"ts": f"2024-01-01 {at}", "k": at}])
        query.step()
    told = query.why({"k": "00:07"})
    assert [window.fate for window in told.windows] == ["late", "open"]
    assert told.fate == "held"
    assert told.rescues[0].value == pd.Timedelta("1min")


def test_a_row_without_a_time_is_in_no_window(rows):
    rows.add([{"k": "a"}])
    query = sn.stream(rows).with_watermark("ts", "0s").group_by(sn.window("ts", "1h")).agg(n=sn.count()).query().run()
    told = query.why({"k": "a"})
    assert (told.fate, told.event_time) in {("left out", None), ("filtered", None)}


def test_a_function_of_ones_own_hides_what_it_makes(rows):
    rows.add([{"k": "a"}])
    query = sn.stream(rows).map_batches(lambda f: f[["k"]].assign(z=1), {"k": "string", "z": "int64"}).query().run()
    assert query.why({"v": None}).fate == "opaque"
    told = query.why({"z": 1})
    assert (told.fate, told.exact) == ("result", False)
    assert "map_batches" in told.note


def test_a_result_that_changes_is_told_in_its_newest_version(rows):
    query = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update")
    for _ in range(3):
        rows.add([{"k": "a"}])
        query.step()
    told = query.why(query.result.iloc[0])
    assert (told.batch_id, behind(told), told.others) == (2, 3, 0)
    assert behind(query.why({"k": "a", "n": 2})) == 2


def behind(told: Why) -> int:
    return 0 if told.rows is None else len(told.rows)


def test_names_and_values_of_the_users_are_only_text(rows):
    rows.add([{"k": RISKY, "v": 1}])
    query = sn.stream(rows).group_by("k").agg(**{RISKY: sn.count()}).query("update").run()
    for told in (query.why({"v": 1}), query.why(query.result.iloc[0]), query.why({"k": RISKY + "!"})):
        assert RISKY not in told._repr_html_()
        assert "&lt;img" in told._repr_html_()


def test_it_tells_the_same_after_a_rewind_and_on_time_zones():
    zoned = sn.data.landings("JFK", "2013-02-08").collect()
    zoned["dep"] = zoned["dep"].dt.tz_localize("America/New_York")
    frame = sn.from_pandas(zoned, arrival="arr", every="30 min").with_watermark("dep", "3 hours")
    query = frame.group_by(sn.window("dep", "1 hour")).agg(n=sn.count()).query().run()
    told = query.why("US 450")
    assert told.watermark is not None
    assert (told.fate, str(told.watermark.tz)) == ("late", "America/New_York")
    query.rewind(to=10)
    assert query.why("US 450").fate == "waiting"
    assert query.run().why("US 450").finding == told.finding


def test_a_query_that_has_read_nothing():
    source = sn.MemorySource({"k": "string"})
    assert sn.stream(source).query().why({"k": "a"}).fate == "none"


def test_a_time_ahead_of_the_clock_was_set_aside(rows):
    clock = sn.ManualClock("2024-01-01 12:00")
    marked = sn.stream(rows).with_watermark("ts", "0s").group_by(sn.window("ts", "1h")).agg(n=sn.count())
    query = marked.query(clock=clock, guard_future="1 minute")
    rows.add([{"ts": "2024-01-01 11:00", "k": "a"}, {"ts": "2024-01-02 11:00", "k": "b"}])
    told = query.run().why({"k": "b"})
    assert told.fate == "left out"
    assert "guard_future" in told.title
    assert query.why({"k": "a"}).fate == "held"


def test_rows_of_batches_that_are_summarised_are_read_again(monkeypatch, rows):
    monkeypatch.setattr("streamnb.retention.BUDGET", 1)
    query = sn.stream(rows).group_by("k").agg(n=sn.count()).query("update")
    for key in "abc":
        rows.add([{"k": key, "v": 1}, {"k": "z", "v": 2}])
        query.step()
    assert [trace.summarised for trace in query.trace] == [True, True, False]
    assert query.why({"k": "a"}).fate == "emitted"
    assert behind(query.why({"k": "z", "n": 2})) == 2
    assert [size.ever for size in query.state_sizes()] == [2, 3, 4]
    assert query.compare_with_batch().equal
