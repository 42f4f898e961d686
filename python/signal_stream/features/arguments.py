"""Arguments of a call that makes an expression: checked one by one, kept as the graph's JSON and as Python code."""

from __future__ import annotations

import math
from typing import Any, Final, Self

from signal_stream.features.refusal import WINDOW_MAX, nanoseconds, number, raise_graph_error, shown, whole

_EVENTS_A_SECOND: Final = 512
_AHEAD: Final = "A feature knows only the past: give a whole number from 1 on. ss.label makes what lies ahead."


class Arguments:
    """What was given, in the order of the call. Each method checks one and raises a GraphError that names it.

    >>> Arguments().whole("n", 14, 2, 100).plain
    {'n': 14}
    """

    __slots__ = ("code", "operands", "plain")

    def __init__(self) -> None:
        self.plain: dict[str, Any] = {}
        """Parameters by the key that the JSON gives them."""
        self.operands: list[tuple[str, object]] = []
        """Series beside the first, by key, as the user gave them."""
        self.code: list[str] = []
        """Parameters as they are written in Python."""

    def operand(self, key: str, value: object) -> Self:
        """A series, or a number."""
        self.operands.append((key, value))
        return self

    def whole(self, key: str, value: object, least: int, most: int, *, usual: int | None = None) -> Self:
        """A whole number; not written where it is the usual one."""
        known = whole(value, key, least, most, advice=f"Give a whole number from {least:,} to {most:,}.")
        if known != usual:
            self.plain[key] = known
            # What a user would write: shift(3), imbalance(levels=5).
            self.code.append(str(known) if key == "n" and not self.code else f"{key}={known}")
        return self

    def earlier(self, n: object) -> Self:
        """How many events earlier."""
        backwards = not isinstance(n, bool) and isinstance(n, int) and n <= 0
        self.plain["n"] = whole(n, "n", advice=_AHEAD if backwards else "")
        self.code.append(str(self.plain["n"]))
        return self

    def number(self, key: str, value: object, above: float, most: float) -> Self:
        """A number above one and at most another."""
        known = number(value)
        if known is None or not above < known <= most:
            next_step = f"Give a number above {above:g} and at most {most:g}."
            raise_graph_error("BAD_ARGUMENT", f"{key} is {shown(value)}", value=value, next_step=next_step)
        self.plain[key] = float(known)
        self.code.append(f"{key}={known!r}")
        return self

    def real(self, key: str, value: object, least: float, most: float) -> Self:
        """A number from one to another."""
        known = number(value)
        if known is None or not least <= known <= most:
            next_step = f"Give a number from {least:g} to {most:g}."
            raise_graph_error("BAD_ARGUMENT", f"{key} is {shown(value)}", value=value, next_step=next_step)
        self.plain[key] = float(known)
        self.code.append(f"{key}={known!r}")
        return self

    def only(self, key: str, value: object, only: float) -> Self:
        """One number, or nothing."""
        if value is None:
            return self
        known = number(value)
        if known != only:
            next_step = f"Give {only:g}, or leave it out."
            raise_graph_error("BAD_ARGUMENT", f"{key} is {shown(value)}", value=value, next_step=next_step)
        self.plain[key] = float(only)
        self.code.append(f"{key}={only:g}")
        return self

    def window(self, window: object, cap: object, least: int = 1) -> Self:
        """A count of values, or a length of time with the most values that it may hold."""
        if isinstance(window, str):
            ns = nanoseconds(window, "window")
            default = max(4096, min(WINDOW_MAX, math.ceil(ns / 1e9 * _EVENTS_A_SECOND)))
            bound = default if cap is None else whole(cap, "cap", 2)
            self.plain["window"] = {"ns": ns, "cap": bound}
            self.code.append(repr(window) if cap is None else f"{window!r}, cap={bound}")
            return self
        if cap is not None:
            raise_graph_error(
                "BAD_ARGUMENT", f"cap={shown(cap)} with a counted window", next_step="A count is its own bound: leave cap out."
            )  # fmt: skip
        advice = f'Give a whole number from {least} to {WINDOW_MAX:,}, or a duration in quotes such as "30s".'
        self.plain["window"] = {"count": whole(window, "window", least, advice=advice)}
        self.code.append(str(self.plain["window"]["count"]))
        return self
