"""One palette for every picture: roles instead of colours, so that light and dark are one drawing."""

from __future__ import annotations

from collections.abc import Mapping

PALETTE: dict[str, dict[str, str]] = {
    "light": {
        "ground": "#ffffff",
        "ink": "#1f2328",
        "muted": "#646b73",
        "faint": "#dfe3e8",
        "strip": "#f5f6f8",
        "now": "#1f2328",
        "ontime": "#234fe4",
        "ontime_text": "#234fe4",
        "late": "#cc7c2c",
        "late_text": "#9a5a17",
        "dropped": "#b72a42",
        "dropped_text": "#b72a42",
        "closed": "#b72a42",
        "watermark": "#19a186",
        "watermark_text": "#0f7a65",
        "second": "#997bc0",
        "second_text": "#7656a5",
        "deep": "#111111",
    },
    "dark": {
        "ground": "#111111",
        "ink": "#e8eaed",
        "muted": "#9aa3ad",
        "faint": "#343a41",
        "strip": "#191b1e",
        "now": "#e8eaed",
        "ontime": "#99dffe",
        "ontime_text": "#99dffe",
        "late": "#ffd775",
        "late_text": "#ffd775",
        "dropped": "#f85a2e",
        "dropped_text": "#f85a2e",
        "closed": "#f85a2e",
        "watermark": "#41aaa0",
        "watermark_text": "#4fc3b7",
        "second": "#c97bf8",
        "second_text": "#c97bf8",
        "deep": "#111111",
    },
}
"""Colour of every role by theme. Marks differ to colour-blind eyes too; words take the ``_text`` role."""

FONT = "Inter, 'Noto Sans KR', system-ui, sans-serif"

_settings = {"motion": True}


def css_variables() -> str:
    """Return CSS that offers every role as ``--sn-<role>`` inside ``.sn``, in the theme of the page around it."""
    light, dark = (_declarations(PALETTE[theme]) for theme in ("light", "dark"))
    return (
        f".sn {{ {light} }}\n"
        f"body[data-jp-theme-light='false'] .sn, body.vscode-dark .sn {{ {dark} }}\n"
        "@media (prefers-color-scheme: dark) {"
        f" body:not([data-jp-theme-light]):not(.vscode-light) .sn {{ {dark} }} }}\n"
    )


def _declarations(palette: Mapping[str, str]) -> str:
    return " ".join(f"--sn-{role.replace('_', '-')}: {colour};" for role, colour in palette.items())


def set_motion(on: bool) -> None:  # noqa: FBT001
    """Say whether pictures may move between two states; ``False`` cuts to the end state."""
    _settings["motion"] = bool(on)


def motion() -> bool:
    """Return whether pictures may move."""
    return _settings["motion"]
