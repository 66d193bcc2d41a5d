"""The named programs with state of one's own, in the words of our two interfaces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.cases.table import Unsayable


def map_groups(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``map_groups`` node."""
    raise Unsayable("not there yet")


def transform_with_state(frame: Any, node: Mapping[str, Any]) -> Any:
    """Return the frame of a ``transform_with_state`` node."""
    raise Unsayable("not there yet")
