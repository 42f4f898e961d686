"""The command line: `signal-stream COMMAND`. Each command is a file of `signal_stream.commands`."""

from __future__ import annotations

import os
import sys

from signal_stream.console import STOP, forgiving_output

_OUTPUT_IS_BESIDE_THE_POINT = frozenset({"serve", "gateway", "up", "kill", "rearm", "register", "demo", "backfill"})
"""Commands whose work is done whether or not somebody could read about it."""

_STOPPED = 130


def main() -> None:
    """Runs the command. A user's mistake is one or two lines on stderr and exit code 2; Ctrl-C is exit code 130."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if command in ("serve", "gateway", "up"):
        STOP.listen()  # before anything slow
    if command == "serve":
        STOP.expect_reload()
    output = forgiving_output()
    code = _run(command)
    if output.is_stuck:
        os._exit(code)
    if (lost := output.lost) is not None and code == 0 and command not in _OUTPUT_IS_BESIDE_THE_POINT:
        print(f"standard output: {lost.strerror}. Not everything could be printed.", file=sys.stderr)
        code = 2
    sys.exit(code)


def _run(command: str) -> int:
    """The exit code."""
    from signal_stream.mistakes import report

    try:
        from signal_stream.commands import program

        code = program(command)(standalone_mode=False)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        code = _STOPPED
    except BaseException as error:  # noqa: BLE001  the outermost level: everything ends here, in words
        return report(error)
    if code == _STOPPED:
        print("stopped", file=sys.stderr)
    return code or 0


if __name__ == "__main__":
    main()
