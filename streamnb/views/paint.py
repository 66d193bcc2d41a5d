"""Paint: the colours of roles on Bokeh's models."""

from __future__ import annotations

from typing import TypeVar

from bokeh.core.properties import DataSpec, value
from bokeh.model import Model

from streamnb.views.theme import PALETTE

AnyModel = TypeVar("AnyModel", bound=Model)


def paint(model: AnyModel, **roles: str) -> AnyModel:
    """Give properties of ``model`` the colour of a role, now in light and later in whatever theme the reader has.

    The pairs are kept in ``model.tags``, so they reach the browser with the figure. A glyph's property is set as a
    value, never as the name of a column.

    Raises
    ------
    KeyError
        A role that is not in the palette.
    """
    for name, role in roles.items():
        _set_colour(model, name, PALETTE["light"][role])
    model.tags = [*model.tags, {"paint": roles}]
    return model


def _set_colour(model: Model, name: str, colour: str) -> None:
    is_spec = isinstance(model.lookup(name).property, DataSpec)
    setattr(model, name, value(colour) if is_spec else colour)


def roles(root: Model) -> list[tuple[str, str, str]]:
    """Return (model id, property, role) for everything painted in ``root`` and below."""
    return [
        (model.id, name, role)
        for model in root.references()
        for tag in model.tags
        if isinstance(tag, dict)
        for name, role in tag.get("paint", {}).items()
    ]
