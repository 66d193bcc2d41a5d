"""The table of lesson 15, and more: what may change, in memory and across a restart, beside sums made by hand."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import streamnb as sn
from tests.evolving.rows import START, feed, source

Frame = Callable[[sn.MemorySource], sn.StreamFrame]
END = START + dt.timedelta(days=1)


def stream(over: sn.MemorySource, delay: str = "5 seconds") -> sn.StreamFrame:
    return sn.stream(over).with_watermark("at", delay)


def sums(events: sn.StreamFrame, *keys: str, size: str = "10 seconds", **more: Any) -> sn.StreamFrame:
    groups = events.group_by(sn.window("at", size), *(keys or ("card",)))
    return groups.agg(**(more or {"n": sn.count(), "total": sn.sum("v")}))


def pairs(over: sn.MemorySource, before: str = "10 seconds", how: str = "inner") -> sn.StreamFrame:
    left = stream(over).filter(sn.col("v") % 2 == 0)
    right = stream(over).filter(sn.col("v") % 2 == 1).rename({"at": "then", "v": "w"})
    within = sn.between("then", of="at", after="0 seconds", before=before)
    return left.join(right, on="card", within=within, how=how)


def old(over: sn.MemorySource) -> sn.StreamFrame:
    return sums(stream(over).filter(sn.col("v") >= 3))


KEPT: dict[str, tuple[Frame, int]] = {
    "a wider filter": (lambda s: sums(stream(s).filter(sn.col("v") >= 1)), 1),
    "a narrower filter": (lambda s: sums(stream(s).filter(sn.col("v") >= 7)), 7),
    "no filter": (lambda s: sums(stream(s)), -99),
    "a column more, before": (lambda s: sums(stream(s).filter(sn.col("v") >= 3).with_columns(more=sn.lit(1))), 3),
    "a column more, behind": (lambda s: old(s).with_columns(more=sn.col("total") * 2), 3),
    "another name, behind": (lambda s: old(s).rename({"total": "all"}), 3),
    "a longer delay": (lambda s: sums(stream(s, "1 minute").filter(sn.col("v") >= 3)), 3),
    "a shorter delay": (lambda s: sums(stream(s, "0 seconds").filter(sn.col("v") >= 3)), 3),
    "a watermark per card": (
        lambda s: sums(sn.stream(s).with_watermark("at", "5 seconds", per="card").filter(sn.col("v") >= 3)),
        3,
    ),
}
REFUSED: dict[str, tuple[Frame, Frame]] = {
    "another key": (old, lambda s: sums(stream(s).filter(sn.col("v") >= 3), "v")),
    "a key more": (old, lambda s: sums(stream(s).filter(sn.col("v") >= 3), "card", "v")),
    "a key computed otherwise": (old, lambda s: sums(stream(s).with_columns(card=sn.col("card").str.to_uppercase()))),
    "a value computed otherwise": (old, lambda s: sums(stream(s).with_columns(v=sn.col("v") * 100))),
    "a value under another name": (old, lambda s: sums(stream(s).drop("v").with_columns(v=sn.lit(1)))),
    "a time computed otherwise": (
        old,
        lambda s: sums(sn.stream(s).with_columns(at=sn.col("at").dt.offset_by("1h")).with_watermark("at", "5 seconds")),
    ),
    "a shorter window": (old, lambda s: sums(stream(s), size="5 seconds")),
    "a longer window": (old, lambda s: sums(stream(s), size="20 seconds")),
    "another aggregate": (old, lambda s: sums(stream(s), n=sn.count(), total=sn.max("v"))),
    "an aggregate more": (old, lambda s: sums(stream(s), n=sn.count(), total=sn.sum("v"), most=sn.max("v"))),
    "an operator more": (old, lambda s: sums(stream(s).drop_duplicates(["at", "card"]))),
    "a group of groups": (old, lambda s: sums(stream(s)).group_by("window_start").agg(most=sn.max("total"))),
    "no group": (old, stream),
    "the same rows twice": (old, lambda s: sums(stream(s).union(stream(s)))),
    "other keys to tell twins by": (
        lambda s: stream(s).drop_duplicates(["at", "card"]),
        lambda s: stream(s).drop_duplicates(["at"]),
    ),
    "twins by a key computed otherwise": (
        lambda s: stream(s).drop_duplicates(["at", "card"]),
        lambda s: stream(s).with_columns(card=sn.col("card").str.to_uppercase()).drop_duplicates(["at", "card"]),
    ),
    "twins for longer": (
        lambda s: stream(s, "20 seconds").drop_duplicates_within_watermark("v"),
        lambda s: stream(s, "1 minute").drop_duplicates_within_watermark("v"),
    ),
    "two operators in another order": (
        lambda s: sums(stream(s).drop_duplicates(["at", "card"])),
        lambda s: sums(stream(s)).drop_duplicates(["window_start", "card"]),
    ),
    "a longer interval": (pairs, lambda s: pairs(s, "20 seconds")),
    "a shorter interval": (pairs, lambda s: pairs(s, "5 seconds")),
    "another join": (pairs, lambda s: pairs(s, how="left")),
    "another gap": (
        lambda s: stream(s).group_by(sn.session_window("at", "10 seconds"), "card").agg(n=sn.count()),
        lambda s: stream(s).group_by(sn.session_window("at", "20 seconds"), "card").agg(n=sn.count()),
    ),
}


def opened(frame: Frame, src: sn.MemorySource, folder: Path | None) -> sn.Query:
    return frame(src).query(checkpoint=folder)


@pytest.fixture(params=["in memory", "across a restart"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return where the query lives; None: in memory."""
    return tmp_path if request.param == "across a restart" else None


