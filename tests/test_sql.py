"""SQL: the same plan and the same rows as the verbs, and refusals that name what is not understood."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import streamnb as sn
from streamnb.sql import table_names

SCHEMA = {"at": "datetime", "k": "string", "v": "int64", "w": "float64"}
ROWS = [
    {"at": "2026-01-01 00:00:01", "k": "a", "v": 1, "w": 1.5},
    {"at": "2026-01-01 00:00:02", "k": "b", "v": -7, "w": 2.25},
    {"at": "2026-01-01 00:00:14", "k": "a", "v": 5, "w": None},
    {"at": "2026-01-01 00:00:21", "k": "ab", "v": None, "w": 4.0},
    {"at": "2026-01-01 00:00:22", "k": None, "v": 3, "w": 0.5},
]


@pytest.fixture
def t():
    source = sn.MemorySource(SCHEMA)
    source.add(ROWS)
    return sn.stream(source).with_watermark("at", "5 seconds")


@pytest.fixture
def u():
    source = sn.MemorySource({"at": "datetime", "k": "string", "x": "int64"})
    source.add([{"at": "2026-01-01 00:00:03", "k": "a", "x": 10}, {"at": "2026-01-01 00:00:20", "k": "a", "x": 20}])
    return sn.stream(source).with_watermark("at", "5 seconds")


def same(one, other):
    assert one.explain() == other.explain()
    pd.testing.assert_frame_equal(one.collect(), other.collect())


def column(expression, t, **also):
    """Return the values of an expression over the rows."""
    return sn.sql(f"SELECT {expression} AS x FROM t", t=t, **also).collect()["x"].astype(object).tolist()  # noqa: S608


def values(expression, t):
    return [None if pd.isna(value) else value for value in column(expression, t)]


# -- the same plan as the verbs

AS_WINDOW = "SELECT window(at, '10 seconds'), k, COUNT(*) AS n FROM t GROUP BY window(at, '10 seconds'), k"
AS_TABLE = """SELECT window_start, window_end, k, COUNT(*) AS n FROM TUMBLE(t, at, INTERVAL '10' SECOND)
              GROUP BY window_start, window_end, k"""
AS_FLINK = AS_TABLE.replace(
    "TUMBLE(t, at, INTERVAL '10' SECOND)", "TABLE(TUMBLE(TABLE t, DESCRIPTOR(at), INTERVAL '10' SECOND))"
)


def test_spark_s_window_and_the_window_tables_are_the_same_plan(t):
    verbs = t.group_by(sn.window("at", "10 seconds"), "k").agg(n=sn.count())
    for spelling in AS_WINDOW, AS_TABLE, AS_FLINK:
        same(sn.sql(spelling, t=t), verbs)


def test_both_spellings_give_the_same_batches_in_every_mode(t):
    for mode in "append", "update", "complete":
        one, other = (sn.sql(spelling, t=t).query(mode).run() for spelling in (AS_WINDOW, AS_TABLE))
        assert [rows.to_dict() for rows in one.emitted] == [rows.to_dict() for rows in other.emitted]
        assert one.watermark == other.watermark is not None


def test_hop_is_a_sliding_window(t):
    verbs = t.group_by(sn.window("at", "20 seconds", "10 seconds")).agg(n=sn.count())
    query = "SELECT window_start, window_end, COUNT(*) AS n FROM {} GROUP BY {}"
    hop = query.format("HOP(t, at, INTERVAL '10' SECOND, INTERVAL 20 SECONDS)", "window_start, window_end")
    same(sn.sql(hop, t=t), verbs)
    spark = "SELECT window.start, window.end, COUNT(*) AS n FROM t GROUP BY window(at, '20 seconds', '10 seconds')"
    same(sn.sql(spark, t=t), verbs)


def test_an_offset_of_windows(t):
    verbs = t.group_by(sn.window("at", "10 seconds", start="3s")).agg(n=sn.count())
    same(
        sn.sql("SELECT window, count(*) n FROM t GROUP BY window(at, '10 seconds', '10 seconds', '3 seconds')", t=t),
        verbs,
    )
    table = "TUMBLE(t, at, INTERVAL '10' SECOND, INTERVAL '3' SECOND)"
    same(sn.sql(f"SELECT window_start, window_end, count(*) n FROM {table} GROUP BY 1, 2", t=t), verbs)  # noqa: S608


def test_session_windows_in_both_spellings(t):
    verbs = t.group_by(sn.session_window("at", "5 seconds"), "k").agg(n=sn.count())
    function = "session_window(at, '5 seconds')"
    same(sn.sql(f"SELECT {function}, k, count(*) n FROM t GROUP BY {function}, k", t=t), verbs)  # noqa: S608
    table = "SESSION(t, at, INTERVAL '5' SECOND)"
    same(sn.sql(f"SELECT window_start, window_end, k, count(*) n FROM {table} GROUP BY 1, 2, 3", t=t), verbs)  # noqa: S608


def test_a_window_of_rows_is_two_columns(t):
    verbs = t.with_window(sn.window("at", "10 seconds")).select("window_start", "window_end", "v")
    same(sn.sql("SELECT window(at, '10 seconds'), v FROM t", t=t), verbs)
    same(sn.sql("SELECT window_start, window_end, v FROM TUMBLE(t, at, INTERVAL '10' SECOND)", t=t), verbs)
    renamed = sn.sql("SELECT window(at, '10 seconds') AS w FROM t", t=t)
    assert list(renamed.schema) == ["w_start", "w_end"]


def test_a_window_table_filtered_by_its_window(t):
    query = """SELECT window_start, SUM(v) AS s FROM TUMBLE(t, at, INTERVAL '10' SECOND)
               WHERE window_end > '2026-01-01 00:00:10' GROUP BY window_start"""
    assert sn.sql(query, t=t).collect()["s"].tolist() == [5, 3]


def test_windows_of_windows(t):
    inner = "SELECT window(at, '10 seconds'), k, count(*) n FROM t GROUP BY window(at, '10 seconds'), k"
    query = f"""SELECT window(window_time(window), '20 seconds'), sum(n) total FROM ({inner}) AS small
                GROUP BY window(window_time(window), '20 seconds')"""  # noqa: S608
    small = t.group_by(sn.window("at", "10 seconds"), "k").agg(n=sn.count())
    same(sn.sql(query, t=t), small.group_by(sn.window(sn.window_time(), "20 seconds")).agg(total=sn.sum("n")))


def test_a_window_of_a_window_goes_by_its_time(t):
    inner = "SELECT window(at, '10 seconds'), k, count(*) n FROM t GROUP BY 1, 2"
    outer = f"SELECT window, sum(n) total FROM ({inner}) GROUP BY window(window, '20 seconds')"  # noqa: S608
    small = t.group_by(sn.window("at", "10 seconds"), "k").agg(n=sn.count())
    same(sn.sql(outer, t=t), small.group_by(sn.window(sn.window_time(), "20 seconds")).agg(total=sn.sum("n")))
    assert list(sn.sql(f"SELECT window AS w, n FROM ({inner})", t=t).schema) == ["w_start", "w_end", "n"]  # noqa: S608


def test_the_window_tables_of_flink_have_a_window_time(t):
    keys = "window_start, window_end, window_time"
    frame = sn.sql(f"SELECT {keys}, COUNT(*) n FROM TUMBLE(t, at, '10 seconds') GROUP BY {keys}", t=t)  # noqa: S608
    assert list(frame.schema) == ["window_start", "window_end", "window_time", "n"]
    rows = frame.collect()
    assert ((rows["window_end"] - rows["window_time"]) == pd.Timedelta("1us")).all()


def test_where_having_and_select_stand_where_sql_means_them(t):
    query = "SELECT k, SUM(v) AS total FROM t WHERE v > 0 GROUP BY k HAVING total > 3"
    verbs = t.filter(sn.col("v") > 0).group_by("k").agg(total=sn.sum("v")).filter(sn.col("total") > 3)
    same(sn.sql(query, t=t), verbs)


def test_select_star_is_the_frame_itself(t):
    assert sn.sql("SELECT * FROM t", t=t).node is t.node


def test_a_hint_declares_the_watermark():
    source = sn.MemorySource(SCHEMA)
    source.add(ROWS)
    query = "SELECT /*+ WATERMARK(at, '5 seconds') */ * FROM t"
    same(sn.sql(query, t=sn.stream(source)), sn.stream(source).with_watermark("at", "5 seconds"))


def test_distinct_union_and_limit_are_verbs(t, u):
    same(sn.sql("SELECT DISTINCT k FROM t", t=t), t.select("k").distinct())
    query = "SELECT at, k FROM t UNION ALL SELECT at, k FROM u LIMIT 3"
    same(sn.sql(query, t=t, u=u), t.select("at", "k").union(u.select("at", "k")).limit(3))


def test_union_goes_by_place(t, u):
    frame = sn.sql("SELECT v AS n, k AS name FROM t UNION ALL SELECT x, k FROM u", t=t, u=u)
    assert list(frame.schema) == ["n", "name"]
    assert frame.collect()["n"].tolist()[-2:] == [10, 20]


def test_union_without_all_is_distinct(t):
    assert sorted(sn.sql("SELECT v FROM t UNION SELECT v FROM t", t=t).collect()["v"].dropna()) == [-7, 1, 3, 5]


def test_order_by_is_sort_above_an_aggregation(t):
    verbs = t.group_by("k").agg(n=sn.count()).sort("n", "k", descending=[True, False]).limit(2)
    same(sn.sql("SELECT k, COUNT(*) n FROM t GROUP BY k ORDER BY n DESC, k LIMIT 2", t=t), verbs)
    frame = sn.sql("SELECT k FROM t GROUP BY k ORDER BY COUNT(*) DESC LIMIT 1", t=t)
    assert frame.query("complete").run().result["k"].tolist() == ["a"]


def test_queries_within_queries(t):
    by = "WITH pos AS (SELECT k, v FROM t WHERE v > 0), named AS (SELECT * FROM pos WHERE k IS NOT NULL)"
    frame = sn.sql(f"{by} SELECT k, SUM(v) s FROM (SELECT * FROM named) AS i GROUP BY k", t=t)  # noqa: S608
    assert frame.collect().to_dict("records") == [{"k": "a", "s": 6}]


# -- joins


def test_between_two_times_becomes_within(t, u):
    query = "SELECT * FROM t JOIN u ON t.k = u.k AND u.at BETWEEN t.at AND t.at + INTERVAL '10' SECONDS"
    within = sn.between("at", after="0s", before="10s", of="at")
    same(sn.sql(query, t=t, u=u), t.join(u, left_on="k", right_on="k", within=within))


@pytest.mark.parametrize(
    ("condition", "bounds"),
    [
        ("u.at >= t.at AND u.at < t.at + INTERVAL 10 SECONDS", {"after": "0s", "before": "10s", "closed": "left"}),
        ("t.at < u.at AND t.at + INTERVAL 10 SECONDS >= u.at", {"after": "0s", "before": "10s", "closed": "right"}),
        ("t.at > u.at - INTERVAL 10 SECONDS", {"before": "10s", "closed": "left"}),
        ("u.at + INTERVAL 5 SECONDS > t.at", {"after": "-5s", "closed": "right"}),
    ],
)
def test_bounds_of_two_times_in_any_form(condition, bounds, t, u):
    frame = sn.sql(f"SELECT * FROM t JOIN u ON t.k = u.k AND {condition}", t=t, u=u)  # noqa: S608
    verbs = t.join(u, left_on="k", right_on="k", within=sn.between("at", of="at", **bounds))
    assert frame.explain() == verbs.explain()
    assert frame.node.within == verbs.node.within  # type: ignore[attr-defined]


def test_the_rest_of_a_condition_is_where(t, u):
    query = (
        "SELECT t.v, x FROM t JOIN u ON t.k = u.k AND u.x > t.v * 3 AND u.at BETWEEN t.at AND t.at + INTERVAL 1 MINUTE"
    )
    assert sn.sql(query, t=t, u=u).collect().to_dict("records") == [
        {"v": 1, "x": 10},
        {"v": 1, "x": 20},
        {"v": 5, "x": 20},
    ]


def test_using_joins_by_name_and_the_column_stands_once(t):
    table = pd.DataFrame({"k": ["a", "b"], "name": ["Ann", "Bob"]})
    frame = sn.sql("SELECT k, name, v FROM t LEFT JOIN people USING (k) WHERE v > 0", t=t, people=table)
    same(frame, t.join(table, on=["k"], how="left").filter(sn.col("v") > 0).select("k", "name", "v"))


@pytest.mark.parametrize(
    ("join", "how"),
    [("JOIN", "inner"), ("LEFT OUTER JOIN", "left"), ("LEFT SEMI JOIN", "semi"), ("LEFT ANTI JOIN", "anti")],
)
def test_every_join_of_a_table_by_its_name(join, how, t):
    table = pd.DataFrame({"id": ["a", "b"], "name": ["Ann", "Bob"]})
    frame = sn.sql(f"SELECT * FROM t {join} people AS p ON t.k = p.id", t=t, people=table)  # noqa: S608
    same(frame, t.join(table, left_on=["k"], right_on=["id"], how=how))


def test_columns_of_the_same_name_are_told_apart_by_their_table(t, u):
    within = "u.at BETWEEN t.at AND t.at + INTERVAL 5 SECONDS"
    query = f"SELECT t.at AS mine, u.at AS theirs FROM t JOIN u ON t.k = u.k AND {within}"  # noqa: S608
    row = sn.sql(query, t=t, u=u).collect().iloc[0]
    assert (row["mine"].second, row["theirs"].second) == (1, 3)
    with pytest.raises(sn.PlanError, match="'at' is a column of") as error:
        sn.sql("SELECT at FROM t JOIN u ON t.k = u.k", t=t, u=u)
    assert error.value.code == "SQL_AMBIGUOUS"


def test_a_frame_may_be_joined_with_itself_under_two_names(t):
    on = "a.k = b.k AND b.at BETWEEN a.at AND a.at + INTERVAL 1 MINUTE"
    query = f"SELECT a.v, b.v AS after FROM t a JOIN t b ON {on} WHERE b.v > a.v"  # noqa: S608
    assert sn.sql(query, t=t).collect().to_dict("records") == [{"v": 1, "after": 5}]


# -- expressions


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("v + 1", [2, -6, 6, None, 4]),
        ("v - 1 - 1", [-1, -9, 3, None, 1]),
        ("(v + 1) * 2", [4, -12, 12, None, 8]),
        ("v / 2", [0.5, -3.5, 2.5, None, 1.5]),
        ("-v", [-1, 7, -5, None, -3]),
        ("ABS(v) % 2", [1, 1, 1, None, 1]),
        (
            "CASE WHEN v > 3 THEN 'big' WHEN v > 0 THEN 'small' ELSE 'none' END",
            ["small", "none", "big", "none", "small"],
        ),
        ("CASE k WHEN 'a' THEN 1 END", [1, None, 1, None, None]),
        ("IF(v > 3, v, 0)", [0, 0, 5, 0, 0]),
        ("COALESCE(v, 0)", [1, -7, 5, 0, 3]),
        ("NULLIF(k, 'a')", [None, "b", None, "ab", None]),
        ("CAST(w AS INT)", [1, 2, None, 4, 0]),
        ("CAST(v AS STRING)", ["1", "-7", "5", None, "3"]),
        ("v::double", [1.0, -7.0, 5.0, None, 3.0]),
        ("v IN (1, 5)", [True, False, True, None, False]),
        ("v NOT IN (1, 5)", [False, True, False, None, True]),
        ("v IN (1, v)", [True, True, True, None, True]),
        ("v BETWEEN 1 AND 4", [True, False, False, None, True]),
        ("v IS NULL OR v > 3", [False, False, True, True, False]),
        ("NOT (v > 0 AND k = 'a')", [False, True, False, True, None]),
        ("k IS NOT NULL", [True, True, True, True, False]),
        ("k <> 'a'", [False, True, False, True, None]),
        ("UPPER(k) || '!'", ["A!", "B!", "A!", "AB!", None]),
        ("CONCAT(k, k)", ["aa", "bb", "aa", "abab", None]),
        ("LENGTH(k)", [1, 1, 1, 2, None]),
        ("SUBSTRING(k, 2, 1)", ["", "", "", "b", None]),
        ("k LIKE 'a%'", [True, False, True, True, None]),
        ("k LIKE '_'", [True, True, True, False, None]),
        ("STARTSWITH(k, 'a')", [True, False, True, True, None]),
        ("ROUND(w)", [2.0, 2.0, None, 4.0, 0.0]),
        ("FLOOR(w)", [1.0, 2.0, None, 4.0, 0.0]),
        ("SECOND(at)", [1, 2, 14, 21, 22]),
        ("YEAR(at)", [2026] * 5),
        ("at > '2026-01-01 00:00:14'", [False, False, False, True, True]),
        ("at >= TIMESTAMP '2026-01-01 00:00:14'", [False, False, True, True, True]),
        ("at IN ('2026-01-01 00:00:01')", [True, False, False, False, False]),
        ("at + INTERVAL '1' SECOND = '2026-01-01 00:00:02'", [True, False, False, False, False]),
        ("at BETWEEN '2026-01-01 00:00:02' AND '2026-01-01 00:00:14'", [False, True, True, False, False]),
        ("'text'", ["text"] * 5),
        ("TRUE", [True] * 5),
    ],
)
def test_an_expression_means_what_it_says(expression, expected, t):
    assert values(expression, t) == expected


def test_times_in_text_take_the_zone_of_their_column():
    source = sn.MemorySource({"at": "datetime[UTC]"})
    source.add([{"at": "2026-01-01 12:00:00+00:00"}])
    frame = sn.sql(
        "SELECT * FROM t WHERE at = '2026-01-01 13:00:00+01:00' AND at >= '2026-01-01 12:00:00'", t=sn.stream(source)
    )
    assert len(frame.collect()) == 1


def test_times_in_text_take_any_zone():
    source = sn.MemorySource({"at": "datetime[America/New_York]"})
    source.add([{"at": "2026-01-01 07:00:00-05:00"}])
    frame = sn.sql("SELECT * FROM t WHERE at = '2026-01-01 12:00:00'", t=sn.stream(source))
    assert len(frame.collect()) == 1


def test_an_interval_is_a_value(t):
    assert column("at - INTERVAL 1 HOUR", t)[0] == dt.datetime(2025, 12, 31, 23, 0, 1)


def test_a_column_without_an_alias_has_the_name_of_its_expression(t):
    assert list(sn.sql("SELECT k, v + 1, Upper(k) FROM t", t=t).schema) == ["k", "v + 1", "upper(k)"]


def test_names_are_found_whatever_their_case(t):
    assert list(sn.sql("SELECT V, T.K FROM T", t=t).schema) == ["v", "k"]


def test_star_of_one_table_and_except(t):
    table = pd.DataFrame({"id": ["a"], "name": ["Ann"]})
    frame = sn.sql("SELECT p.*, t.v FROM t JOIN p ON k = id", t=t, p=table)
    assert list(frame.schema) == ["id", "name", "v"]
    assert list(sn.sql("SELECT * EXCEPT (w, at) FROM t", t=t).schema) == ["k", "v"]


def test_a_long_condition_is_read(t):
    condition = " OR ".join(f"v = {n}" for n in range(300))
    assert len(sn.sql(f"SELECT v FROM t WHERE {condition}", t=t).collect()) == 3  # noqa: S608


# -- aggregates


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("COUNT(*)", sn.count()),
        ("COUNT(1)", sn.count()),
        ("COUNT(v)", sn.count("v")),
        ("SUM(v)", sn.sum("v")),
        ("SUM(v * w)", sn.sum(sn.col("v") * sn.col("w"))),
        ("AVG(w)", sn.mean("w")),
        ("MEAN(w)", sn.mean("w")),
        ("MIN(v)", sn.min("v")),
        ("MAX(v)", sn.max("v")),
        ("VAR_SAMP(w)", sn.var("w")),
        ("STDDEV(w)", sn.std("w")),
        ("FIRST(v)", sn.first("v")),
        ("LAST(v)", sn.last("v")),
        ("LAST(v, TRUE)", sn.last("v", ignore_nulls=True)),
        ("COUNT(DISTINCT k)", sn.count_distinct("k")),
        ("APPROX_COUNT_DISTINCT(k)", sn.approx_count_distinct("k")),
        ("COLLECT_LIST(v)", sn.collect_list("v")),
        ("ARRAY_AGG(v)", sn.collect_list("v")),
        ("COLLECT_SET(k)", sn.collect_set("k")),
        ("MIN_BY(k, v)", sn.min_by("k", "v")),
        ("MAX_BY(k, v)", sn.max_by("k", "v")),
        ("PERCENTILE(v, 0.5)", sn.quantile("v", 0.5)),
        ("MEDIAN(v)", sn.quantile("v", 0.5)),
    ],
)
def test_an_aggregate_is_that_of_agg(sql, verb, t):
    same(sn.sql(f"SELECT k, {sql} AS x FROM t GROUP BY k", t=t), t.group_by("k").agg(x=verb))  # noqa: S608


def test_expressions_over_aggregates(t):
    frame = sn.sql("SELECT k, SUM(v) / COUNT(*) AS mean, COUNT(*) * 10 AS n FROM t WHERE k = 'a' GROUP BY k", t=t)
    assert frame.collect().to_dict("records") == [{"k": "a", "mean": 3.0, "n": 20}]


def test_an_aggregate_in_having_need_not_be_selected(t):
    frame = sn.sql("SELECT k FROM t GROUP BY k HAVING COUNT(*) > 1 AND NOT SUM(v) IS NULL", t=t)
    assert frame.collect().to_dict("records") == [{"k": "a"}]


def test_order_and_having_know_the_names_of_select_and_order_its_places(t):
    query = "SELECT k, SUM(v) + 1 AS more, COUNT(*) AS n FROM t GROUP BY k HAVING more > 0 ORDER BY {}"
    by_name, by_place = (sn.sql(query.format(order), t=t).collect() for order in ("n DESC, more", "3 DESC, 2"))
    assert by_name["more"].tolist() == by_place["more"].tolist() == [7, 4]


def test_a_column_goes_before_a_name_of_select(t):
    assert sn.sql("SELECT k || '!' AS k, COUNT(*) n FROM t GROUP BY k", t=t).collect()["k"].tolist()[0] == "a!"


def test_grouping_by_an_expression_a_number_or_an_alias(t):
    grouped = [
        sn.sql(f"SELECT UPPER(k) AS name, COUNT(*) n FROM t GROUP BY {by}", t=t)  # noqa: S608
        for by in ("UPPER(k)", "1", "name")
    ]
    assert {frame.explain() for frame in grouped} == {grouped[0].explain()}
    assert grouped[0].collect()["name"].tolist()[:2] == ["A", "B"]


def test_without_group_by_there_is_one_group(t):
    same(sn.sql("SELECT COUNT(*) AS n, MAX(v) AS top FROM t", t=t), t.group_by().agg(n=sn.count(), top=sn.max("v")))


def test_count_if_counts_where_a_condition_is_true(t):
    assert sn.sql("SELECT COUNT_IF(v > 0) AS n FROM t", t=t).collect()["n"].tolist() == [3]


# -- refusals


@pytest.mark.parametrize(
    ("query", "named", "way_out"),
    [
        ("SELECT SUM(v) OVER (PARTITION BY k) FROM t", "WINDOW in SUM", "analytic windows"),
        ("SELECT v FROM t QUALIFY v > 1", "QUALIFY", "verbs of the frame"),
        ("SELECT * FROM t WHERE v IN (SELECT v FROM t)", "a query in", "LEFT SEMI JOIN"),
        ("SELECT * FROM t WHERE EXISTS (SELECT 1 FROM t)", "EXISTS", "LEFT SEMI JOIN"),
        ("SELECT (SELECT MAX(v) FROM t) FROM t", "SUBQUERY", "join with the other frame"),
        ("SELECT v FROM t EXCEPT SELECT v FROM t", "EXCEPT", "UNION ALL"),
        ("SELECT v FROM t INTERSECT SELECT v FROM t", "INTERSECT", "UNION ALL"),
        ("SELECT * FROM t TABLESAMPLE (10 PERCENT)", "SAMPLE", "verbs"),
        ("SELECT * FROM t LIMIT 3 OFFSET 2", "OFFSET", "verbs"),
        ("SELECT * FROM t CROSS JOIN t AS u", "CROSS JOIN", "INNER, LEFT"),
        ("SELECT * FROM t, t AS u", "CROSS JOIN", "INNER, LEFT"),
        ("SELECT * FROM t NATURAL JOIN t AS u", "METHOD", "verbs"),
        ("SELECT k, COUNT(*) FROM t GROUP BY CUBE(k)", "CUBE", "verbs"),
        ("SELECT v DIV 2 FROM t", "INTDIV", "FLOOR(a / b)"),
        ("SELECT SUM(DISTINCT v) FROM t", "SUM(DISTINCT v)", "only COUNT"),
        ("SELECT SUM(v) FILTER (WHERE v > 1) FROM t", "FILTER", "CASE WHEN"),
        ("SELECT STDDEV_POP(v) FROM t", "STDDEV_POP(v)", "use one of COUNT, SUM"),
        ("SELECT TRY_CAST(k AS INT) FROM t", "AS INT", "write CAST"),
        ("SELECT CAST(k AS DECIMAL(10, 2)) FROM t", "the type DECIMAL", "DOUBLE"),
        ("SELECT FORMAT_NUMBER(v, 2) FROM t", "FORMAT_NUMBER(v, 2)", "verbs"),
        ("SELECT my_function(v) FROM t", "MY_FUNCTION(v)", "verbs"),
        ("SELECT 1", "SELECT without FROM", "read a frame"),
        ("SELECT * FROM CUMULATE(t, at, INTERVAL 1 MINUTE, INTERVAL 1 HOUR)", "CUMULATE", "TUMBLE, HOP or SESSION"),
        ("SELECT * FROM db.t", "DB in db.t", "verbs"),
        ("SELECT k FROM t GROUP BY k", "GROUP BY without an aggregate", "SELECT DISTINCT"),
        ("CREATE TABLE x (v INT)", "CREATE", "write SELECT"),
        ("SELECT /*+ BROADCAST(t) */ * FROM t", "the hint BROADCAST(t)", "WATERMARK(column"),
        ("SELECT k, COUNT(*) n FROM t GROUP BY k ORDER BY n NULLS LAST", "NULLS LAST", "nulls are the smallest"),
        (
            "SELECT window(at, '1 hour'), COUNT(*) FROM t GROUP BY window(at, '2 hours')",
            "which is not in GROUP BY",
            "group by it",
        ),
        ("SELECT * FROM SESSION(t, at, INTERVAL 1 MINUTE)", "SESSION without GROUP BY", "the key of the sessions"),
        ("SELECT * FROM TUMBLE(t, at)", "TUMBLE(t, at)", "write TUMBLE(table, time, size[, start])"),
        ("SELECT INTERVAL '1:30' HOUR TO MINUTE FROM t", "HOUR TO MINUTE", "INTERVAL '90' MINUTE"),
        ("SELECT k FROM t HAVING v > 1", "GROUP BY without an aggregate", "SELECT DISTINCT"),
        ("SELECT * FROM t GROUP BY k HAVING COUNT(*) > 1", "* beside GROUP BY", "name the keys"),
        ("SELECT COUNT() FROM t", "COUNT()", "COUNT(*)"),
        ("SELECT CAST(k AS TIMESTAMP) FROM t", "text as a time", "to_datetime"),
        ("WITH a(x) AS (SELECT k FROM t) SELECT x FROM a", "column names in a", "AS"),
        ("SELECT k FROM t ORDER BY 3", "ORDER BY 3 of 1 columns", "count from 1"),
        ("SELECT DISTINCT ON (k) v FROM t", "DISTINCT ON", "drop_duplicates"),
    ],
)
def test_what_is_not_understood_is_refused_by_name_with_a_way_out(query, named, way_out, t):
    with pytest.raises(sn.PlanError) as error:
        sn.sql(query, t=t)
    assert error.value.code == "SQL_UNSUPPORTED"
    assert named in str(error.value)
    assert way_out in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("SELECT (v FROM t", "line 1, column 14: Expecting ) at 'FROM'"),
        ("SELECT v\nFROM t WHERE", "line 2, column 12"),
        ("SELECT 'v FROM t", "Error tokenizing"),
        ("SELECT 1 FROM t; SELECT 2 FROM t", "2 statements"),
        ("", "0 statements"),
    ],
)
def test_a_mistake_in_the_grammar_has_a_place(query, place, t):
    with pytest.raises(sn.PlanError) as error:
        sn.sql(query, t=t)
    assert error.value.code == "SQL_SYNTAX"
    assert place in str(error.value)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)


def test_a_table_that_is_not_given_lists_those_that_are(t, u):
    with pytest.raises(sn.PlanError, match=r"no table 'flights'; the tables are \['t', 'u'\]") as error:
        sn.sql("SELECT * FROM flights", t=t, u=u)
    assert error.value.code == "SQL_TABLE_UNKNOWN"
    with pytest.raises(sn.PlanError, match=r"no table 'x' in FROM; there is \['t'\]"):
        sn.sql("SELECT x.v FROM t", t=t)


def test_a_column_that_is_not_there_is_named_with_the_nearest(t):
    with pytest.raises(sn.ColumnNotFoundError, match="no column 'vv'; did you mean 'v'"):
        sn.sql("SELECT vv FROM t", t=t)


def test_two_columns_of_one_name_are_refused(t):
    with pytest.raises(sn.PlanError, match=r"the columns \['a'\] stand twice") as error:
        sn.sql("SELECT k AS a, v AS a FROM t", t=t)
    assert error.value.code == "COLUMN_DUPLICATE"


def test_a_column_that_is_not_grouped_is_refused(t):
    with pytest.raises(sn.PlanError, match="v is neither grouped nor aggregated") as error:
        sn.sql("SELECT v, COUNT(*) FROM t GROUP BY k", t=t)
    assert error.value.code == "AGGREGATE_INVALID"


def test_a_time_that_is_none_is_refused(t):
    with pytest.raises(sn.PlanError, match="'noon' is not a time; write TIMESTAMP"):
        sn.sql("SELECT * FROM t WHERE at > 'noon'", t=t)


def test_a_table_that_is_no_stream_cannot_come_first(t):
    with pytest.raises(sn.PlanError, match="name the stream first"):
        sn.sql("SELECT * FROM p JOIN t ON p.k = t.k", t=t, p=pd.DataFrame({"k": ["a"]}))


def test_what_the_verbs_refuse_is_refused_as_ever(t):
    with pytest.raises(sn.PlanError) as error:
        sn.sql("SELECT * FROM t JOIN t AS u", t=t)
    assert error.value.code == "JOIN_WITHOUT_EQUALITY"
    with pytest.raises(sn.PlanError) as error:
        sn.sql("SELECT k, COUNT(*) FROM t GROUP BY k", t=t).query()
    assert error.value.code == "APPEND_WITHOUT_WATERMARK"


def test_the_tables_of_a_query_are_known_by_name():
    joined = "SELECT * FROM a JOIN TUMBLE(c, at, '1 hour') ON a.k = c.k"
    query = f"WITH a AS (SELECT * FROM b) {joined} UNION ALL SELECT * FROM d"  # noqa: S608
    assert sorted(table_names(query)) == ["b", "c", "d"]
