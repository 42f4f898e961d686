"""`signal-stream serve deployment.toml`: events in, guarded signals out, until the source ends or somebody stops it."""

from __future__ import annotations

import gc
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.commands.status import latency_table, lines
from signal_stream.durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from signal_stream.serve import Pipeline, Status

_PLAIN_EVERY: Final = 10


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream serve deployment.toml    Exit: 0 the source ended or the pipeline was stopped, "
        "2 it could not start, or halted."
    )(serve)


def serve(
    deployment: Annotated[Path, typer.Argument(metavar="deployment.toml", help="What to serve, and how.")],
) -> None:
    """Serve a deployment. SIGTERM or Ctrl-C ends it gracefully: what was read is served, everything is journaled."""
    from rich.console import Console

    from signal_stream.serve import Pipeline
    from signal_stream.settings import load_deployment

    console = Console(highlight=False, soft_wrap=True)
    with Pipeline(load_deployment(deployment), path=deployment) as pipeline, _stopped_by_signals(pipeline):
        console.print(head(pipeline))
        for latch in pipeline.status().latches:
            console.print(f"[red]killed[/red]  {latch}: every signal is vetoed")
        gc.collect()
        gc.freeze()  # what is here now stays: a collection need not look at it again
        with _progress() as told:
            status = pipeline.run(told)
    from dataclasses import asdict

    found = asdict(status) | {"serving": False, "status_age_ns": 0}
    for line in lines(pipeline.deployment.pipeline.state, found):
        console.print(line)
    console.print(latency_table(found["latency_ns"]))


def head(pipeline: Pipeline) -> str:
    """What is being served, on one line."""
    opening = pipeline.opening
    models = ", ".join(
        f"{model.ref} ({model.fallback} after {duration_text(model.deadline_ns)})" for model in opening.models
    )
    where = f" from message {opening.messages:,}" if opening.messages else ""
    url = pipeline.deployment.source.url
    return f"[bold]{opening.pipeline}[/bold]  {url}{where} → {opening.graph_name} → {models}   process {opening.pid}"


@contextmanager
def _stopped_by_signals(pipeline: Pipeline) -> Iterator[None]:
    """SIGTERM and SIGINT end the pipeline gracefully; a second SIGINT at once."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before[signal.SIGINT])
        pipeline.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress() -> Iterator[Callable[[Status], None]]:
    """Shows each status: on one changing line of a terminal, as a line now and then elsewhere."""
    if not sys.stdout.isatty():
        said = 0

        def say(status: Status) -> None:
            nonlocal said
            if said % _PLAIN_EVERY == 0:
                print(progress_line(status), flush=True)
            said += 1

        yield say
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(highlight=False), auto_refresh=False, transient=True) as live:
        yield lambda status: live.update(progress_line(status), refresh=True)


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
