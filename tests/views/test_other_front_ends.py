"""What VS Code and Colab ask of widgets, as far as their documentation says: README tells what falls back there."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest
from ipywidgets.widgets import widget

import streamnb as sn
import streamnb.views
from streamnb.views.dashboard import Dashboard
from streamnb.views.widget import Widget

THEIRS = {"anywidget", "@jupyter-widgets/base", "@jupyter-widgets/controls"}
"""Whose scripts VS Code and Colab bring, or know where to fetch; any other they would ask a CDN for, in vain."""


@pytest.fixture(scope="module")
def scripts() -> dict[str, str]:
    """Return what each kind of widget brings to the browser: its script and its looks."""
    for module in pkgutil.iter_modules(streamnb.views.__path__, "streamnb.views."):
        importlib.import_module(module.name)
    kinds = Widget.__subclasses__()
    kinds += [below for kind in kinds for below in kind.__subclasses__()]
    return {kind.__name__: f"{kind._esm}{getattr(kind, '_css', '')}" for kind in kinds}


def test_widgets_bring_all_that_they_run(scripts):
    asked = r"https?://(?!www\.w3\.org/2000/svg)|^import |\bfetch\(|@import|url\((?!#)"
    assert len(scripts) > 4
    assert [name for name, text in scripts.items() if re.search(asked, text, re.MULTILINE)] == []


def test_widgets_know_nothing_of_the_page_around_them(scripts):
    """Both show outputs in frames of their own, without JupyterLab's application."""
    around = r"jupyterapp|\bJupyter\.|\brequirejs|\bserviceWorker|\blocalStorage|\bparent\."
    assert [name for name, text in scripts.items() if re.search(around, text)] == []


def test_a_dashboard_is_made_of_anywidgets_and_of_what_ipywidgets_brings():
    source = sn.MemorySource({"at": "datetime", "v": "int64"})
    source.add([{"at": "2024-01-01 09:00:00", "v": 1}])
    query = sn.stream(source).with_watermark("at", "1 minute").query(name="test-front-ends").run()
    before = set(widget._instances)
    shown = Dashboard(query)
    made = [one for name, one in widget._instances.items() if name not in before]
    assert {module for one in made for module in (one._model_module, one._view_module) if module} == THEIRS
    shown.close()
    query.stop()
