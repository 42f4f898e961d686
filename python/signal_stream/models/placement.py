"""Which CPUs the pipeline and its model worker run on, and whether they spin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Pin: TypeAlias = Literal["auto", "none"]

SPIN_NS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the two sides of a ring run.

    Waking a process on another CPU costs several times a switch on the same one, unless both sides may spin. So where
    CPUs are scarce (two or fewer) the calling thread and the worker share one CPU and park; where there are more, the
    scheduler places them and they spin for a bounded time.

    `cpu` is the shared one, None if nothing is pinned; `elsewhere` is where a worker starts up, and where one is sent
    that has stopped answering, so that neither takes the pipeline's CPU.

    >>> Placement.choose("auto", allowed={0, 1})
    Placement(cpu=1, elsewhere=frozenset({0}), spin_ns_max=0)
    >>> Placement.choose("auto", allowed=range(8)).cpu is None
    True
    """

    cpu: int | None
    elsewhere: frozenset[int]
    spin_ns_max: int

    @classmethod
    def choose(cls, pin: Pin, *, allowed: Iterable[int]) -> Self:
        """The placement for a process that may run on the CPUs `allowed`."""
        cpus = frozenset(allowed)
        if len(cpus) > 2:
            return cls(cpu=None, elsewhere=cpus, spin_ns_max=SPIN_NS_MAX)
        if pin == "none":
            return cls(cpu=None, elsewhere=cpus, spin_ns_max=0)
        cpu = max(cpus)
        return cls(cpu=cpu, elsewhere=(cpus - {cpu}) or cpus, spin_ns_max=0)
