"""Code: what answers like Spark's columns and frames do, and writes down what it was asked, as Python source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 88
_UNARY, _PRODUCT, _SUM, _AND, _OR, _COMPARED = 7, 6, 5, 4, 3, 2
_ATOM = 9


class Code:
    """A piece of source. Attributes, calls and operators give longer pieces."""

    level = _ATOM

    def flat(self) -> str:
        """Return it on one line."""
        raise NotImplementedError

    def lines(self, width: int) -> list[str]:
        """Return it on as few lines of a width as it takes, broken as ruff and black break."""
        flat = self.flat()
        return [flat] if len(flat) <= width else self.broken(width)

    def broken(self, width: int) -> list[str]:
        """Return it on several lines."""
        return [self.flat()]

    def within(self, level: int) -> str:
        """Return it as an operand of an operator that binds so tightly."""
        return self.flat() if self.level >= level else f"({self.flat()})"

    def __getattr__(self, name: str) -> Chain:
        if name.startswith("_"):
            raise AttributeError(name)
        return Chain(self, ((name, None),))

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Code:
        return _two("+", self, other, _SUM)

    def __radd__(self, other: Any) -> Code:
        return _two("+", other, self, _SUM)

    def __sub__(self, other: Any) -> Code:
        return _two("-", self, other, _SUM)

    def __rsub__(self, other: Any) -> Code:
        return _two("-", other, self, _SUM)

    def __mul__(self, other: Any) -> Code:
        return _two("*", self, other, _PRODUCT)

    def __rmul__(self, other: Any) -> Code:
        return _two("*", other, self, _PRODUCT)

    def __truediv__(self, other: Any) -> Code:
        return _two("/", self, other, _PRODUCT)

    def __mod__(self, other: Any) -> Code:
        return _two("%", self, other, _PRODUCT)

    def __and__(self, other: Any) -> Code:
        return _two("&", self, other, _AND)

    def __or__(self, other: Any) -> Code:
        return _two("|", self, other, _OR)

    def __eq__(self, other: object) -> Code:  # type: ignore[override]
        return _two("==", self, other, _COMPARED)

    def __ne__(self, other: object) -> Code:  # type: ignore[override]
        return _two("!=", self, other, _COMPARED)

    def __lt__(self, other: Any) -> Code:
        return _two("<", self, other, _COMPARED)

    def __le__(self, other: Any) -> Code:
        return _two("<=", self, other, _COMPARED)

    def __gt__(self, other: Any) -> Code:
        return _two(">", self, other, _COMPARED)

    def __ge__(self, other: Any) -> Code:
        return _two(">=", self, other, _COMPARED)

    def __invert__(self) -> Code:
        return Text(f"~{self.within(_UNARY)}", _UNARY)

    def __neg__(self) -> Code:
        return Text(f"-{self.within(_UNARY)}", _UNARY)


def code(value: Any) -> Code:
    """Return a value as source."""
    if isinstance(value, Code):
        return value
    if isinstance(value, Mapping):
        return Items("{", [Pair(f"{code(k).flat()}: ", code(v)) for k, v in value.items()], "}")
    if isinstance(value, list | tuple):
        return Items("[", [code(item) for item in value], "]")
    return Text(_string(value) if isinstance(value, str) else repr(value))


def _string(value: str) -> str:
    text = repr(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def _two(sign: str, left: Any, right: Any, level: int) -> Code:
    sides = code(left), code(right)
    bare = [side.literal if isinstance(side, Chain) and side.literal else side for side in sides]
    other = [isinstance(b, Text) and b is not s for b, s in zip(bare, sides, strict=True)]
    return Operation(sign, sides[0] if all(other) else bare[0], bare[1], level)


@dataclass(eq=False)
class Text(Code):
    """A name or a value."""

    text: str
    level: int = _ATOM

    def flat(self) -> str:
        return self.text


@dataclass(eq=False)
class Operation(Code):
    """Two sides and an operator."""

    sign: str
    left: Code
    right: Code
    level: int

    def flat(self) -> str:
        return f"{self.left.within(self._left_level)} {self.sign} {self.right.within(self.level + 1)}"

    @property
    def _left_level(self) -> int:
        return self.level + (self.level == _COMPARED)

    def broken(self, width: int) -> list[str]:
        left = _in_brackets(self.left, self._left_level, width)
        right = _in_brackets(self.right, self.level + 1, width - len(self.sign) - 1)
        return [*left, f"{self.sign} {right[0]}", *right[1:]]


def _in_brackets(side: Code, level: int, width: int) -> list[str]:
    if side.level >= level:
        return side.lines(width)
    flat = side.within(level)
    return [flat] if len(flat) <= width else ["(", *_indented(side.lines(width - 4)), ")"]


@dataclass(eq=False)
class Pair(Code):
    """A value with what stands before it: a keyword, or a key."""

    before: str
    value: Code

    def flat(self) -> str:
        return self.before + self.value.flat()

    def broken(self, width: int) -> list[str]:
        first, *rest = self.value.lines(width - len(self.before))
        return [self.before + first, *rest]


@dataclass(eq=False)
class Items(Code):
    """Things in brackets."""

    opening: str
    items: Sequence[Code]
    closing: str

    def flat(self) -> str:
        return f"{self.opening}{', '.join(item.flat() for item in self.items)}{self.closing}"

    def broken(self, width: int) -> list[str]:
        inside = ", ".join(item.flat() for item in self.items)
        if not self.items:
            return [self.flat()]
        if len(inside) <= width - 4 and self.opening.endswith("("):
            return [self.opening, f"    {inside}", self.closing]
        return [self.opening, *_indented(self._one_a_line(width - 4)), self.closing]

    def _one_a_line(self, width: int) -> list[str]:
        comma = "" if len(self.items) == 1 and isinstance(self.items[0], Operation) else ","
        found = []
        for item in self.items:
            *before, last = item.lines(width - 1)
            found += [*before, last + comma]
        return found


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


@dataclass(eq=False)
class Chain(Code):
    """A head, and attributes and calls one after another."""

    head: Code
    parts: tuple[tuple[str, Items | None], ...] = field(default_factory=tuple)

    def __getattr__(self, name: str) -> Chain:
        if name.startswith("_"):
            raise AttributeError(name)
        return Chain(self.head, (*self.parts, (name, None)))

    def __call__(self, *given: Any, **named: Any) -> Chain:
        """Call the last attribute."""
        arguments = [*map(code, given), *(Pair(f"{name}=", code(value)) for name, value in named.items())]
        return Chain(self.head, (*self.parts[:-1], (self.parts[-1][0], Items("(", arguments, ")"))))

    @property
    def literal(self) -> Code | None:
        """The value of ``F.lit(value)``, which needs no wrapping beside a column."""
        if self.head.flat() != "F" or len(self.parts) != 1 or self.parts[0][0] != "lit" or self.parts[0][1] is None:
            return None
        return self.parts[0][1].items[0]

    def flat(self) -> str:
        return self.head.within(_ATOM) + "".join(map(_part, self.parts))

    @property
    def calls(self) -> list[int]:
        """The numbers of the parts that are calls."""
        return [n for n, (_, arguments) in enumerate(self.parts) if arguments is not None]

    @property
    def fluent(self) -> bool:
        """Whether it is broken before its dots."""
        return len(self.calls) > 2

    def broken(self, width: int) -> list[str]:
        return self._fluent(width) if self.fluent else self._in_a_call(width)

    def _fluent(self, width: int) -> list[str]:
        first = self.calls[0]
        lines = self._call("", Chain(self.head, self.parts[: first + 1]), width)
        for part in self.parts[first + 1 :]:
            lines += self._call("", Chain(Text(""), (part,)), width)
        return lines

    def _call(self, before: str, call: Chain, width: int) -> list[str]:
        return [call.flat()] if len(call.flat()) <= width else call._in_a_call(width)

    def _in_a_call(self, width: int) -> list[str]:
        """Break the arguments of the last call that can begin on this line."""
        for n in reversed(self.calls):
            name, arguments = self.parts[n]
            assert arguments is not None  # noqa: S101  it is a call
            before = Chain(self.head, self.parts[:n]).flat() + f".{name}"
            after = "".join(map(_part, self.parts[n + 1 :]))
            if len(before) < width and arguments.items:
                first, *rest = arguments.broken(width)
                return [before + first, *rest[:-1], rest[-1] + after]
        return [self.flat()]


def _part(part: tuple[str, Items | None]) -> str:
    name, arguments = part
    return f".{name}" if arguments is None else f".{name}{arguments.flat()}"


def assigned(name: str, value: Code) -> list[str]:
    """Return an assignment, formatted."""
    before = f"{name} = "
    if len(before) + len(value.flat()) <= WIDTH:
        return [before + value.flat()]
    if isinstance(value, Chain) and value.fluent:
        return [f"{before}(", *_indented(value.broken(WIDTH - 4)), ")"]
    first, *rest = value.broken(WIDTH - len(before))
    return [before + first, *rest]
