"""`signal-stream serve deployment.toml`: events in, guarded signals out, until the source ends or somebody stops it."""

from __future__ import annotations

import gc
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Final, Self

import typer

from signal_stream.cli.figures import latency_lines
from signal_stream.cli.state_folder import home
from signal_stream.cli.status_lines import status_lines
from signal_stream.cli.text import line, terminal
from signal_stream.console import STOP, abandon_output
from signal_stream.durations import duration_text, utc

if TYPE_CHECKING:
    from types import TracebackType

    from rich.live import Live
    from rich.text import Text

    from signal_stream.serve import Pipeline
    from signal_stream.store import Status

_PLAIN_EVERY: Final = 10
_LOOK_S: Final = 0.2
_LAST_WORDS_S: Final = 2.0
"""How long the end of the process waits for what is still to be printed."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream serve deployment.toml\n\nExit: 0 the source ended or the pipeline was stopped, "
        "2 it could not start, or halted."
    )(serve)


def serve(
    deployment: Annotated[Path, typer.Argument(metavar="deployment.toml", help="What to serve, and how.")],
) -> None:
    """Serve a deployment: a live feed or a recording comes in, guarded signals go out.

    SIGTERM or Ctrl-C ends it gracefully: what was read is served, everything journaled. SIGHUP reads the file again and takes
    over limits, deadlines and fallbacks; it says what needs a restart."""
    from signal_stream.serve import Pipeline, build
    from signal_stream.settings import load_deployment

    deployment = home(deployment)
    settings = load_deployment(deployment)
    with Printer() as printer:
        if STOP.reason is not None:
            printer.say(line(f"{STOP.reason} before anything was opened"))
            return
        with Pipeline(build(settings, path=deployment)) as pipeline:
            STOP.then, STOP.reload = pipeline.stop, pipeline.reload
            if STOP.is_reload_asked:  # while it started
                pipeline.reload()
            pipeline.on_note = lambda what, text: printer.say(line((what, "yellow"), f"  {text}"))
            if STOP.reason is not None:
                pipeline.stop(STOP.reason)
            printer.say(head(pipeline))
            for latch in pipeline.status().latches:
                printer.say(line(("killed", "red"), f"  {latch}: every signal is vetoed"))
            gc.collect()
            gc.freeze()  # what is here now stays: a collection need not look at it again
            try:
                status = pipeline.run(printer.progress)
            finally:
                STOP.then = STOP.reload = None
        from dataclasses import asdict

        found = asdict(status) | {"serving": False, "status_age_ns": 0}
        for text in status_lines(pipeline.deployment.pipeline.state, found):
            printer.say(text)
        for row in latency_lines(found["latency_ns"]):
            printer.say(line(row))


def head(pipeline: Pipeline) -> Text:
    """What is being served, on one line."""
    run_record = pipeline.run_record
    models = ", ".join(
        f"{model.ref} ({model.fallback} after {duration_text(model.deadline_ns)})" for model in run_record.models
    )
    where = f" from message {run_record.messages:,}" if run_record.messages else ""
    source = pipeline.deployment.source
    url = source.url or source.kind
    rest = (
        f"  {url}{where} → {', '.join(graph.name for graph in run_record.graphs)} → {models}   process {run_record.pid}"
    )
    return line((run_record.pipeline, "bold"), rest)


class Printer:
    """Prints in a thread of its own: a terminal that stands still, or a pipe that nobody reads, keeps no signal waiting.

    The newest progress replaces one that was not printed yet. Lines that are still to be printed at the end are waited
    for, but not for ever.
    """

    def __init__(self) -> None:
        self._lines: SimpleQueue[Text | None] = SimpleQueue()
        self._newest: Status | None = None
        self._thread = threading.Thread(target=self._run, name="signal-stream-printer", daemon=True)
        self._thread.start()

    def say(self, text: Text) -> None:
        """Has a line printed; returns at once."""
        self._lines.put(text)

    def progress(self, status: Status) -> None:
        """Has a status shown: on one changing line of a terminal, as a line now and then elsewhere."""
        self._newest = status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.put(None)
        self._thread.join(_LAST_WORDS_S)
        if self._thread.is_alive():
            abandon_output()

    def _run(self) -> None:
        try:
            self._print()
        except Exception as error:  # noqa: BLE001  printing is no part of serving, whatever a terminal does
            with suppress(OSError, ValueError):
                print(f"nothing more is printed: {error}", file=sys.stderr, flush=True)

    def _print(self) -> None:
        console = terminal()
        shown: Live | None = None
        if console.is_interactive:
            from rich.live import Live

            shown = Live(console=console, auto_refresh=False, transient=True)
        last: Status | None = None
        looks = 0
        if shown is not None:
            shown.start()
        while True:
            try:
                text = self._lines.get(timeout=_LOOK_S)
                if text is None:
                    break
                console.print(text)
                sys.stdout.flush()
            except Empty:
                status = self._newest
                if status is last or status is None:
                    continue
                last = status
                if shown is not None:
                    shown.update(line(progress_line(status)), refresh=True)
                elif looks % _PLAIN_EVERY == 0:
                    print(f"{utc(time.time_ns() // 1_000_000 * 1_000_000)}  {progress_line(status)}", flush=True)
                looks += 1
        if shown is not None:
            shown.stop()


def progress_line(status: Status) -> str:
    """A status on one line."""
    model, total = status.latency_ns["model"], status.latency_ns["total"]
    passed = status.signals.get("PASS", 0)
    vetoed = sum(status.signals.values()) - passed
    parts = [
        f"{status.counts['input']:,} events",
        f"{status.vectors:,} vectors",
        f"{passed:,} passed",
        f"{vetoed:,} vetoed",
        f"model {_us(model['p50'])}/{_us(model['p99'])} µs",
        f"event to signal {_us(total['p50'])}/{_us(total['p99'])} µs",
        f"queue {status.source['queue_rows']:,}",
    ]
    return "  ".join(parts)


def _us(ns: int | None) -> str:
    return "–" if ns is None else f"{ns / 1e3:,.0f}"
