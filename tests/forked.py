"""Processes that a test may kill, each forked from one that has imported all: alone that costs a second or two."""

from __future__ import annotations

import multiprocessing
import sys
import types
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any
from unittest import mock

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.sinks.life"])


def forked(target: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Start a function of a module in a process of its own."""
    process = CONTEXT.Process(target=target, args=arguments)
    with mock.patch.dict(sys.modules, {"__main__": types.ModuleType("__main__")}):  # or each process imports pytest
        process.start()
    return process


def ended(process: BaseProcess, seconds: float) -> int:
    """Wait for the end of a process; return its exit code."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"{process.name} has not ended in {seconds:g} s")
    return process.exitcode
