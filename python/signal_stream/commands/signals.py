"""`signal-stream signals tail`, `signals amendments` and `signals show ID`: what a pipeline has said, and why."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.cli.amendment_lines import amendment_lines, values_text
from signal_stream.cli.signal_line import signal_line
from signal_stream.cli.state_folder import DeploymentOption, StateOption, state_argument, state_folder
from signal_stream.cli.text import line, terminal
from signal_stream.console import reader_is_gone
from signal_stream.durations import utc

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from signal_stream.records import JournalRecord, SignalRecord
    from signal_stream.serve.run_record import RunRecord
    from signal_stream.store import JournalReader

_LOOK_S: Final = 0.1


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    signals = typer.Typer(no_args_is_help=True, help="See the signals that a pipeline has emitted, with their lineage.")
    signals.command(epilog="Example: signal-stream signals tail --follow")(tail)
    signals.command(epilog="Example: signal-stream signals amendments -n 5")(amendments)
    signals.command(epilog="Example: signal-stream signals show 3f2a9c0d1e4b5a69")(show)
    app.add_typer(signals, name="signals")


JsonOption = Annotated[bool, typer.Option("--json", help="One object a line.")]
FollowOption = Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones until Ctrl-C.")]
LinesOption = Annotated[int, typer.Option("--lines", "-n", min=0, help="So many of the newest.")]


def tail(
    as_json: JsonOption = False,
    follow: FollowOption = False,
    lines: LinesOption = 20,
    amended: Annotated[bool, typer.Option("--amendments", help="Also what late events changed, in between.")] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show the newest signals: time, instrument, model, value, verdict with codes, age of the oldest input, latency."""
    kinds = ("signal", "amendment") if amended else ("signal",)
    put_newest(state_folder(state, deployment), kinds, lines, as_json=as_json, follow=follow)


