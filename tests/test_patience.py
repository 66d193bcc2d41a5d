"""Patience: who asks, and that nobody is left asking."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from streamnb.patience import asker, asking


def test_who_asks_is_told_within_and_nobody_afterwards():
    outer, inner = threading.Event(), threading.Event()
    with asking(outer):
        with asking(inner):
            assert asker() is inner
        assert asker() is outer
    assert asker() is None


def test_an_interrupt_right_behind_the_first_word_leaves_nobody_asking():
    def strike(frame: Any, event: str, _: Any) -> None:
        if event == "c_return" and frame.f_code.co_name == "asking" and asker() is not None:
            sys.setprofile(None)
            raise KeyboardInterrupt

    def ask() -> None:
        with asking(threading.Event()):
            pytest.fail("it was interrupted before")

    sys.setprofile(strike)
    with pytest.raises(KeyboardInterrupt):
        ask()
    assert asker() is None
