"""Patience: who asks, and that nobody is left asking."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

from streamnb.patience import asker, asking


def test_who_asks_is_told_within_and_nobody_afterwards():
    outer, inner = threading.Event(), threading.Event()
    assert asking(outer, lambda: (asking(inner, asker), asker())) == (inner, outer)
    assert asker() is None


@pytest.mark.parametrize("event", ["call", "return", "c_call", "c_return"])
@pytest.mark.parametrize("number", range(8))
def test_an_interrupt_anywhere_leaves_nobody_asking(event: str, number: int):
    seen, here = 0, sys._getframe()

    def strike(frame: Any, what: str, _argument: Any) -> None:
        nonlocal seen
        seen += what == event and frame is not here
        if seen > number and frame is not here:
            sys.setprofile(None)
            raise KeyboardInterrupt

    def ask() -> None:
        asking(threading.Event(), lambda: len([1]))

    sys.setprofile(strike)
    try:
        ask()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    assert asker() is None
