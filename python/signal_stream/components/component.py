"""What a component is: how it is started, known to be ready, looked at and stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["start", "ready", "health", "stop"]
ALL_CALLS: Final[frozenset[Kind]] = frozenset(("start", "ready", "health", "stop"))
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """How a component is that was ready. DEGRADED works, less well than it should; DEAD has to be started again; DONE has
    ended as it should and stays so. `reason` says why it is not OK."""

    state: Literal["OK", "DEGRADED", "DEAD", "DONE"] = "OK"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Backoff:
    """When a failed component is started again: after `first_ns`, then after twice as long each time, up to `max_ns`.

    Who was up for `steady_ns` is believed again: the next failure waits for `first_ns` only. `retries` bounds how often in a
    row it is tried; None is for ever.

    >>> [Backoff().pause_ns(failures) // 10**9 for failures in (1, 2, 3, 7, 1000)]
    [1, 2, 4, 60, 60]
    """

    first_ns: int = SECOND_NS
    max_ns: int = 60 * SECOND_NS
    steady_ns: int = 300 * SECOND_NS
    retries: int | None = None

    def pause_ns(self, failures: int) -> int:
        """How long to wait after so many failures in a row."""
        return min(self.max_ns, self.first_ns << min(failures - 1, 40))

    def may_retry(self, failures: int) -> bool:
        """Whether it is tried again after so many failures in a row."""
        return self.retries is None or failures <= self.retries


NEVER_AGAIN: Final = Backoff(retries=0)
"""For what a start cannot do without: its failure ends the start."""


def _always() -> bool:
    return True


def _well() -> Health:
    return Health()


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Component:
    """A part that is started, watched and stopped. The four callables of one component are never called at the same time.

    `start` begins it and returns; what it raises is why it failed. `ready` says whether it can be used, and is asked until it
    says so. `health` is asked from then on. `stop` ends it, also after a start that failed: it has to bear being called when
    there is nothing to end. A call that does not return costs nobody else anything: it is waited for as long as its limit
    says, then the component counts as failed (start, ready), DEGRADED (health) or is left behind (stop).

    `apart` are the calls that run on a thread of their own. The others run on the thread that steps the components, one after
    the other, and have to return soon: for what must be used on the thread that made it.
    """

    name: str
    needs: tuple[str, ...] = ()
    """Names of the components that have to be up before it is started."""
    start: Callable[[], None] = _nothing
    ready: Callable[[], bool] = _always
    health: Callable[[], Health] = _well
    stop: Callable[[], None] = _nothing
    start_ns_max: int = 60 * SECOND_NS
    """From the start until it has to be ready."""
    health_ns_max: int = 5 * SECOND_NS
    stop_ns_max: int = 30 * SECOND_NS
    ready_every_ns: int = SECOND_NS // 20
    health_every_ns: int = SECOND_NS
    backoff: Backoff = Backoff()
    apart: frozenset[Kind] = ALL_CALLS
