"""BokehJS for the browser: once per kernel, from the installed Bokeh, so that the two versions always match."""

from __future__ import annotations

from pathlib import Path

import bokeh
import traitlets

from streamnb.views.widget import Widget, synced

VERSION: str = bokeh.__version__
_FILE = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"


class BokehJS(Widget):
    """The script as one binary value. It has no view: a figure looks it up and runs it, unless the page has it."""

    _esm = "export default {}"
    script = synced(traitlets.Bytes())


_shared: BokehJS | None = None


def bokehjs() -> BokehJS:
    """Return the one holder of this kernel."""
    global _shared
    if _shared is None or _shared.comm is None:
        _shared = BokehJS(script=_FILE.read_bytes())
    return _shared
