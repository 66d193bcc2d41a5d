"""Player: one thread that ticks, and runs what is posted to it."""

from __future__ import annotations

import threading

import pytest

from streamnb.player import Player

SOON = 20.0


class Ticks:
    """Counts ticks; `reach(n)` waits until there were n."""

    def __init__(self) -> None:
        self.count, self._more = 0, threading.Condition()

    def __call__(self) -> None:
        with self._more:
            self.count += 1
            self._more.notify_all()

    def reach(self, count: int) -> bool:
        with self._more:
            return self._more.wait_for(lambda: self.count >= count, SOON)


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def player(ticks: Ticks):
    player = Player("test", ticks)
    yield player
    player.close()


def done_in(player: Player) -> bool:
    """Return whether a posted command is run."""
    done = threading.Event()
    player.post(done.set)
    return done.wait(SOON)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "streamnb test"]


def test_no_thread_before_there_is_anything_to_do(player: Player) -> None:
    assert not player.playing
    assert threads() == []


def test_it_ticks_while_it_plays(player: Player, ticks: Ticks) -> None:
    player.play(0.0)
    assert player.playing
    assert ticks.reach(5)


def test_a_pause_ends_the_ticks_and_not_the_commands(player: Player, ticks: Ticks) -> None:
    player.play(0.0)
    assert ticks.reach(1)
    player.pause()
    assert done_in(player)
    seen = ticks.count
    assert done_in(player)
    assert done_in(player)
    assert ticks.count == seen
    assert not player.playing


def test_commands_are_run_while_it_waits_for_the_next_tick(player: Player, ticks: Ticks) -> None:
    player.play(1000.0)
    assert ticks.reach(1)
    assert done_in(player)
    assert ticks.count == 1


def test_a_new_speed_counts_at_once(player: Player, ticks: Ticks) -> None:
    player.play(1000.0)
    assert ticks.reach(1)
    player.play(0.0)
    assert ticks.reach(3)


def test_commands_are_run_in_order_in_one_thread(player: Player) -> None:
    seen: list[tuple[int, str]] = []
    for i in range(20):
        player.post(lambda i=i: seen.append((i, threading.current_thread().name)))  # type: ignore[misc]
    assert done_in(player)
    assert seen == [(i, "streamnb test") for i in range(20)]


def test_closing_ends_the_thread(player: Player, ticks: Ticks) -> None:
    player.play(0.0)
    assert ticks.reach(1)
    player.close()
    assert threads() == []
    assert not player.playing


def test_it_can_be_closed_from_within_and_twice(player: Player) -> None:
    player.post(player.close)
    assert player.ended.wait(SOON)
    player.close()
    assert threads() == []


def test_after_closing_nothing_is_started(player: Player) -> None:
    player.close()
    player.play(0.0)
    assert threads() == []
    assert not player.playing


def test_a_failure_wakes_those_who_wait_for_the_end(player: Player, ticks: Ticks) -> None:
    player.play(0.0)
    assert ticks.reach(1)
    player.fail()
    assert player.ended.wait(SOON)
    assert not player.playing
    assert done_in(player)
