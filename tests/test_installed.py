"""What ``streamnb doctor`` finds, and what it tells to type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import streamnb
from streamnb import installed


def told(name: str) -> str:
    return dict(installed.findings())[name]


def told_elsewhere(name: str, *before: Path) -> str:
    """Return what a Python that looks into some folders first is told."""
    path = os.pathsep.join(map(str, [*before, Path(streamnb.__file__).parents[1]]))
    code = f"from streamnb import installed; print(dict(installed.findings())[{name!r}])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_here_nothing_is_missing():
    found = dict(installed.findings())
    assert found["streamnb"] == streamnb.__version__
    assert {"python", "polars", "jupyterlab", "pyspark", "confluent-kafka", "deltalake", "river"} <= found.keys()
    assert [f"{name} {finding}" for name, finding in found.items() if "type" in finding] == []
    assert Path(found["kernel"]).parent == Path(sys.executable).parent


def test_bokeh_in_python_and_in_the_browser_are_one_version():
    assert told("bokeh").endswith(", and BokehJS is the same")


def test_another_bokehjs_is_told(tmp_path: Path):
    script = tmp_path / "bokeh" / "server" / "static" / "js" / "bokeh.min.js"
    script.parent.mkdir(parents=True)
    script.write_text('e.version="2.4.3"')
    (tmp_path / "bokeh" / "__init__.py").write_text("")
    said = "but BokehJS is 2.4.3; type pip install --force-reinstall bokeh"
    assert told_elsewhere("bokeh", tmp_path).endswith(said)


def test_a_version_that_streamnb_is_not_made_for_is_told(tmp_path: Path):
    (tmp_path / "pandas-1.5.3.dist-info").mkdir()
    (tmp_path / "pandas-1.5.3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: pandas\nVersion: 1.5.3\n"
    )
    said = "1.5.3, and streamnb is made for <4,>=2.2.3; type pip install 'pandas<4,>=2.2.3'"
    assert told_elsewhere("pandas", tmp_path) == said


@pytest.mark.parametrize(
    ("version", "words"),
    [(None, "missing, needed only for running on Spark"), (11, "11, too old for Spark"), (17, "17")],
)
def test_whether_java_will_do(version: int | None, words: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(installed, "java_version", lambda: version)
    assert told("java").startswith(words)
    assert ("apt-get install" in told("java")) is (version != 17)


def test_which_scripts_show_widgets_in_jupyterlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    assert told("widgets").startswith("@jupyter-widgets/jupyterlab-manager ")
    assert ", anywidget " in told("widgets")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "own"))
    for folders in ("ENV_JUPYTER_PATH", "SYSTEM_JUPYTER_PATH"):
        monkeypatch.setattr(f"jupyter_core.paths.{folders}", [str(tmp_path)])
    assert told("widgets").startswith("@jupyter-widgets/jupyterlab-manager is missing in ")
    assert told("widgets").endswith("; type pip install --force-reinstall jupyterlab-widgets")


def test_a_kernel_in_another_python_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "kernels" / "python3").mkdir(parents=True)
    other = tmp_path / "python"
    other.write_text("")
    spec = {"argv": [str(other), "-m", "ipykernel"], "display_name": "Python 3"}
    (tmp_path / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert told("kernel") == f"{other}, which is another Python; type python -m ipykernel install --sys-prefix"
