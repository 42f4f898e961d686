"""The command line: `signal-stream COMMAND`. Each command is a file of `signal_stream.commands`."""

from __future__ import annotations

import sys

import typer

from signal_stream.commands import COMMANDS
from signal_stream.errors import SignalStreamError

app = typer.Typer(
    name="signal-stream",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for register in COMMANDS:
    register(app)


@app.callback()
def _commands() -> None:
    """Put alpha models into production: one feature graph for research and live, guarded signals, exact replay."""


def main() -> None:
    """Runs the command. A user's mistake is one or two lines on stderr and exit code 2; Ctrl-C is exit code 130."""
    try:
        app()
    except SignalStreamError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