def by_hand(src: sn.MemorySource, changed_at: int, before: int, after: int) -> Counter[tuple[Any, ...]]:
    """Return count and sum of each window and card: of the rows that the one filter lets through, then the other."""
    found: dict[tuple[Any, ...], list[int]] = {}
    for number in range(src.latest()):
        for row in src.read(number, number + 1).to_dicts():
            if row["v"] >= (before if number < changed_at else after) and row["at"] < END:
                start = row["at"].replace(second=row["at"].second // 10 * 10)
                found.setdefault((start, row["card"]), []).append(row["v"])
    return Counter((*key, len(values), sum(values)) for key, values in found.items())


@pytest.mark.parametrize(("new", "least"), KEPT.values(), ids=KEPT)
def test_what_is_kept_is_right_by_hand(new: Frame, least: int, folder: Path | None):
    src = source(7)
    query = opened(old, src, folder).run()
    given, read = [row[:5] for row in query.result.to_numpy().tolist()], src.latest()
    if folder is None:
        assert query.evolve(new(src)).rows_read == 0
        query._memory.forget_after(-1)
    else:
        query.stop()
        query = new(src).query(checkpoint=folder, evolve=True)
    feed(src, 9)
    src.add([{"at": END, "card": card, "v": 0} for card in ("ann", "bob")])
    src.add([{"at": END, "card": card, "v": 99} for card in ("ann", "bob")])
    given += [row[:5] for row in query.run().result.to_numpy().tolist()]
    held = Counter((start.to_pydatetime(), card, n, total) for start, _, card, n, total in given)
    assert held == by_hand(src, read, 3, least)
    query.stop()


@pytest.mark.parametrize(("was", "now"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_wrong_is_refused_in_one_line(was: Frame, now: Frame, folder: Path | None):
    src = source(7)
    query = opened(was, src, folder).run()
    if folder is not None:
        query.stop()
    with pytest.raises(sn.PlanError, match="rebuild") as caught:
        _ = query.evolve(now(src)) if folder is None else now(src).query(checkpoint=folder, evolve=True)
    assert caught.value.code == "EVOLVE_STATE"
    assert "\n" not in str(caught.value)
    feed(src, 2)
    again = query if folder is None else opened(was, src, folder)
    assert again.run().status == "done"
    again.stop()


@pytest.mark.parametrize(("was", "now"), REFUSED.values(), ids=REFUSED)
def test_rebuilt_it_is_as_if_it_had_run_from_the_start(was: Frame, now: Frame, folder: Path | None):
    src = source(7)
    query = opened(was, src, folder).run()
    if folder is None:
        query.evolve(now(src), rebuild=True)
    else:
        query.stop()
        query = now(src).query(checkpoint=folder, evolve="rebuild")
    feed(src, 6)
    alone = now(src).query().run()
    given, due = query.run(), list(map(str, alone.result.to_numpy().tolist()))
    assert held(given) == held(alone)
    assert all(str(row) in due for row in given.emitted[-1].to_numpy().tolist())
    query.stop()


def held(query: sn.Query) -> list[str]:
    """Return what a query remembers, as text: some of it is null."""
    return sorted(map(str, query.state.to_numpy().tolist()))


@pytest.mark.parametrize("modes", [("append", "update"), ("update", "append"), ("update", "complete")], ids=str)
def test_groups_held_for_one_output_mode_are_not_another_ones(modes: tuple[str, str], tmp_path: Path):
    src, (was, now) = source(7), modes
    old(src).query(was, checkpoint=tmp_path).run().stop()
    with pytest.raises(sn.PlanError, match=f"it was {was} and is {now}") as caught:
        old(src).query(now, checkpoint=tmp_path)
    assert caught.value.code == "CHECKPOINT_STATE"
    with pytest.raises(sn.PlanError, match=f"for the output mode {was}"):
        old(src).query(now, checkpoint=tmp_path, evolve=True)
    query = old(src).query(now, checkpoint=tmp_path, evolve="rebuild")
    feed(src, 2)
    assert len(query.run().result) > 0


def test_other_columns_of_one_source_are_refused(tmp_path: Path):
    (tmp_path / "a.csv").write_text("k,v\na,1\n")

    def files(**schema: str) -> sn.StreamFrame:
        return sn.from_files(tmp_path, schema=schema)

    query = files(k="string", v="int64").query().run()
    with pytest.raises(sn.PlanError, match="k String, v Int64 here and k String, v Float64") as caught:
        query.evolve(files(k="string", v="float64"))
    assert caught.value.code == "EVOLVE_SOURCES"
    assert query.evolve(files(k="string", v="int64").filter(sn.col("v") > 0)).done


def test_an_order_that_changed_is_told():
    src, wanted = source(3), sn.col("v") > 2
    query = stream(src).filter(wanted).drop_duplicates(["at", "card"]).query().run()
    told = repr(query.evolve(stream(src).drop_duplicates(["at", "card"]).filter(wanted), dry_run=True))
    assert "in another place" in told
    assert "what is remembered is what the old logic let through" in told
