"""Params: values in expressions that are changed while a query runs, and what a batch is given of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import narwhals as nw
from narwhals._expression_parsing import ExprKind, ExprNode

from streamnb.errors import PlanError
from streamnb.time import duration, spell
from streamnb.within import Found, within

Value = bool | int | float | str

_GIVEN: ContextVar[Mapping[str, Any]] = ContextVar("given", default={})  # noqa: B039  never changed
_settings: dict[str, Setting] = {}


@dataclass
class Setting:
    """What a name stands for in this process, how often it was set, and who wants to hear of that."""

    value: Value
    default: Value
    times_set: int = 0
    listeners: list[Callable[[], None]] = field(default_factory=list)
    units: set[str | None] = field(default_factory=set)  # in which it is a delay


def giving(values: Mapping[str, Any], call: Callable[[], Found]) -> Found:
    """Return what a call gives while expressions and rules go by some values, not by those of now."""
    return within(_GIVEN, values, call)


def given(name: str, now: Callable[[], Any]) -> Any:
    """Return what the batch at work is given under a name; what it is ``now`` outside of one."""
    values = _GIVEN.get()
    return values[name] if name in values else now()


class _Node(ExprNode):
    """A literal that is looked up whenever an expression is compiled."""

    def __init__(self, name: str) -> None:
        self.param = name
        super().__init__(ExprKind.LITERAL, "lit")

    @property
    def kwargs(self) -> dict[str, Any]:
        return {"value": value_of(self.param), "dtype": None}

    @kwargs.setter
    def kwargs(self, _: dict[str, Any]) -> None:
        """Nothing to do: the value is looked up."""

    def __repr__(self) -> str:
        return f"param({self.param})"


class Param(nw.Expr):
    """A value by name, made by ``sn.param``: an expression, and the place where it is changed.

    ``value`` is what the next batch goes by, ``set(…)`` changes it.

    >>> limit = sn.param("doc_limit", 60)
    >>> limit.value
    60
    """

    def __init__(self, name: str, unit: str | None = None) -> None:
        super().__init__(_Node(name))
        self.param, self.unit = name, unit

    def _append_node(self, node: ExprNode) -> nw.Expr:  # type: ignore[override]
        return nw.Expr(*self._nodes, node)

    @property
    def value(self) -> Value:
        """What the next batch goes by."""
        return _settings[self.param].value

    def set(self, value: Value) -> None:
        """Have the next batch, of every query that has this name in it, go by another value of the same type."""
        setting = _settings[self.param]
        fitted = _fitted(self.param, value, setting.default)
        for unit in setting.units:
            _time(self.param, fitted, unit)
        setting.value, setting.times_set = fitted, setting.times_set + 1
        for listener in tuple(setting.listeners):
            listener()

    def means_time(self) -> None:
        """Have it be a delay: from now on every value must be one."""
        known = _settings[self.param]
        _time(self.param, known.value, self.unit)
        known.units.add(self.unit)

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after every change."""
        _settings[self.param].listeners.append(listener)

    def __repr__(self) -> str:
        return f"param {self.param} = {self.value!r}"


def param(name: str, default: Value, *, unit: str | None = None) -> Param:
    """Return a value that stands in expressions by name and is changed while a query runs, between batches.

    >>> limit = sn.param("limit", 10)
    >>> limit.set(25)
    >>> limit.value
    25

    What a batch went by is in its trace (``given``) and in the log: a batch that is done again, after a rewind or a
    crash, goes by the same value, until the value is set anew. Asked for again with the same default, a name keeps its
    value; with another default it has that one.

    Parameters
    ----------
    name
        An identifier; the value is one for all queries of this process.
    default
        A bool, a number or a string. What it is set to later is of the same type.
    unit
        Of a number that is the delay of a ``with_watermark``, such as ``"minutes"``; a string names its own.

    State: none. Errors: a PlanError for a value of another type, and where it stands in a key, an aggregate or a join's
    ``where``: put it into a column first. Spark: the value of now, as a literal.
    """
    if not name.isidentifier():
        raise PlanError(f"param: {name!r} is no name; use letters, digits and _.", code="OPTION_INVALID")
    if not isinstance(default, Value):
        raise PlanError(f"param: {default!r} is no bool, number or string; give one.", code="OPTION_INVALID")
    known = _settings.get(name)
    if known is None:
        _settings[name] = Setting(default, default)
    elif known.default != default or type(known.default) is not type(default):
        _check_new_default(name, known, default)
        known.default = known.value = default
        known.times_set += 1
    return Param(name, unit)


def _check_new_default(name: str, known: Setting, default: Value) -> None:
    if known.units and isinstance(default, str) is not isinstance(known.default, str):
        raise PlanError(
            f"param: {name} is a delay and was {known.default!r}, and {default!r} is of another type; "
            "give it another name.",
            code="OPTION_INVALID",
        )
    for unit in known.units:
        _time(name, default, unit)


def time_in(param: Param) -> int:
    """Return the delay (microseconds) that the batch at work goes by."""
    return _time(param.param, value_of(param.param), param.unit)


def _time(name: str, value: Value, unit: str | None) -> int:
    """Return a value as a delay in microseconds, if it is one."""
    if isinstance(value, bool) or (unit is None and not isinstance(value, str)):
        raise PlanError(
            f"with_watermark: the param {name} is {value!r}, and a delay has a unit; give it one, such as "
            f"sn.param({name!r}, {value!r}, unit='minutes'), or a text such as '3 hours'.",
            code="OPTION_INVALID",
        )
    found = duration(value if isinstance(value, str) else f"{value:f} {unit}", "with_watermark", months=True)
    if found < 0:
        raise PlanError(
            f"with_watermark: the param {name} is a delay, and {spell(found)} is negative; wait '0 seconds' or longer.",
            code="DURATION_INVALID",
        )
    return found


def _fitted(name: str, value: Any, default: Value) -> Value:
    """Return a value as the type of the default, if it is one of its kind."""
    if type(value) is type(default):
        fitted: Value = value
        return fitted
    numbers = not isinstance(value, bool | str) and not isinstance(default, bool | str)
    if numbers and hasattr(value, "__float__") and (isinstance(default, float) or float(value).is_integer()):
        return type(default)(value)
    raise PlanError(
        f"param: {name} is {type(default).__name__} and {value!r} is not; set it to one.", code="OPTION_INVALID"
    )


def value_of(name: str) -> Value:
    """Return what the batch at work goes by; what the next one would outside of one."""
    found: Value = given(name, lambda: _settings[name].value)
    return found


def setting(name: str) -> Setting:
    """Return what a name stands for."""
    return _settings[name]


def params_in(value: Any) -> set[str]:
    """Return the names in an expression, or in all that a node is told but its inputs."""
    if isinstance(value, nw.Expr):
        return _in_expression(value)
    if isinstance(value, Mapping):
        return params_in(tuple(value.values()))
    if isinstance(value, list | tuple):
        return set[str]().union(*map(params_in, value))
    if is_dataclass(value) and not isinstance(value, type):
        return set[str]().union(*(params_in(getattr(value, f.name)) for f in fields(value) if f.name != "inputs"))
    return set()


def _in_expression(expression: nw.Expr) -> set[str]:
    found = {node.param for node in expression._nodes if isinstance(node, _Node)}  # noqa: SLF001
    inner = [part for node in expression._nodes for part in node.exprs if isinstance(part, nw.Expr)]  # noqa: SLF001
    return found.union(*map(_in_expression, inner))
