"""`signal-stream gateway`: metrics and health of a pipeline, also while it is not served."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Annotated

import typer

from signal_stream.cli.state_folder import home
from signal_stream.cli.text import line, terminal
from signal_stream.console import STOP
from signal_stream.errors import CommandError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream gateway deployment.toml\n\nExit: 0 it was stopped, 2 it could not start. `serve` starts a "
        "gateway of its own; one that runs already has the right of way."
    )(gateway)


def gateway(
    deployment: Annotated[Path, typer.Argument(metavar="deployment.toml", help="Whose listeners are served.")],
) -> None:
    """Serve metrics, health and gRPC of a deployment without serving the deployment.

    It runs until it is stopped, and whoever asks is told also of a pipeline that is dead, or was never served."""
    from signal_stream.gateway.process import open_gateway
    from signal_stream.settings import load_deployment

    path = home(deployment)
    settings = load_deployment(path)
    if settings.metrics.listen is None and settings.grpc.listen is None:
        advice = '[metrics]\nlisten = "127.0.0.1:9100"'
        raise CommandError(
            "BAD_OPTION",
            "this deployment has nothing served to others",
            where=str(path),
            next_step=f"Add to it: {advice}",
        )
    try:
        made = open_gateway(settings, say=_say)
    except ImportError as error:
        message = f"the package {error.name} is not installed"
        advice = 'Install it: pip install "signal-stream[grpc]".'
        raise CommandError("NO_PACKAGE", message, next_step=advice) from error
    stopped = threading.Event()
    STOP.then = lambda _reason: stopped.set()
    if STOP.reason is None:
        made.run(stopped)


def _say(text: str) -> None:
    said = json.loads(text)
    if said["waits_for"] is not None:
        terminal().print(line(f"process {said['waits_for']} serves this already; waiting until it ends"))
    for each in said["servers"]:
        if each["state"] == "OK":
            terminal().print(line((each["name"], "bold"), f"  at {each['listen']}"))
        elif each["error"]:
            terminal().print(line((each["name"], "red"), f"  {each['error']}; it is tried again"))
