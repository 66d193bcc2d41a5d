"""Query workbench: a source, chaos switches, an editor, and all the panels of the query that it makes."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from streamnb.errors import StreamnbError
from streamnb.learn.workbench_script import CHAOS, FILE, MODES, ORIGINS, Script
from streamnb.query import Query


class Workbench:
    """A query that is made by choosing and typing; ``query`` is the one that stands now, ``script`` how it was made.

    ``names`` are what its code may use besides ``sn``, ``col``, ``pd`` and ``rows``.
    """

    def __init__(self, names: Mapping[str, Any], typed: str = "") -> None:
        self.script = Script(typed=typed, names=names)
        self.query: Query | None = None
        self.said = ""
        self._dashboard: Any = None
        self._box: Any = None

    # -- what its buttons do

    def run(self) -> None:
        """Make the query, in the place of the one that stands."""
        made = self.script.query()
        self.close()
        self.query, self.said = made, ""

    def export(self) -> None:
        """Say the query as PySpark source."""
        self.said = self.script.pyspark()

    def save(self, path: str) -> None:
        """Save it as a lesson."""
        self.said = f"saved as {self.script.save(path or 'my_lesson.ipynb')}; write its words in JupyterLab."

    def attempt(self, action: Callable[[], None]) -> None:
        """Do something; what fails in the reader's code is said in one line."""
        try:
            action()
        except StreamnbError as error:
            self.said = str(error)
        except FileExistsError as error:
            self.said = f"save: {error.filename} is there already; choose another name."
        except Exception as error:  # noqa: BLE001  whatever the reader's code raises is told, not raised
            self.said = f"your code raises {type(error).__name__}: {error}"
        self._redraw()

    def close(self) -> None:
        """End the query and its panels."""
        if self._dashboard is not None:
            self._dashboard.close()
            self._dashboard = None
        if self.query is not None:
            self.query.stop()

    def __repr__(self) -> str:
        standing = "no query yet" if self.query is None else repr(self.query)
        return "\n".join(filter(None, (f"workbench: {standing}", self.said)))

    def _repr_mimebundle_(self, **_: Any) -> Any:
        self._box = self._box or self._made()
        self.attempt(self.run if self.query is None else self._redraw)
        fallback = {"text/plain": repr(self), "text/html": f"<pre>{html.escape(self.script.text())}</pre>"}
        return self._box._repr_mimebundle_() | fallback

    # -- the widget

    def _made(self) -> Any:
        from ipywidgets import Button, Checkbox, Dropdown, HBox, Layout, Text, Textarea, VBox

        wide = Layout(width="auto")
        self.origin = Dropdown(options=[*ORIGINS, FILE], value=self.script.origin, description="rows", layout=wide)
        self.path = Text(placeholder="in/*.csv", description="files", layout=Layout(display="none"))
        self.mode = Dropdown(options=MODES, value=self.script.mode, description="mode", layout=Layout(width="200px"))
        self.switches = {name: Checkbox(description=name, indent=False, layout=wide) for name in CHAOS}
        code = self.script.typed or self.script.first
        self.editor = Textarea(value=code, rows=5, layout=Layout(width="auto"), continuous_update=False)
        self.editor.add_class("sn-editor")
        self.lesson = Text(value="my_lesson.ipynb", layout=Layout(width="180px"))
        buttons = {
            "run": lambda: self.attempt(self._run_typed),
            "as PySpark": lambda: self.attempt(self._export_typed),
            "save as lesson": lambda: self.attempt(self._save_typed),
        }
        made = [Button(description=name, layout=wide) for name in buttons]
        for button, action in zip(made, buttons.values(), strict=True):
            button.on_click(lambda _, action=action: action())
        self.origin.observe(self._chosen, "value")
        return VBox([
            HBox([self.origin, self.path, self.mode]),
            HBox([*self.switches.values()], layout=Layout(flex_flow="row wrap")),
            self.editor,
            HBox([*made, self.lesson]),
        ])  # fmt: skip

    def _chosen(self, change: Any) -> None:
        """Begin with the first query of another source, unless the reader has typed one of their own."""
        was, self.script = self.script, replace(self.script, origin=change["new"], typed="")
        self.path.layout.display = None if change["new"] == FILE else "none"
        if self.editor.value.strip() in {"", was.first}:
            self.editor.value = self.script.first

    def _typed(self) -> None:
        chaos = frozenset(name for name, switch in self.switches.items() if switch.value)
        self.script = replace(
            self.script, chaos=chaos, typed=self.editor.value, mode=self.mode.value, path=self.path.value
        )

    def _run_typed(self) -> None:
        self._typed()
        self.run()

    def _export_typed(self) -> None:
        self._typed()
        self.export()

    def _save_typed(self) -> None:
        self._typed()
        self.save(self.lesson.value)

    def _redraw(self) -> None:
        if self._box is None:
            return
        from ipywidgets import HTML

        from streamnb.learn.check import Card
        from streamnb.views.display import dashboard_of

        shown = self._box.children[:4]
        if self.said:
            shown = (*shown, HTML(Card("·", "workbench", source=self.said)._repr_html_()))
        if self.query is not None:
            self._dashboard = self._dashboard or dashboard_of(self.query)
            shown = (*shown, self._dashboard.box)
        self._box.children = shown


def workbench(query: str = "") -> Workbench:
    """Open a query workbench: choose rows, what goes wrong on their way and a mode, and type a query over ``rows``.

    All panels of the query stand beneath. It gives the query as PySpark source, and saves it as a lesson to write.
    The variables of the notebook are there for the code; ``.query`` is the query, ``.script.text()`` all of it as code.

    >>> bench = sn.workbench()
    """
    from IPython import get_ipython

    shell: Any = get_ipython()
    return Workbench({} if shell is None else shell.user_ns, query)
