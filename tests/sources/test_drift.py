"""What changes in the middle: a new field, one that goes, another type. Each by the connector's rule, none unseen."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from streamnb.sources.records import Json, rows_of
from tests.servers.kafka_mock import MockKafka
from tests.sources.test_kafka import Topic, dead
from tests.sources.test_sql import Database, table  # noqa: F401  a fixture
from tests.sources.wires import WIRES, encoded, wire

SCHEMA = {"v": "int64", "k": "string"}
BEFORE, MORE, LESS, OTHER, AFTER = (
    {"v": 1, "k": "a"}, {"v": 2, "k": "b", "new": 9}, {"k": "c"}, {"v": "many", "k": "d"}, {"v": 3, "k": "e"},
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(WIRES.keys() - {"lines"}))
def test_a_new_field_is_left_out_an_absent_one_null_and_another_type_a_dead_letter(name, request, tmp_path):
    with wire(name, request, tmp_path, SCHEMA) as one:
        query = one.frame.query()
        one.tell(query, BEFORE, MORE, LESS, OTHER, AFTER)
        rows = one.drive(query, 4, dead=1).result
        assert rows["k"].tolist() == ["a", "b", "c", "e"]
        assert rows["v"].isna().tolist() == [False, False, True, False]
        assert "new" not in rows
        (letter,) = query.dead_letters.to_dict("records")
        assert ("many" in letter["raw"], "many" in letter["reason"] or "i64" in letter["reason"]) == (True, True)


def test_a_line_of_a_file_with_a_new_field_is_a_dead_letter_too(request, tmp_path):
    with wire("lines", request, tmp_path, SCHEMA) as one:
        query = one.frame.query()
        one.tell(query, BEFORE, MORE, LESS, OTHER, AFTER)
        rows = one.drive(query, 3, dead=2).result
        assert rows["v"].isna().tolist() == [False, True, False]
        assert query.dead_letters["reason"].str.contains("'new'|'v'").all()


def test_a_csv_or_parquet_file_of_other_columns_waits_for_who_mends_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,k\n1,a\n")
    query = sn.from_files(f"{tmp_path}/*.csv", SCHEMA).query().run()
    for drifted, said in (
        ("v,k,new\n2,b,9\n", r"columns \['new'\] are not in the schema"),
        ("k\nc\n", r"lacks .*\['v'\]"),
    ):
        (tmp_path / "b.csv").write_text(drifted)
        for ask in query.step, query.run:
            with pytest.raises(sn.DataError, match=said):
                ask()
        assert query.why_no_output().reason == "failed"
        (tmp_path / "b.csv").unlink()
    (tmp_path / "c.csv").write_text("k,v\nb,2\n")
    assert query.run().result["v"].tolist() == [1, 2]


FITS: dict[str, Any] = {"v": "int64", "k": "string", "l": "list[int64]", "s": "list[string]"}
VALUES = [
    ({"v": 2.7}, None), ({"v": {"a": 1}}, None), ({"v": [1]}, None), ({"v": "7"}, {"v": 7}), ({"v": 2.0}, {"v": 2}),
    ({"k": {"a": 1, "é": None}}, {"k": '{"a": 1, "é": null}'}), ({"k": [1, "x"]}, {"k": '[1, "x"]'}),
    ({"l": [1.5]}, None), ({"l": [2.0, None]}, {"l": [2, None]}), ({"l": 1}, None), ({"l": {"a": 1}}, None),
    ({"s": ["a", {"b": 1}]}, {"s": ["a", '{"b": 1}']}), ({"l": [[1]]}, None), ({"v": 1e300}, None),
]  # fmt: skip


@pytest.mark.parametrize("among", [0, 1])
@pytest.mark.parametrize(("value", "kept"), VALUES)
def test_no_value_loses_a_part_to_fit(value: dict[str, Any], kept: dict[str, Any] | None, among: int) -> None:
    """A fraction, the names of an object: what would lose them is a dead letter, whatever its neighbours are."""
    others = [{"v": 1, "k": "a", "l": [1], "s": ["a"]}] * among
    payloads = [encoded(row) for row in (*others, value, *others)]
    rows, numbers, bad = rows_of(Json(FITS), payloads, str)
    assert len(rows) + len(bad) == len(payloads)
    assert [b.offset for b in bad] == ([] if kept else [str(len(others))])
    if kept:
        (name,) = kept
        assert rows[name].to_list()[numbers.index(len(others))] == kept[name]


def test_a_line_whose_object_stands_where_a_value_was_is_a_dead_letter(tmp_path: Path) -> None:
    good = ['{"v": 1, "k": "a", "l": [1]}', '{"v": 5, "l": [2]}']
    drifted = ['{"v": {"a": 1}}', '{"k": {"a": 1}}', '{"k": [1]}', '{"l": [1.5]}']
    (tmp_path / "a.jsonl").write_text("\n".join([good[0], *drifted, good[1], ""]))
    query = sn.from_files(f"{tmp_path}/*.jsonl", FITS).query().run()
    assert query.result["v"].tolist() == [1, 5]
    assert query.dead_letters["raw"].tolist() == drifted


# -- a table


def test_a_table_that_gets_a_column_is_read_as_before_and_anew_with_it(table: Database) -> None:  # noqa: F811
    table.add(1)
    query = table.read().query().run()
    table.run(f'ALTER TABLE "{table.name}" ADD COLUMN w INTEGER')
    table.run(f'INSERT INTO "{table.name}" (id, w) VALUES (2, 9)')  # noqa: S608
    rows = query.run().result
    assert (rows["id"].tolist(), "w" in rows) == ([1, 2], False)
    assert table.read().collect()["w"].tolist()[1] == 9


def test_a_table_that_loses_a_column_is_one_line(table: Database) -> None:  # noqa: F811
    table.add(1)
    query = table.read().query().run()
    table.run(f'ALTER TABLE "{table.name}" DROP COLUMN k')
    table.run(f'INSERT INTO "{table.name}" (id) VALUES (2)')  # noqa: S608
    with pytest.raises(sn.DataError, match=r"^from_sql: .*\bk\b") as caught:
        query.step()
    assert "\n" not in str(caught.value)
    assert query.why_no_output().reason == "away"


def test_a_value_of_another_type_in_a_table_is_a_dead_letter(postgres_server: Any, tmp_path: Path) -> None:
    from tests.sources.test_sql import postgres_address

    loose = Database(str(tmp_path / "shop.db"), "INTEGER PRIMARY KEY", "?")
    strict = Database(postgres_address(postgres_server), "BIGINT PRIMARY KEY", "%s")
    for one in loose, strict:
        one.add(1)
        query = one.read().query().run()
        if one is strict:
            one.run(f'ALTER TABLE "{one.name}" ALTER COLUMN v TYPE TEXT')
        one.add(2, row=(None, "b", "many", None))
        one.add(3, row=(None, "c", "2.5", None))
        assert query.run().result["id"].tolist() == [1, 3]
        assert query.result["v"].tolist() == [1.5, 2.5]
        (letter,) = query.dead_letters.to_dict("records")
        assert (letter["offset"], "many" in letter["raw"]) == ("row 1 after id=1", True)


# -- Avro


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "click", "fields": [{"name": name, "type": kind} for name, kind in fields]}


V, K = ("v", "long"), ("k", "string")
OLD, NEW = record(V, K), record(("new", "long"), K, V)


def avro(schema: dict[str, Any], row: dict[str, Any], number: int | None = None) -> bytes:
    import fastavro

    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, row)
    return (b"" if number is None else b"\0" + number.to_bytes(4, "big")) + body.getvalue()


@pytest.mark.parametrize("changed", [record(V, K, ("new", "long")), record(V), record(("v", "string"), K)])
def test_avro_of_a_writer_that_changed_is_a_dead_letter(kafka: MockKafka, changed: dict[str, Any]) -> None:
    topic = Topic(kafka)
    drifted = {"v": "many" if changed["fields"][0]["type"] == "string" else 2, "k": "b", "new": 9}
    topic.write(avro(OLD, BEFORE), avro(changed, drifted), avro(OLD, AFTER))
    query = topic.read(OLD, format="avro").query().run()
    assert query.result["v"].tolist() == [1, 3]
    ((place, reason),) = dead(query)
    assert (place, "this Avro schema" in reason) == ("partition 0, offset 1", True)


def test_avro_of_several_writers_is_read_by_the_number_of_each(kafka: MockKafka) -> None:
    topic = Topic(kafka)
    changed = {"new": 9, "k": "b", "v": 2}
    topic.write(avro(OLD, BEFORE, 7), avro(NEW, changed, 8), avro(NEW, changed, 9), None)
    query = topic.read({7: OLD, 8: NEW}, format="avro-registry", metadata=()).query().run()
    assert list(query.result) == ["new", "k", "v"]
    assert query.result["v"].tolist()[:2] == [1, 2]
    assert query.result["new"].isna().tolist() == [True, False, True]
    said = "it was written by Avro schema 9, and those known are [7, 8]; give it in schema="
    assert dead(query) == [("partition 0, offset 2", said)]


def test_no_schema_of_a_number_is_refused(kafka: MockKafka) -> None:
    with pytest.raises(sn.PlanError, match="the Avro schema cannot be read"):
        Topic(kafka).read({}, format="avro-registry")
