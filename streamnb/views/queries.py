"""Queries: all that run in this kernel as a table that follows them, with buttons."""

from __future__ import annotations

import threading
from html import escape
from typing import TYPE_CHECKING, Any

from streamnb import registry
from streamnb.views.pacer import Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streamnb.query import Query

COLUMNS = ("name", "state", "batches", "rows/s", "watermark", "lag", "error")
_FAILED = "color:var(--jp-error-color1, #d32f2f)"
_WIDTHS = "minmax(8em, 1fr) 4.5em 4.5em 4.5em minmax(5em, 8em) 6em 15.5em"


def told(query: Query) -> tuple[str, ...]:
    """Return what the table says of a query, by column."""
    from streamnb.views.controls import numbers

    by = {number.label: number.text for number in numbers(query, len(query.trace) - 1)}
    failed = query.exception
    error = "" if failed is None else f"{type(failed).__name__}: {failed}"
    return (
        query.name,
        query.status,
        f"{query.let_go + len(query.trace):,}",
        by["rows/s"],
        by["watermark"],
        by["lag"],
        error,
    )


class Queries(list["Query"]):
    """The queries of this kernel that have not been stopped; as a cell's value a table that follows them."""

    def __repr__(self) -> str:
        rows = [COLUMNS, *map(told, self)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines) if len(self) else "no query runs in this kernel"

    def _repr_html_(self) -> str:
        head = "".join(f"<th style='text-align:left'>{name}</th>" for name in COLUMNS)
        rows = "".join(f"<tr>{_cells(told(query))}</tr>" for query in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    def _repr_mimebundle_(self, **_: Any) -> Any:
        bundle = Board().box._repr_mimebundle_()
        data = dict(bundle[0] if isinstance(bundle, tuple) else bundle)
        return data | {"text/plain": repr(self), "text/html": self._repr_html_()}


def _cells(row: tuple[str, ...]) -> str:
    return "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in row)


def queries() -> Queries:
    """Return the queries of this process that have not been stopped, oldest first.

    As a cell's value it is a live table: name, state, batches, rows a second, watermark, how far that lags behind, and
    what a query failed with; each row with buttons to play or pause the query, to stop it, and to open its dashboard
    below. A list otherwise.

    >>> query in sn.queries()
    True
    """
    return Queries(registry.queries())


class Board:
    """The live table: a row of widgets a query, written anew at the reader's pace. The newest one follows."""

    _newest: Board | None = None

    def __init__(self) -> None:
        import ipywidgets

        if Board._newest is not None:
            Board._newest.close()
        Board._newest = self
        self._rows: dict[int, _Row] = {}
        self._lock = threading.Lock()
        self._listed, self._below = ipywidgets.VBox(), ipywidgets.VBox()
        self.box = ipywidgets.VBox([self._listed, self._below])
        self._pacer = Pacer("all queries", self._draw, lambda: None, lambda: True)
        self._unwatch = registry.watch(self._pacer.mark)
        self._draw(0.0)

    def _draw(self, _: float) -> bool:
        """Write what has changed; a query that was made or stopped meanwhile comes or goes."""
        with self._lock:
            self._list(registry.queries())
            for row in self._rows.values():
                row.write()
        return True

    def _list(self, alive: Sequence[Query]) -> None:
        if [id(query) for query in alive] != list(self._rows):
            for row in self._rows.values():
                row.close()
            self._rows = {id(query): _Row(query, self._pacer.mark, self._open) for query in alive}
            self._listed.children = (_heading(), *(row.box for row in self._rows.values()))

    def _open(self, query: Query) -> None:
        """Show the dashboard of a query below, or take it away again."""
        from streamnb.views.display import dashboard_of

        box = dashboard_of(query).box
        self._below.children = () if box in self._below.children else (box,)

    def close(self) -> None:
        """Follow no longer; the table stays as it is."""
        self._pacer.stop()
        self._unwatch()
        for row in self._rows.values():
            row.close()


class _Row:
    """One query: its cells, and its buttons."""

    def __init__(self, query: Query, changed: Callable[[], None], open_: Callable[[Query], None]) -> None:
        import ipywidgets

        self.query = query
        self._cells = [ipywidgets.HTML() for _ in COLUMNS[:-1]]
        self._error = ipywidgets.HTML()
        self._play = _button("play", lambda: query.post("pause" if query.playing else "play"))
        buttons = [self._play, _button("stop", lambda: query.post("stop")), _button("open", lambda: open_(query))]
        line = ipywidgets.GridBox([*self._cells, ipywidgets.HBox(buttons)], layout=_layout())
        self.box = ipywidgets.VBox([line, self._error])
        self._unsubscribe = query.subscribe(changed)

    def write(self) -> None:
        """Say how the query stands."""
        *texts, error = map(escape, told(self.query))
        state = f"<span style='{_FAILED}'>{texts[1]}</span>" if error else texts[1]
        said = f"<div style='{_FAILED};line-height:1.4;padding-bottom:.6em'>{error}</div>" if error else ""
        for widget, text in zip([*self._cells, self._error], [texts[0], state, *texts[2:], said], strict=True):
            if widget.value != text:
                widget.value = text
        self._error.layout.display = None if error else "none"
        self._play.description = "pause" if self.query.playing else "play"

    def close(self) -> None:
        self._unsubscribe()


def _button(label: str, pressed: Callable[[], None]) -> Any:
    import ipywidgets

    button = ipywidgets.Button(description=label, layout=ipywidgets.Layout(width="5em", padding="0"))
    button.on_click(lambda _: pressed())
    return button


def _heading() -> Any:
    import ipywidgets

    names = (*COLUMNS[:-1], "")
    return ipywidgets.GridBox([ipywidgets.HTML(f"<b>{name}</b>") for name in names], layout=_layout())


def _layout() -> Any:
    import ipywidgets

    return ipywidgets.Layout(grid_template_columns=_WIDTHS, grid_gap="0 .5em", width="100%")
