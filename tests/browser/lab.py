"""JupyterLab as a user starts it, and a notebook in it as a user sees it."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Self

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Playwright, ViewportSize

HERE = Path(__file__).parent
ARTIFACTS = HERE / "artifacts"
ARTIFACTS.mkdir(exist_ok=True)
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-renderer-backgrounding",
    "--disable-sync",
)
FOLDERS = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    "IPYTHONDIR": "ipython",
}

LOADED = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.context;
  return Boolean(context?.isReady) && !document.getElementById("jupyterlab-splash");
}"""
IDLE = """() => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel;
  return kernel?.status === "idle" && kernel.connectionStatus === "connected";
}"""
ACTIVATE = """i => {
  const notebook = window.jupyterapp.shell.currentWidget.content;
  notebook.activeCellIndex = i;
  notebook.deselectAll();
}"""
THEME = """name =>
  document.body.dataset.jpThemeName === name && !document.getElementById("jupyterlab-splash")"""
COMMAND = """([name, args, seconds]) => Promise.race([
  window.jupyterapp.commands.execute(name, args).then(() => null),
  new Promise((_, no) => setTimeout(() => no(new Error(`${name}: not done after ${seconds} s`)), seconds * 1000)),
])"""
OUTPUTS = "i => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs?.toJSON() ?? []"


class Lab:
    """A running ``streamnb lab``, with folders of its own and none of the user's settings.

    ``notebooks`` is the folder it serves, where the course lies too; ``log`` is what it said. ``program`` starts
    another JupyterLab, on ``notebooks``, whose folder in its file browser is ``folder``.
    """

    def __init__(
        self, root: Path, program: Sequence[str] = (), notebooks: Path | None = None, folder: str = ""
    ) -> None:
        self.notebooks = notebooks or root / "notebooks"
        self._program = program
        self._folder = folder
        self.log = root / "lab.log"
        self.token = secrets.token_hex(16)
        self.port = _free_port()
        self._address = f"http://127.0.0.1:{self.port}"
        self._own = root / "jupyter"
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command(),
            env=os.environ | {name: str(self._own / folder) for name, folder in FOLDERS.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        if not self._ready.wait(120) or self._process.poll() is not None:
            self.__exit__()
            raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-3000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)

    def write(self, name: str, cells: Sequence[str]) -> str:
        """Save a notebook of these code cells and return its name."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.notebooks / name)
        return name

    def url(self, name: str) -> str:
        """Return where a user finds the notebook, in a workspace without earlier tabs."""
        return f"{self._address}/lab/tree/{self._folder}{name}?reset&token={self.token}"

    def end_kernels(self) -> None:
        """End every kernel, and with it whatever still plays."""
        for kernel in json.loads(self._ask("GET", "/api/kernels")):
            self._ask("DELETE", f"/api/kernels/{kernel['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        request = urllib.request.Request(f"{self._address}{path}", method=method, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  (our own server)
            body: bytes = answer.read()
            return body

    def _command(self) -> list[str]:
        return [
            *(self._program or (sys.executable, "-m", "streamnb", "lab", str(self.notebooks))),
            "--no-browser",
            *("--port", str(self.port), "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"),
            "--LabApp.expose_app_in_browser=True",
        ]

    def _read(self, output: IO[str]) -> None:
        """Keep what JupyterLab says; it is ready when it names its address, and dead when it says no more."""
        with self.log.open("w") as log:
            for line in output:
                log.write(line)
                log.flush()
                if "is running at:" in line:
                    self._ready.set()
        self._ready.set()


class Notebook:
    """One notebook, open in a window of its own. ``errors`` holds what the browser's console complained about."""

    def __init__(self, lab: Lab, browser: Browser, *, width: int = 1400, height: int = 1000, scale: float = 1) -> None:
        self.lab = lab
        self.errors: list[str] = []
        size: ViewportSize = {"width": width, "height": height}
        self.context = browser.new_context(viewport=size, device_scale_factor=scale)
        self.context.add_init_script(path=HERE / "probe.js")
        self.page = self.context.new_page()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, name: str, *, seconds: float = 120) -> Self:
        """Open the notebook ``name`` and wait until its kernel is idle."""
        self.page.goto(self.lab.url(name), wait_until="domcontentloaded")
        self.page.wait_for_function(LOADED, timeout=seconds * 1000)
        self.page.wait_for_function(IDLE, timeout=seconds * 1000)
        return self

    def run_cell(self, i: int, *, seconds: float = 120) -> None:
        """Run cell ``i`` and wait until the kernel has answered."""
        self.page.evaluate(ACTIVATE, i)
        self.command("notebook:run-cell", seconds=seconds)

    def run_all(self, *, seconds: float = 300) -> None:
        """Run every cell, as the menu does, and wait for the last."""
        self.command("notebook:run-all-cells", seconds=seconds)

    def command(self, name: str, *, seconds: float = 60, **args: Any) -> None:
        """Run one of JupyterLab's commands and wait for its end."""
        self.page.evaluate(COMMAND, [name, args, seconds])

    def save(self) -> None:
        """Save the notebook, outputs included."""
        self.command("docmanager:save")

    def outputs(self, i: int) -> list[dict[str, Any]]:
        """Return the outputs of cell ``i`` as the notebook's file will hold them."""
        outputs: list[dict[str, Any]] = self.page.evaluate(OUTPUTS, i)
        return outputs

    def cell(self, i: int) -> Locator:
        """Return cell ``i``, in view."""
        self.page.evaluate("i => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)", i)
        return self.page.locator(f'.jp-Notebook:visible .jp-Cell[data-windowed-list-index="{i}"]')

    def set_theme(self, name: str) -> None:
        """Change to ``"JupyterLab Light"`` or ``"JupyterLab Dark"`` and wait until the page has."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function(THEME, arg=name)

    def texts(self) -> list[str]:
        """Return the texts that stand on canvases now, such as axis labels and ``watermark 10:31``."""
        texts: list[str] = self.page.evaluate("() => window.streamnbProbe.texts()")
        return texts

    def wait_for_text(self, text: str, *, seconds: float = 30) -> None:
        """Wait until ``text`` is part of something painted on a canvas."""
        self.page.wait_for_function(
            "text => window.streamnbProbe.texts().some(painted => painted.includes(text))",
            arg=text,
            timeout=seconds * 1000,
        )

    def first_painted(self) -> dict[str, int]:
        """Return when each text was first painted on a canvas, in milliseconds since 1970."""
        times: dict[str, int] = self.page.evaluate("() => window.streamnbProbe.firstPainted")
        return times

    def shapes(self) -> int:
        """Return how many fills and strokes stand on canvases now; a figure with one mark more has more of them."""
        shapes: int = self.page.evaluate("() => window.streamnbProbe.shapes()")
        return shapes

    def counts(self) -> dict[str, int]:
        """Return how often each canvas method was called so far, and messages and bytes over websockets."""
        counts: dict[str, int] = self.page.evaluate("() => window.streamnbProbe.counts")
        return counts

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the window among the artefacts and return where."""
        path = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the window; the kernel goes on, as for a user."""
        self.context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")


def launch(playwright: Playwright, program: str) -> Browser:
    """Start Chromium without a window and without asking anything from outside."""
    return playwright.chromium.launch(executable_path=program, args=list(FLAGS))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