def amendments(
    as_json: JsonOption = False,
    follow: FollowOption = False,
    lines: LinesOption = 20,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show the newest vectors that late events changed, where the source says late = "amend".

    A line is a vector: when the change was found, instrument, graph, the vector's time, its revision, and its values now. --lines
    counts amendments, each with one vector or several."""
    put_newest(state_folder(state, deployment), ("amendment",), lines, as_json=as_json, follow=follow)


def put_newest(folder: Path, kinds: tuple[str, ...], lines: int, *, as_json: bool, follow: bool) -> None:
    """Prints the newest records of these kinds, and those that follow."""
    from signal_stream.records import Amendment, SignalRecord
    from signal_stream.store import State

    newest = State(folder).tail(*kinds)
    console = terminal()

    def put(some: Iterable[JournalRecord]) -> None:
        for record in some:
            if as_json:
                print(record.body, flush=follow)
            elif record.kind == "signal":
                console.print(signal_line(SignalRecord.from_json(record.body)))
            else:
                console.print(*amendment_lines(Amendment.from_json(record.body)), sep="\n")

    put(newest.last(lines))
    if not follow:
        State(folder).check_logs()
    while follow and not reader_is_gone():
        put(newest.read())
        sys.stdout.flush()
        time.sleep(_LOOK_S)


def show(
    signal_id: Annotated[str, typer.Argument(metavar="ID", help="A signal's id, or its beginning.")],
    as_json: Annotated[bool, typer.Option("--json", help="The signal as JSON.")] = False,
    state: StateOption = None,
    deployment: DeploymentOption = None,
) -> None:
    """Show one signal with everything that it rests on, its features made again from the tape among it."""
    from signal_stream.records import SignalRecord
    from signal_stream.serve.signal_lookup import find_signal, run_of
    from signal_stream.store import State

    folder = state_folder(state, deployment)
    journal = State(folder).reader()
    record = find_signal(journal, signal_id)
    if as_json:
        print(record.body)
        return
    signal = SignalRecord.from_json(record.body)
    console = terminal()
    console.print(signal_line(signal))
    found = details(record.seq, signal, run_of(journal, record.seq))
    where = state_argument(folder)
    for name, value in found:
        console.print(line("  ", (f"{name:<14}", "dim"), f" {value}"))
    revised = amended_since(journal, record)
    again = ("replay", f"signal-stream replay {signal.signal_id}{where}")
    judged = judged_features(journal, record)
    if judged is None:
        sys.stdout.flush()  # a long tape takes its time
        judged = features(journal, record)
    for name, value in (*judged, *revised, again):
        console.print(line("  ", (f"{name:<14}", "dim"), f" {value}"))
    State(folder).check_logs()


def amended_since(journal: JournalReader, record: JournalRecord) -> list[tuple[str, str]]:
    """What late events changed of the vector that the signal rests on, each revision with its values."""
    from signal_stream.serve.signal_lookup import revisions_of

    return [
        (
            "" if number else "amended",
            f"revision {vector.revision}, at message {amendment.offset:,}: "
            + ("there is no such vector" if vector.new is None else values_text(amendment, vector)),
        )
        for number, (amendment, vector) in enumerate(revisions_of(journal, record))
    ]


def judged_features(journal: JournalReader, record: JournalRecord) -> list[tuple[str, str]] | None:
    """Why the signal is no plain pass, and the features that were judged, as the journal keeps them; None if it does not."""
    behind = next(journal.records(from_seq=record.seq + 1), None)
    if behind is None or (behind.kind, behind.key) != ("why", record.key):
        return None
    from signal_stream.serve.replay import number_text

    found = json.loads(behind.body)
    reasons = found["reasons"]
    width = max(map(len, found["features"]), default=0)
    rows = [f"{name:<{width}}  {reasons.get(name) or number_text(value)}" for name, value in found["features"].items()]
    missing = ", ".join(f"{name} {reason}" for name, reason in reasons.items())
    head = [("missing", missing)] if missing else []
    why = zip(("why", *[""] * len(found["why"])), found["why"], strict=False)
    return [*why, *head, *zip(("features", *[""] * len(rows)), rows, strict=False)]


def features(journal: JournalReader, record: JournalRecord) -> list[tuple[str, str]]:
    """The signal's features as the tape gives them: what is missing and why, then each with its value or reason."""
    from signal_stream.errors import SignalStreamError
    from signal_stream.serve.replay import replay

    try:
        [found] = replay(journal, [record])
    except SignalStreamError as error:
        return [("features", f"cannot be made again: {error}")]
    missing = ", ".join(f"{name} {value}" for name, value in found.vector if value.isupper())
    width = max((len(name) for name, _ in found.vector), default=0)
    rows = [f"{name:<{width}}  {value}" for name, value in found.vector]
    head = [("missing", missing)] if missing else []
    if not found.same:
        head.append(("replay differs", "; ".join(map(str, found.differences))))
    return [*head, *zip(("features", *[""] * len(rows)), rows, strict=False)]


def stage_text(signal: SignalRecord) -> str:
    """Its version's stage, and what follows from it."""
    return f"{signal.stage or 'not noted'}{'' if signal.speaks else ': journaled, and sent to no sink'}"


def details(seq: int, signal: SignalRecord, run_record: RunRecord) -> list[tuple[str, str]]:
    """Everything that a signal rests on, by name."""
    lineage, latency = signal.lineage, signal.latency
    event = "the venue does not say" if lineage.ts_event is None else utc(lineage.ts_event)
    model = next((each for each in run_record.models if each.name == lineage.model_id), None)
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
        ("tape", f"{lineage.tape.name}, after message {lineage.tape.offset:,}  ({run_record.tape.path})"),
        ("vector", lineage.vector_hash),
        ("graph", f"{run_record.graph(lineage.feature_graph_hash).name}  {lineage.feature_graph_hash}"),
        ("columns", lineage.schema_hash),
        (
            "model",
            f"{lineage.model_id}@{lineage.model_version}  {model.kind if model else ''}  "
            f"manifest {model.digest if model else 'unknown'}",
        ),
        ("stage", stage_text(signal)),
        ("registry", run_record.registry),
        ("latency", stages),
        ("made by", f"process {run_record.pid} of {run_record.deployment}, signal-stream {run_record.package}"),
    ]
