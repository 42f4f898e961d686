"""Which CPUs the pipeline and its model worker run on, and whether they spin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Pin: TypeAlias = Literal["auto", "apart", "none"]

SPIN_NS_MAX = 50_000


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the two sides of a ring run.

    Waking a process on another CPU costs several times a switch on the same one, unless both sides may spin. So where
    CPUs are scarce (two or fewer) the calling thread and the worker share one CPU and park; where there are more, the
    scheduler places them and they spin for a bounded time.

    One worker shares it: models beside the first run "apart", on the CPUs that are left, so that they work while the first
    one does.

    `cpu` is the worker's, None if it is not pinned; `shared` whether the caller is pinned to it as well; `elsewhere` is where
    a worker starts up, and where one is sent that has stopped answering, so that neither takes the pipeline's CPU.

    >>> Placement.choose("auto", allowed={0, 1})
    Placement(cpu=1, shared=True, elsewhere=frozenset({0}), spin_ns_max=0)
    >>> Placement.choose("apart", allowed={0, 1})
    Placement(cpu=0, shared=False, elsewhere=frozenset({0}), spin_ns_max=50000)
    >>> Placement.choose("auto", allowed=range(8)).cpu is None
    True
    """

    cpu: int | None
    shared: bool
    elsewhere: frozenset[int]
    spin_ns_max: int

    @classmethod
    def choose(cls, pin: Pin, *, allowed: Iterable[int]) -> Self:
        """The placement for a process that may run on the CPUs `allowed`."""
        cpus = frozenset(allowed)
        if len(cpus) > 2:
            return cls(cpu=None, shared=False, elsewhere=cpus, spin_ns_max=SPIN_NS_MAX)
        if pin == "none":
            return cls(cpu=None, shared=False, elsewhere=cpus, spin_ns_max=0)
        cpu = max(cpus)
        others = (cpus - {cpu}) or cpus
        if pin == "apart" and len(cpus) > 1:
            return cls(cpu=min(others), shared=False, elsewhere=others, spin_ns_max=SPIN_NS_MAX)
        return cls(cpu=cpu, shared=True, elsewhere=others, spin_ns_max=0)
