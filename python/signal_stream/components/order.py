"""In which order components are started."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from signal_stream.errors import ComponentError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .component import Component


def levels(components: Sequence[Component]) -> tuple[tuple[Component, ...], ...]:
    """The components by level: those of the first need nothing, those of each other need something of the level before it.
    Within a level they stand as they were given.

    Raises ComponentError DUPLICATE for a name that two have, UNKNOWN_NEED for a need that none has, CYCLE for components that
    need each other, with the path.

    >>> from signal_stream.components import Component
    >>> made = Component("feed", ("broker",)), Component("broker"), Component("board", ("feed", "broker"))
    >>> [[each.name for each in level] for level in levels(made)]
    [['broker'], ['feed'], ['board']]
    """
    by_name = {each.name: each for each in components}
    for name, times in Counter(each.name for each in components).items():
        if times > 1:
            raise ComponentError("DUPLICATE", f'{times} components are called "{name}"', where=name, value=name,
                                 next_step="Give each a name of its own.")  # fmt: skip
    for each in components:
        for need in each.needs:
            if need not in by_name:
                others = by_name.keys() - {each.name}
                raise ComponentError("UNKNOWN_NEED", f'"{each.name}" needs "{need}", which does not exist', where=each.name,
                                     value=need, next_step=did_you_mean(need, others))  # fmt: skip
    depth: dict[str, int] = {}
    while len(depth) < len(by_name):
        found = {
            each.name: 1 + max((depth[need] for need in each.needs), default=-1)
            for each in components
            if each.name not in depth and all(need in depth for need in each.needs)
        }
        if not found:
            path = _cycle({name: each.needs for name, each in by_name.items() if name not in depth})
            said = "itself" if len(path) == 2 else "each other"
            raise ComponentError("CYCLE", f"components need {said}: {' → '.join(path)}", where=path[0], value=path,
                                 next_step="None of them could ever start: take one of these needs away.")  # fmt: skip
        depth |= found
    return tuple(
        tuple(each for each in components if depth[each.name] == level)
        for level in range(1 + max(depth.values(), default=-1))
    )


def _cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """A path from a component back to itself; each of `needs` needs another one of them."""
    path = [min(needs)]
    while True:
        at = next(need for need in needs[path[-1]] if need in needs)
        if at in path:
            return [*path[path.index(at) :], at]
        path.append(at)
