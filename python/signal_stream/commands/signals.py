"""`signal-stream signals tail` and `signals show ID`: what a pipeline has said, and why."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.commands.state_folder import DeploymentOption, StateOption, state_argument, state_folder
from signal_stream.durations import utc

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.text import Text

    from signal_stream.records import SignalRecord
    from signal_stream.serve.opening import Opening

_LOOK_S: Final = 0.1
_SHORT: Final = 8


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    signals = typer.Typer(no_args_is_help=True, help="See the signals that a pipeline has emitted, with their lineage.")
    signals.command(epilog="Example: signal-stream signals tail --follow")(tail)
    signals.command(epilog="Example: signal-stream signals show 3f2a9c0d1e4b5a69")(show)
    app.add_typer(signals, name="signals")


def tail(
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the newest.")] = 20,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show the newest signals: time, instrument, model, value, verdict with codes, age of the oldest input, latency."""
    from rich.console import Console

    from signal_stream.records import JournalRecord, SignalRecord
    from signal_stream.store import State

    signals = State(state_folder(state, deployment)).tail()
    console = Console(highlight=False, soft_wrap=True)

    def put(some: Iterable[JournalRecord]) -> None:
        for record in some:
            if as_json:
                print(record.body, flush=follow)
            else:
                console.print(line(SignalRecord.from_json(record.body)))

    put(signals.last(lines))
    while follow:
        put(signals.read())
        time.sleep(_LOOK_S)


def show(
    signal_id: Annotated[str, typer.Argument(metavar="ID", help="A signal's id, or its beginning.")],
    as_json: Annotated[bool, typer.Option("--json", help="The signal as JSON.")] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show one signal with everything that it rests on."""
    from rich.console import Console

    from signal_stream.records import SignalRecord
    from signal_stream.serve.recorded import find_signal, opening_of
    from signal_stream.store import State

    folder = state_folder(state, deployment)
    journal = State(folder).reader()
    record = find_signal(journal, signal_id)
    if as_json:
        print(record.body)
        return
    signal = SignalRecord.from_json(record.body)
    console = Console(highlight=False, soft_wrap=True)
    console.print(line(signal))
    found = facts(record.seq, signal, opening_of(journal, record.seq))
    where = state_argument(folder)
    for name, value in (*found, ("replay", f"signal-stream replay {signal.signal_id}{where}")):
        console.print(f"  [dim]{name:<14}[/dim] {value}", markup=True)


def line(signal: SignalRecord) -> Text:
    """A signal on one line, with colours for terminals that have them."""
    from rich.text import Text

    lineage, latency, verdict = signal.lineage, signal.latency, signal.verdict
    passed = verdict.outcome == "PASS"
    value = "–" if signal.value is None else f"{signal.value:.6g}"
    took_us = (latency.features + latency.model + latency.guards + latency.emit) / 1e3
    age = "no input yet" if lineage.data_age_ns is None else f"age {lineage.data_age_ns / 1e6:.1f} ms"
    style = ("green" if not verdict.codes else "yellow") if passed else "red"
    return Text.assemble(
        (utc(lineage.ts_recv), "dim"),
        f"  {signal.instrument}  ",
        (f"{lineage.model_id}@{lineage.model_version[:_SHORT]}", "cyan"),
        f"  {signal.signal} {value:>10}  ",
        (" ".join((verdict.outcome, *verdict.codes)), style),
        (f"  {age}  took {took_us:.0f} µs  {signal.signal_id[:_SHORT]}", "dim"),
    )


def facts(seq: int, signal: SignalRecord, opening: Opening) -> list[tuple[str, str]]:
    """Everything that a signal rests on, by name."""
    lineage, latency = signal.lineage, signal.latency
    event = "the venue does not say" if lineage.ts_event is None else utc(lineage.ts_event)
    model = next((each for each in opening.models if each.name == lineage.model_id), None)
    stages = ", ".join(f"{name} {getattr(latency, name) / 1e3:.1f} µs" for name in latency._fields)
    return [
        ("signal id", signal.signal_id),
        ("journal", f"record {seq:,}"),
        ("value", "none" if signal.value is None else f"{signal.value!r}  ({signal.value.hex()})"),
        ("verdict", " ".join((signal.verdict.outcome, *signal.verdict.codes))),
        ("defaults used", ", ".join(signal.verdict.defaults_used) or "none"),
        ("happened", event),
        ("known", utc(lineage.ts_recv)),
        ("data until", utc(lineage.data_window_end)),
        ("oldest input", "never came" if lineage.data_age_ns is None else f"{lineage.data_age_ns / 1e6:.1f} ms old"),
        ("tape", f"{lineage.tape.name}, after message {lineage.tape.offset:,}  ({opening.tape.path})"),
        ("vector", lineage.vector_hash),
        ("graph", f"{opening.graph_name}  {lineage.feature_graph_hash}"),
        ("columns", lineage.schema_hash),
        ("model", f"{lineage.model_id}@{lineage.model_version}  manifest {model.digest if model else 'unknown'}"),
        ("registry", opening.registry),
        ("latency", stages),
        ("made by", f"process {opening.pid} of {opening.deployment}, signal-stream {opening.package}"),
    ]
