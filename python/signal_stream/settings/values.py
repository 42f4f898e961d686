"""Values that a deployment file may hold: durations, paces, shares, names."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator
from pydantic_core.core_schema import no_info_after_validator_function

from signal_stream.durations import duration_ns
from signal_stream.instrument_ids import id_fault

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


def _duration(value: object) -> object:
    if isinstance(value, str):
        return duration_ns(value)
    raise ValueError('a duration with its unit in quotes, such as "100ms"')


def _more_than_none(ns: int) -> int:
    if ns == 0:
        raise ValueError("a duration above zero")
    return ns


_PACES: Final = (1e-3, 1e6)

DurationNs = Annotated[int, BeforeValidator(_duration)]
PositiveNs = Annotated[DurationNs, AfterValidator(_more_than_none)]


@dataclass(frozen=True, slots=True)
class Within:
    """Durations of at least `least` and at most `most`, both as users write them. Every duration of a section has one."""

    least: str
    most: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The bounds are compared after everything else was."""
        return no_info_after_validator_function(self.check, handler(source))

    def check(self, ns: int) -> int:
        """The same duration. Raises ValueError with the bound beyond which it lies."""
        if ns < duration_ns(self.least):
            raise ValueError(f'a duration of at least "{self.least}"')
        if ns > duration_ns(self.most):
            raise ValueError(f'a duration of at most "{self.most}"')
        return ns


def _pace(value: object) -> object:
    """Times recorded pace; infinity is as fast as it goes."""
    if value == "recorded":
        return 1.0
    if value == "max":
        return float("inf")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)x", value) if isinstance(value, str) else None
    if match is None or not _PACES[0] <= float(match[1]) <= _PACES[1]:
        raise ValueError('"recorded", "max" or a multiple such as "8x"')
    return float(match[1])


def _share(value: object) -> object:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)%", value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else value
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError('a share such as "1%" or 0.01')
    return float(share)


def _fallback(text: str) -> str:
    number = re.fullmatch(r"constant:([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", text)
    if text not in ("veto", "last_valid") and (number is None or not math.isfinite(float(number[1]))):
        raise ValueError('"veto", "last_valid" or "constant:" with a number')
    return text


_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name of letters, digits and _ . - (at most 64)")
    return text


def _ref(text: str) -> str:
    name, at, version = text.partition("@")
    if not (at and _NAME.fullmatch(name) and _NAME.fullmatch(version)):
        raise ValueError('"name@version", "name@live" or "name@latest"')
    return text


def _instruments(value: object) -> object:
    if value == "any":
        return value
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        raise ValueError('"any" or a list of instrument ids')
    for place, each in enumerate(value):
        fault = id_fault(each)
        if fault is not None:
            raise ValueError(f'"any" or a list of instrument ids: {fault}')
        if each in value[:place]:
            raise ValueError(f'"any" or a list of instrument ids, each once: "{each}" stands twice')
    return tuple(value)


Pace = Annotated[float, BeforeValidator(_pace)]
"""Times recorded pace: "recorded" is 1, "8x" is 8, "max" is infinity."""
Share = Annotated[float, BeforeValidator(_share)]
"""From 0 to 1; "0.1%" or 0.001."""
FallbackText = Annotated[str, AfterValidator(_fallback)]
Name = Annotated[str, AfterValidator(_name)]
Ref = Annotated[str, AfterValidator(_ref)]
Instruments = Annotated[Literal["any"] | tuple[str, ...], BeforeValidator(_instruments)]
"""A list of instrument ids, or "any"."""
