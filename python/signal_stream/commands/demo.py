"""`signal-stream demo`: the whole line in a minute, from market data to a guarded, replayable signal, with a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from signal_stream.errors import DataError, SettingsError, SignalStreamError, TapeError

_USERS_MISTAKES: Final = (TapeError, DataError, SettingsError)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream demo --tape spot.gz\n\n"
        "Exit: 0 all shown, 1 a step failed, 2 a file or folder cannot be used."
    )(demo)


def demo(
    context: typer.Context,
    tape: Annotated[
        Path | None,
        typer.Option(
            "--tape", metavar="CAPTURE_OR_TAPE", help="A raw capture or a tape; without it, a simulated market."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where everything is written; an earlier demo's is emptied.")
    ] = Path("out/demo"),
) -> None:
    """Show the whole line in a minute: learn on history, serve live, veto, kill, replay to the bit; with a picture."""
    from signal_stream.demo.folder import DemoFolder
    from signal_stream.demo.show import Show
    from signal_stream.demo.steps import check, run_steps

    program = context.find_root().command

    def run(*words: str) -> None:
        with program.make_context("signal-stream", list(words)) as called:
            program.invoke(called)

    folder = DemoFolder(out)
    check(tape, folder)
    folder.begin()
    show = Show(run)
    try:
        run_steps(show, tape, folder)
    except SignalStreamError as error:
        show.failed(str(error))
        raise typer.Exit(2 if isinstance(error, _USERS_MISTAKES) else 1) from None
    except OSError as error:
        show.failed(str(error))
        raise typer.Exit(1) from None
    except typer.Exit as left:
        show.failed("what is said above")
        raise typer.Exit(1) from left
