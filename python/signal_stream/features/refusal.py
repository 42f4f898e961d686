"""How a graph's code refuses what cannot be: with the user's line, the value, and what to write instead."""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import sys
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from signal_stream.durations import duration_ns
from signal_stream.errors import GraphError
from signal_stream.features.words import answer, keyword_answer

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

_OWN: Final = (str(Path(__file__).parent), str(Path(__file__).parents[1] / "__init__.py"))
"""Files that are no user's code."""
WINDOW_MAX: Final = 1 << 20
"""Values that a window may hold."""
_SHOWN: Final = 80
_NAME_MAX: Final = 500
_BROKEN: Final = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of what breaks a line of a log or cannot be written: control, half a character, line ends."""


class GraphAttributeError(GraphError, AttributeError):
    """No such name: `hasattr` is False, as Python's tools expect."""


class GraphTypeError(GraphError, TypeError):
    """A use that has no meaning for an expression."""


def caller_location() -> str:
    """File and line of the user's code that is calling, as `graph.py:14`."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_OWN) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def raise_graph_error(
    code: str, message: str, *, value: object = None, next_step: str = "", kind: type[GraphError] = GraphError
) -> NoReturn:
    """Raises a GraphError that names the user's line."""
    raise kind(code, message, where=caller_location(), value=value, next_step=next_step)


def shown(value: object) -> str:
    """A value for a message: its repr, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the user's object may raise anything
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def no_such_name(name: str, on: str, known: Iterable[str], owner: str = "") -> NoReturn:
    """Refuses an attribute: what it is called here, or that there is none yet."""
    raise_graph_error(
        "UNKNOWN_OPERATOR",
        f'no operator "{name}" on {on}' if owner else f'no "{name}" on {on}',
        value=name,
        next_step=answer(name, set(known), owner),
        kind=GraphAttributeError,
    )


def nanoseconds(text: object, what: str) -> int:
    """Nanoseconds of a duration that a user wrote; a GraphError with the line if it is none, or zero."""
    try:
        if not isinstance(text, str):
            raise ValueError('a duration in quotes, such as "30s"')
        ns = duration_ns(text)
    except ValueError as error:
        raise_graph_error("BAD_ARGUMENT", f"{what} is {shown(text)}", value=text, next_step=f"Give {error}.")
    if ns == 0:
        raise_graph_error("BAD_ARGUMENT", f"{what} is {text!r}", value=text, next_step="Give a duration above zero.")
    return ns


def whole(value: object, what: str, least: int = 1, most: int = WINDOW_MAX, advice: str = "") -> int:
    """A whole number in range; a GraphError with the line otherwise."""
    exact = int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else None
    if exact is None or not least <= exact <= most:
        raise_graph_error(
            "BAD_ARGUMENT",
            f"{what} is {shown(value)}",
            value=value,
            next_step=advice or f"Give a whole number from {least} to {most}.",
        )
    return exact


def number(value: object) -> float | int | None:
    """A finite number, numpy's too; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        exact = int(value) if isinstance(value, numbers.Integral) else float(value)
        return exact if math.isfinite(exact) else None
    except OverflowError:
        return None


def name_of(value: object, what: str) -> str:
    """A name that can stand in a table, a file and a log; a GraphError with the line otherwise."""
    if not isinstance(value, str):
        raise_graph_error("BAD_ARGUMENT", f"the name of {what} is {shown(value)}", value=value, next_step="Give text.")
    broken = any(unicodedata.category(character) in _BROKEN for character in value)
    if not value.strip() or len(value) > _NAME_MAX or broken:
        found = f"{len(value)} characters" if len(value) > _NAME_MAX else shown(value)
        raise_graph_error(
            "BAD_ARGUMENT",
            f"the name of {what} is {found}",
            value=value,
            next_step=f"Give 1 to {_NAME_MAX} characters, not only blanks, no line ends and no control characters.",
        )
    return value


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, whose arguments are refused as a GraphError where they do not fit: by name, with the nearest one."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            inner = error.__traceback__.tb_next if error.__traceback__ is not None else None
            if inner is None:  # raised by the call itself, not within
                _does_not_fit(function, kwargs, str(error))
            raise

    return call


def _does_not_fit(function: Callable[..., Any], given: dict[str, Any], said: str) -> NoReturn:
    known = [name for name in inspect.signature(function).parameters if name != "self"]
    name = function.__name__
    if name == "__init__":
        name = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    unknown = next((keyword for keyword in given if keyword not in known), None)
    if unknown is not None:
        raise_graph_error(
            "UNKNOWN_KEY",
            f'{name}(…) takes no "{unknown}"',
            value=unknown,
            next_step=keyword_answer(name, unknown, known),
            kind=GraphTypeError,
        )
    _, _, rest = said.partition("() ")
    arguments = f"Its arguments are {', '.join(known)}." if known else "It takes none."
    raise_graph_error("BAD_ARGUMENT", f"{name}(…) {rest or said}", next_step=arguments, kind=GraphTypeError)


def checked_class(kind: C) -> C:
    """The class, every public method of which is `checked`."""
    for name, member in list(vars(kind).items()):
        if inspect.isfunction(member) and (not name.startswith("_") or name == "__init__"):
            setattr(kind, name, checked(member))
    return kind


def public_names(kind: type) -> set[str]:
    """What a user can write behind a dot of an expression or window."""
    fields = {"node", "operands", "code", "precedence", "source_location"}
    return {name for name in dir(kind) if not name.startswith("_")} - fields
