"""What the demo prints: headings with the time, what a user would type, and what comes of it."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_WIDTH: Final = 100


class Show:
    """Standard output, flushed line by line so that it keeps its order with what the commands print.

    `run` takes the words of a command line, without the program's name, and runs them in this process.
    """

    def __init__(self, run: Callable[..., None]) -> None:
        self._run = run
        self.console = Console(highlight=False, soft_wrap=True)
        self._program = _program()
        self._began = time.monotonic()
        self._steps = 0
        self._title = ""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the demo began."""
        return time.monotonic() - self._began

    def step(self, title: str) -> None:
        """A heading: the step's number, what it does, and how long the demo has been running."""
        self._steps += 1
        self._title = title
        rule = "─" * max(3, _WIDTH - len(title) - 18)
        self.console.print(
            f"\n[bold cyan]{self._steps:>2}[/bold cyan]  [bold]{title}[/bold]  [dim]{rule} {self.elapsed_s:5.1f} s[/dim]"
        )
        self._flush()

    def command(self, *words: str | Path) -> None:
        """What the user would type for it."""
        text = " ".join(shlex.quote(str(word)) for word in words)
        self.console.print(f"[green]$ {escape(self._program)} {escape(text)}[/green]")
        self._flush()

    def run(self, *words: str | Path) -> None:
        """Shows a command and runs it in this process. Raises what the command raises; `typer.Exit` where it failed."""
        self.command(*words)
        self._run(*map(str, words))
        self._flush()

    def next(self, text: str) -> None:
        """What the commands below are for."""
        self.console.print(f"[dim]# {escape(text)}[/dim]")

    def say(self, text: str) -> None:
        """A line, as it is."""
        self.console.print(text, markup=False)
        self._flush()

    def fact(self, name: str, text: str) -> None:
        """A row of the closing table."""
        self.console.print(f"[bold]{name:<15}[/bold] {escape(text)}")

    def busy(self, text: str) -> AbstractContextManager[object]:
        """Something that moves on a terminal while a step works in silence."""
        return self.console.status(text) if self.console.is_terminal else nullcontext()

    def failed(self, why: str) -> None:
        """The end, where a step failed."""
        self._flush()
        print(f"the demo stopped at step {self._steps} ({self._title}): {why}", file=sys.stderr)

    @staticmethod
    def _flush() -> None:
        sys.stdout.flush()


def _program() -> str:
    """How the user calls us from where they stand."""
    script = Path(sys.executable).with_name("signal-stream")
    found = shutil.which("signal-stream")
    if found is not None and script.exists() and Path(found).samefile(script):
        return "signal-stream"
    here = Path.cwd()
    program = script if script.exists() else Path(sys.executable)
    short = str(program.relative_to(here)) if program.is_relative_to(here) else str(program)
    return shlex.quote(short) + ("" if script.exists() else " -m signal_stream")
