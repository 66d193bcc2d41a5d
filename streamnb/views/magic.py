"""%%stream_sql: a SELECT as a cell, over the frames of the notebook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.magic_arguments import MagicArgumentParser

from streamnb.frame import StreamFrame
from streamnb.sql import sql, table_names

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from streamnb.query import Query


def load(shell: InteractiveShell) -> None:
    """Give a shell the cell magic."""
    magic: Any = stream_sql(shell)
    shell.register_magic_function(magic, "cell", "stream_sql")


def stream_sql(shell: InteractiveShell) -> Callable[[str, str], StreamFrame | Query | None]:
    """Return the magic of a shell."""
    parser: Any = MagicArgumentParser("stream_sql")  # type: ignore[no-untyped-call]
    parser.add_argument("name", nargs="?", help="the variable to assign; without it the result is displayed")
    parser.add_argument("--mode", choices=("append", "update", "complete"), help="open a query in this output mode")

    def run(line: str, cell: str) -> StreamFrame | Query | None:
        """Write a SELECT over the frames of the notebook: ``%%stream_sql [name] [--mode update]``.

        The result is a frame: assigned to ``name``, or displayed. With ``--mode`` it is a query of that frame, open and
        standing still; it is displayed in any case.
        """
        given = parser.parse_argstring(line)
        frame = sql(cell, **tables(cell, shell.user_ns))
        result = frame if given.mode is None else frame.query(given.mode, **_named(given.name))
        if given.name is not None:
            shell.user_ns[given.name] = result
        return None if result is frame and given.name is not None else result

    return run


def _named(name: str | None) -> dict[str, str]:
    return {} if name is None else {"name": name}


def tables(query: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a query reads among some variables, and all other frames there, to be named if one is missing."""
    frames = {name: value for name, value in names.items() if isinstance(value, StreamFrame) and name[0] != "_"}
    return frames | {name: names[name] for name in table_names(query) if name in names}
