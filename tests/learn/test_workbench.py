"""The query workbench: what is chosen and typed is code that runs, and what fails is said in one line."""

from __future__ import annotations

import nbformat
import pytest

import streamnb as sn
from streamnb.learn.workbench import Workbench
from streamnb.learn.workbench_script import CHAOS, FILE, ORIGINS, Script


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_source_begins_with_a_query_that_gives_rows_and_goes_to_spark(origin):
    script = Script(origin)
    with script.query() as query:
        for _ in range(30):
            query.step()
        assert sum(p.num_input_rows for p in query.progress) > 0
    assert "spark.readStream" in script.pyspark()


def test_the_script_is_what_the_query_runs():
    script = Script(chaos=frozenset({"duplicate", "bad_clock"}), mode="update")
    known: dict[str, object] = {}
    exec(script.text(), known)  # noqa: S102  what it says is tried
    typed, made = known["q"], script.query()
    assert isinstance(typed, sn.Query)
    with typed, made:
        assert typed.run().result.equals(made.run().result)
        assert typed.outline.output_mode == "update"


@pytest.mark.parametrize("name", CHAOS)
def test_each_switch_changes_what_comes(name):
    def heard(chaos: frozenset[str]) -> list[int]:
        with Script(chaos=chaos, typed="rows").query() as query:
            query.run()
            return [len(rows) for rows in query.emitted] + list(map(int, query.result["dep"].dt.day))

    assert heard(frozenset({name})) != heard(frozenset())


def test_files_of_ones_own(tmp_path):
    (tmp_path / "a.csv").write_text("at,v\n2024-01-01 10:00:00,1\n2024-01-01 10:01:00,2\n")
    script = Script(FILE, frozenset({"duplicate"}), path=str(tmp_path / "*.csv"))
    with script.query() as query:
        assert set(query.run().result["v"]) == {1, 2}


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (Script(FILE), "workbench: no file is named"),
        (Script(typed="x = 1"), "workbench: the last line gives no frame"),
        (Script(typed="# nothing"), "workbench: the last line gives no frame"),
        (Script(typed="1 + 1"), "workbench: the last line gives int, not a frame"),
        (Script(typed="rows.filter(col('dap') > 1)"), "filter: no column 'dap'"),
        (Script(typed="rows.group_by('origin').agg(n=sn.count())"), "query"),
        (Script(typed="rows."), "your code raises SyntaxError: "),
        (Script(typed="missing"), "your code raises NameError: name 'missing' is not defined"),
        (Script(mode="loud"), "workbench: "),
    ],
)
def test_what_is_wrong_is_said_and_the_query_that_stands_stays(script, said):
    bench = Workbench({})
    bench.attempt(bench.run)
    standing = bench.query
    bench.script = script
    bench.attempt(bench.run)
    assert said in bench.said
    assert "\n" not in bench.said
    assert bench.query is standing
    bench.close()


def test_the_code_may_use_what_the_notebook_has():
    bench = Workbench({"delay": "4 hours"}, 'rows.with_watermark("dep", delay)')
    bench.attempt(bench.run)
    assert bench.said == ""
    assert bench.query is not None
    assert str(bench.query.outline.delay) == "4:00:00"
    bench.close()


def test_a_lesson_is_saved_runs_and_is_never_written_over(tmp_path):
    bench = Workbench({})
    where = tmp_path / "mine.ipynb"
    bench.attempt(lambda: bench.save(str(where)))
    assert bench.said.startswith("saved as ")
    lesson = nbformat.reads(where.read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(lesson)
    known: dict[str, object] = {}
    for cell in lesson.cells:
        if cell.cell_type == "code":
            exec(cell.source, known)  # noqa: S102  what was saved is tried
    assert len(known["q"].late) == 23  # type: ignore[attr-defined]
    known["q"].stop()  # type: ignore[attr-defined]
    was = where.read_text(encoding="utf-8")
    bench.attempt(lambda: bench.save(str(where)))
    assert "is there already" in bench.said
    assert where.read_text(encoding="utf-8") == was


def test_the_widget_makes_the_query_again_from_what_is_typed():
    bench = Workbench({})
    bundle = bench._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    first = bench.query
    bench.origin.value = "clicks (simulated)"
    assert bench.editor.value == ORIGINS["clicks (simulated)"].first
    bench.switches["duplicate"].value = True
    bench._box.children[3].children[0].click()
    assert bench.said == ""
    assert bench.query is not first
    assert first is not None
    assert first.status == "stopped"
    assert "sn.chaos.duplicate" in bench.script.text()
    bench.editor.value = "rows.filter(col('nobody') > 1)"
    bench.origin.value = "payments (simulated)"
    assert "nobody" in bench.editor.value
    bench._box.children[3].children[1].click()
    assert "nobody" in bench._box.children[4].value
    bench.close()
