"""The parts of a stack as components: helper processes, and deployments that are served."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from signal_stream.components import Backoff, Component, Health
from signal_stream.errors import ComponentError, SignalStreamError
from signal_stream.monitor.health import judge
from signal_stream.monitor.look import Lookout
from signal_stream.settings import load_deployment

from .child import Child
from .probe import no_answer

if TYPE_CHECKING:
    from signal_stream.components.component import Kind
    from signal_stream.settings.stack import Stack, StackDeployment, StackProcess

_PACKAGE_ROOT: Final = Path(__file__).parents[2]
# The very package that this process runs. -P: a file of the user's folder cannot pass for a module.
_START: Final = "import sys; sys.path.insert(0, sys.argv.pop(1)); from signal_stream.__main__ import main; main()"
_OURS: Final = {
    "signal-stream": (sys.executable, "-P", "-c", _START, str(_PACKAGE_ROOT)),
    "python": (sys.executable,),
}
"""Programs that are those which run the stack, whatever PATH says."""
_SETTLED_NS: Final = 500_000_000
"""A process that answers nobody is believed to run when it has done so for so long."""
_APART: Final[frozenset[Kind]] = frozenset(("ready", "health", "stop"))
"""A child is started on the thread that lives as long as this process."""


class Member(Protocol):
    """One part of a stack."""

    child: Child
    kind: str

    def ready(self) -> bool: ...
    def health(self) -> Health: ...
    def details(self) -> dict[str, Any]: ...


class HelperProcess:
    """A `[[process]]`."""

    kind = "process"

    def __init__(self, settings: StackProcess, child: Child) -> None:
        self.child = child
        self._settings = settings

    def ready(self) -> bool:
        """Whether it answers; for one that runs once, whether it has ended well. Raises ComponentError DIED."""
        code = self.child.exit_code
        if self._settings.once and code in (None, 0):
            return code == 0
        if code is not None:
            raise _died(self.child)
        if not self._settings.ready:
            return self.child.age_ns >= _SETTLED_NS
        return no_answer(self._settings.ready) is None

    def health(self) -> Health:
        """DEAD where it has ended, DEGRADED where it does not answer."""
        if self.child.exit_code is not None:
            return Health("DONE" if self._settings.once else "DEAD", self.child.how_it_ended())
        why = no_answer(self._settings.ready) if self._settings.ready else None
        return Health() if why is None else Health("DEGRADED", f"no answer from {why}")

    def details(self) -> dict[str, Any]:
        """Nothing more is known of it."""
        return {}


class ServedDeployment:
    """A `[[deployment]]`: `signal-stream serve`, judged by its state folder."""

    kind = "deployment"

    def __init__(self, settings: StackDeployment, child: Child) -> None:
        self.child = child
        self._lookout: Lookout | None = None
        self._file = settings.file

    def ready(self) -> bool:
        """Whether it serves, or its source has ended already. Raises ComponentError DIED, SettingsError."""
        code = self.child.exit_code
        if code == 0:
            return True
        if code is not None:
            raise _died(self.child)
        found = self._look()
        return found["pid"] == self.child.pid and found["state"] not in ("STARTING", "DEAD")

    def health(self) -> Health:
        """DONE when its source has ended, DEAD where the process has, or hangs; else as it is judged."""
        code = self.child.exit_code
        if code is not None:
            return Health("DONE", "its source has ended") if code == 0 else Health("DEAD", self.child.how_it_ended())
        judged = judge(self._look(), now=time.time_ns())
        if not judged.is_live:
            return Health("DEAD", "; ".join(judged.reasons))
        return Health() if judged.overall == "OK" else Health("DEGRADED", "; ".join(judged.reasons))

    def details(self) -> dict[str, Any]:
        """Its own judgement, and where its status is."""
        if self._lookout is None:
            return {}
        folder = {"folder": str(self._lookout.folder)}
        try:
            found = self._look()
        except (OSError, SignalStreamError) as error:  # one that cannot be looked at takes no other with it
            return folder | {"pipeline": None, "state_of_pipeline": f"unknown: {error}", "health": None}
        return folder | {"pipeline": found.get("pipeline"), "state_of_pipeline": found["state"],
                         "health": found["health"]}  # fmt: skip

    def _look(self) -> dict[str, Any]:
        if self._lookout is None:
            self._lookout = Lookout(load_deployment(self._file).pipeline.state)
        return self._lookout.look(now=time.time_ns())


def members(stack: Stack) -> dict[str, Member]:
    """The parts of a stack by their names."""
    home, logs = stack.path.absolute().parent, stack.settings.state / "logs"
    found: dict[str, Member] = {}
    for process in stack.processes:
        log = logs / f"{process.name}.log"
        command = (*_OURS.get(process.command[0], process.command[:1]), *process.command[1:])
        found[process.name] = HelperProcess(process, Child(process.name, command, folder=home, log=log))
    for served in stack.deployments:
        argv = (*_OURS["signal-stream"], "serve", str(served.file))
        child = Child(served.name, argv, folder=home, log=logs / f"{served.name}.log")
        found[served.name] = ServedDeployment(served, child)
    return found


def component(stack: Stack, name: str, member: Member) -> Component:
    """A part of the stack as a component."""
    settings = next(each for each in stack.parts if each.name == name)
    retries = stack.settings
    wait_s = settings.stop_max_ns / 1e9
    return Component(
        name,
        settings.needs,
        member.child.start,
        member.ready,
        member.health,
        lambda: member.child.stop(wait_s),
        start_ns_max=settings.start_max_ns,
        stop_ns_max=settings.stop_max_ns + 10_000_000_000,
        backoff=Backoff(first_ns=retries.retry_first_ns, max_ns=retries.retry_max_ns, steady_ns=retries.steady_ns),
        apart=_APART,
    )


def _died(child: Child) -> ComponentError:
    return ComponentError("DIED", child.how_it_ended(), where=child.name, next_step=f"See {child.log}.")
