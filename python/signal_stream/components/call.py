"""One call of a component, on a thread of its own: whether it came back, and with what."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .component import Kind


class Call:
    """A call that is running, or over: `is_over`, then `result` or `error`.

    `is_overdue` is set once by whoever has waited for long enough; the call may still come back.
    """

    def __init__(self, kind: Kind, function: Callable[[], Any], *, begun_ns: int, over: Callable[[], None]) -> None:
        self.kind = kind
        self.begun_ns = begun_ns
        self.is_over = self.is_overdue = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function
        self._tell = over

    def run(self) -> None:
        """Calls, on the current thread. Raises nothing: what was raised is in `error`."""
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001  whatever it is, it is this component's, and is kept
            self.error = error
        self.is_over = True
        self._tell()


def on_a_thread(name: str, work: Callable[[], None]) -> None:
    """Begins the work on a thread; the process does not wait for it to end."""
    threading.Thread(target=work, name=name, daemon=True).start()
