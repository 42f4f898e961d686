"""The commands, one noun a file. Each file has `register(app)`; what a command needs it imports when it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from signal_stream.commands import (
    backfill,
    boards,
    compile_graph,
    demo,
    doctor,
    explain,
    gateway,
    kill,
    lookahead,
    models,
    operators,
    parity,
    register,
    repair,
    replay,
    serve,
    signals,
    status,
    tape,
    tape_check,
    tape_info,
    tape_instruments,
    tape_record,
    tape_rejects,
    up,
)

_Add = Callable[[typer.Typer], None]
COMMANDS: Final[dict[str, tuple[_Add, ...]]] = {
    "demo": (demo.register,),
    "tape": (
        tape.register,
        tape_info.register,
        tape_instruments.register,
        tape_record.register,
        tape_check.register,
        tape_rejects.register,
    ),
    "operators": (operators.register,),
    "explain": (explain.register,),
    "compile": (compile_graph.register,),
    "backfill": (backfill.register,),
    "parity": (parity.register,),
    "lookahead": (lookahead.register,),
    "register": (register.register,),
    "models": (models.register,),
    "serve": (serve.register,),
    "up": (up.register,),
    "signals": (signals.register,),
    "replay": (replay.register,),
    "kill": (kill.register,),
    "rearm": (kill.register,),
    "status": (status.register,),
    "gateway": (gateway.register,),
    "boards": (boards.register,),
    "doctor": (doctor.register,),
    "repair": (repair.register,),
}
"""What adds each command, in the order of `--help`: the order in which a user meets them."""
_HELP: Final = ["-h", "--help"]


def program(command: str = "") -> Any:
    """The command line, called without arguments: it runs what the process was started with.

    With the first word of a command it has that one alone, which starts sooner; with another word all of them.
    """
    app = typer.Typer(
        name="signal-stream",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": _HELP},
    )
    every = dict.fromkeys(add for adds in COMMANDS.values() for add in adds)
    # The demo runs other commands of its own program.
    for add in every if command == "demo" else COMMANDS.get(command, every):
        add(app)
    app.callback()(_program)
    made = typer.main.get_command(app)
    _tidy_help(made)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        from signal_stream import __version__

        print(f"signal-stream {__version__}")
        raise typer.Exit


def _program(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Put alpha models into production: one feature graph for research and live, guarded signals, exact replay."""


def _tidy_help(command: Any) -> None:
    """A flag takes no value, so its help names no type; a paragraph breaks at the terminal's edge, not where its source does."""
    context = typer.Context(command, help_option_names=_HELP)
    for option in command.get_params(context):
        if getattr(option, "is_bool_flag", False):
            option.metavar = ""
    command.help = "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))
    for inner in getattr(command, "commands", {}).values():
        _tidy_help(inner)
