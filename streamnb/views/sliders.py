"""Sliders: a param with the widget that sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streamnb.errors import PlanError
from streamnb.params import Param, param

if TYPE_CHECKING:
    from streamnb.params import Value


class Slider(Param):
    """A param that shows itself as a slider."""

    def __init__(self, name: str, least: float, most: float, step: float, unit: str | None = None) -> None:
        super().__init__(name, unit)
        self._range = {"min": least, "max": most, "step": step}
        self._widget: Any = None

    @property
    def widget(self) -> Any:
        """The ipywidget; it and ``set`` follow each other."""
        if self._widget is None:
            self._widget = self._made()
        return self._widget

    def _made(self) -> Any:
        import ipywidgets

        kind = ipywidgets.FloatSlider if isinstance(self.value, float) else ipywidgets.IntSlider
        named = self.param if self.unit is None else f"{self.param}, {self.unit}"
        widget = kind(value=self.value, description=named, continuous_update=False, **self._range)
        widget.observe(lambda change: self.set(change["new"]) if change["new"] != self.value else None, "value")
        self.subscribe(lambda: setattr(widget, "value", self.value))
        return widget

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)  # type: ignore[no-untyped-call]


def slider(
    name: str, default: Value, least: float, most: float, step: float | None = None, *, unit: str | None = None
) -> Slider:
    """Return a param that is set by a slider, which is shown when it is a cell's value.

    Every query with ``name`` in an expression goes by the new value from its next batch on, as with ``sn.param``.
    With a unit it may be the delay of a ``with_watermark``.

    Parameters
    ----------
    name, default, unit
        As of ``sn.param``; a number.
    least, most, step
        The ends of the slider and its step; 1, or a hundredth of the way for a float, if not given.

    State: none. Errors: a PlanError for a default outside. Spark: the value of now, as a literal.

    >>> fee = sn.slider("doc_fee", 25, 0, 100)
    >>> fee.value
    25
    """
    if not isinstance(default, int | float) or not least <= default <= most:
        raise PlanError(
            f"slider: {default!r} is not between {least} and {most}; widen the slider.", code="OPTION_INVALID"
        )
    param(name, default, unit=unit)
    return Slider(name, least, most, step or ((most - least) / 100 if isinstance(default, float) else 1), unit)
