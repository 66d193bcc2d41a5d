"""The work of a stream beside that of a job: the rows read so far."""

from __future__ import annotations

import json

import pytest

import streamnb as sn
from streamnb.views.shapes import Figure
from streamnb.views.work import Work, reads

HOUR = 3_600_000.0


def test_a_job_reads_its_window_again_for_each_report():
    found = reads([0, HOUR, 2 * HOUR], [5, 3, 1], 2 * HOUR)
    assert [(r.stream, r.batch) for r in found] == [(5, 5), (8, 13), (9, 17)]


def test_without_a_window_it_reads_everything_again():
    assert [r.batch for r in reads([0, 1, 2], [1, 1, 1], None)] == [1, 3, 6]


def test_the_job_reads_also_where_nothing_new_came():
    found = reads([0, HOUR, 4 * HOUR], [2, 2, 2], 10 * HOUR)
    assert [(r.stream, r.batch) for r in found] == [(2, 2), (4, 6), (4, 10), (4, 14), (6, 20)]


def test_nothing_read_is_nothing_told():
    assert reads([], [], None) == []


@pytest.fixture(scope="module")
def report():
    frame = sn.data.landings(every="1 hour").group_by(sn.window("arr", "24 hours", "1 hour")).agg(n=sn.count())
    with frame.query(output_mode="update", name="test-work") as query:
        yield query.run()


def test_six_days_of_flights_are_those_of_lesson_00(report):
    sheet = Work(report).sheet(len(report.trace) - 1)
    assert sheet.title == "The stream has read 4,220 rows; a job that starts over each time, 92,228."
    (figure,) = sheet.parts
    assert isinstance(figure, Figure)
    assert figure.table is not None
    assert figure.table.rows[-1].cells[1:] == ("4,220", "92,228")


@pytest.mark.parametrize("at", [-1, 0, 40])
def test_a_sheet_is_plain_json(report, at):
    sheet = Work(report).sheet(at)
    assert json.loads(json.dumps(sheet.to_json()))["title"] == sheet.title
