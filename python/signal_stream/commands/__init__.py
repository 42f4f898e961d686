"""The commands, one noun a file. Each file has `register(app)`; what a command needs it imports when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import typer

from signal_stream.commands import (
    backfill,
    demo,
    doctor,
    explain,
    kill,
    parity,
    registration,
    repair,
    replay,
    serve,
    signals,
    status,
    tape,
)

COMMANDS: Final[tuple[Callable[[typer.Typer], None], ...]] = (
    demo.register,
    tape.register,
    explain.register,
    backfill.register,
    parity.register,
    registration.register,
    serve.register,
    signals.register,
    replay.register,
    kill.register,
    status.register,
    doctor.register,
    repair.register,
)
"""In the order of `--help`: the order in which a user meets them."""
