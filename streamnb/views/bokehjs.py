"""BokehJS for the browser: once per kernel, from the installed Bokeh, so that the two versions always match."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import bokeh
import traitlets

from streamnb.views.widget import Widget, synced

VERSION: str = bokeh.__version__
_FILE = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"


class BokehJS(Widget):
    """The script as one binary value. It has no view: a figure looks it up and runs it, unless the page has it."""

    _esm = "export default {}"
    script = synced(traitlets.Bytes())

    _one: ClassVar[BokehJS | None] = None

    @classmethod
    def shared(cls) -> BokehJS:
        """Return the one holder of this kernel."""
        if cls._one is None or cls._one.comm is None:
            cls._one = cls(script=_FILE.read_bytes())
        return cls._one
