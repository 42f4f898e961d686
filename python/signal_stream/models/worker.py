"""The worker process, as `process.WorkerProcess` starts it.

Standard input is the ring, standard output takes one line that says whether the model is ready, standard error is kept
by the parent for its error messages. The process ends when the ring is closed or the parent is gone.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from signal_stream._core import RingWorker, die_with_parent, run_promptly, yield_to_pipeline
from signal_stream.errors import ModelError
from signal_stream.models.python_session import PythonSession, PythonSpec
from signal_stream.models.session import OnnxSpec, Session

IDLE_NS = 1_000_000_000
COMPLAINTS_MAX = 20


def main() -> None:
    """Serves the model that the descriptor named by the last argument describes, and exits: 0 the ring was closed, 3 the
    model was refused."""
    with os.fdopen(int(sys.argv[-1]), "rb") as order_file:
        order = json.load(order_file)
    sys.exit(_serve_order(order))


def _serve_order(order: dict[str, Any]) -> int:
    # The terminal's Ctrl-C and a service manager's SIGTERM reach the whole group; it is the parent who ends its
    # workers, after its last signal.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not die_with_parent(order["parent_pid"]):
        return 0
    ring_fd = os.dup(0)
    ready_pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is for the parent's error messages, not for its ears
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    try:
        session = _session(order)
    except ModelError as error:
        refused = {"code": error.code, "message": error.message, "where": error.where, "next_step": error.next_step}
        _say(ready_pipe, {"refused": refused})
        return 3
    ring = RingWorker(ring_fd, session.row, session.values)
    gc.collect()
    gc.freeze()
    if order["kind"] == "onnx":
        gc.disable()  # a user's module may make garbage that goes in circles
    if order["shares_cpu"]:
        yield_to_pipeline()
    run_promptly(True)  # asked, it comes before others on its CPU, which may work for milliseconds
    _say(ready_pipe, {"ready": asdict(session.info)})
    _serve(ring, session, keep_warm_ns=order["keep_warm_ns"])
    return 0


def _held(path: str) -> bytes | None:
    """The file that the parent holds open, which may have another name by now, or none."""
    try:
        return Path(path).read_bytes() if path else None
    except OSError:
        return None  # by its name, then


def _session(order: dict[str, Any]) -> Session | PythonSession:
    if order["kind"] == "onnx":
        spec = OnnxSpec.from_plain(order["spec"])
        return Session(spec, warm_up_runs=order["warm_up_runs"], data=_held(order["held"]))
    os.setsid()  # what the module starts ends with the worker
    return PythonSession(PythonSpec.from_plain(order["spec"]), state_fd=order["state_fd"])


def _say(ready_pipe: Any, what: dict[str, Any]) -> None:
    with ready_pipe:
        ready_pipe.write(json.dumps(what) + "\n")


def _serve(ring: RingWorker, session: Session | PythonSession, *, keep_warm_ns: int) -> None:
    complaints = 0
    while True:  # until the ring closes; each silence is bounded
        came = ring.serve(session.compute, keep_warm_ns or IDLE_NS)
        if came == "CLOSED":
            return
        if came == "IDLE":
            if keep_warm_ns:
                session.compute()  # on the last row: code and trees stay in the caches
            continue
        complaints += 1
        if complaints <= COMPLAINTS_MAX:
            if isinstance(came, Exception):
                _complain("".join(traceback.format_exception(came)))
            else:
                _complain(f"the model gave {session.values.tolist()}\n")


def _complain(text: str) -> None:
    """Writes a whole complaint at once, so that the parent never reads the half of one."""
    sys.stderr.flush()
    with contextlib.suppress(OSError):  # a user's module may have closed it
        os.write(2, text.encode(errors="replace"))
