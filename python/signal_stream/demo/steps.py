"""The demo's steps, from a market to what to try next. Each runs the command that it shows, as a user would type it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from signal_stream.errors import CommandError, DataError, LatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from signal_stream.demo.fit import Fitted, Score
    from signal_stream.demo.folder import DemoFolder
    from signal_stream.demo.serving import Serving
    from signal_stream.demo.show import Show
    from signal_stream.demo.story import Story
    from signal_stream.demo.tape import Halves, Taken
    from signal_stream.features import FeatureGraph
    from signal_stream.records import SignalRecord
    from signal_stream.store import Status

_SEED: Final = 3
_MARKET_S: Final = 480.0
_TRAIN_SHARE: Final = 0.6
_STREAM_S: Final = 26.0
"""How long the second part would last at the chosen pace. It is stopped when everything was shown, well before."""
_SCROLL_S: Final = 9.0
_SILENCE_S: Final = 2.5
_EVERY_S: Final = 0.35
_LINES_MAX: Final = 40
_SILENT_LINES: Final = 4


def check(tape: Path | None, folder: DemoFolder) -> None:
    """Raises an error of the user's before anything is touched."""
    from importlib.util import find_spec

    from signal_stream.ingest import sniff

    missing = [name for name in ("sklearn", "skl2onnx", "matplotlib") if find_spec(name) is None]
    if missing:
        message = f"the demo fits a model and draws a picture, and {', '.join(missing)} cannot be imported"
        raise CommandError("NO_PACKAGE", message, next_step='Install them: pip install "signal-stream[research]".')
    if tape is None:
        return
    if sniff(tape) == "table":
        advice = "Give a raw capture or a tape; for bars of your own see `signal-stream parity --help`."
        raise DataError("UNKNOWN_TYPE", "a table has no order book to show", where=str(tape), next_step=advice)
    if tape.resolve().is_relative_to(folder.path.resolve()):
        advice = "Copy it elsewhere first, or give another --out."
        raise CommandError(
            "BAD_OPTION", "the tape lies in the folder that would be emptied", where=str(tape), next_step=advice
        )


def run_steps(show: Show, tape: Path | None, folder: DemoFolder) -> None:
    """All of them, in order. What a step raises, or the exit of the command that it runs, ends them."""
    taken, halves, graph = _market(show, tape, folder)
    _explain(show, folder, graph)
    _backfill(show, folder)
    _fit(show, folder, graph)
    _register(show, folder)
    pace = (taken.last_ns - halves.at_ns) / 1e9 / _STREAM_S
    from signal_stream.demo.outside import show_outside

    with _serve(show, folder, pace=pace) as serving:
        _scroll(show.console, serving.signals(for_s=_SCROLL_S), every_s=_EVERY_S, lines=_LINES_MAX)
        show_outside(show, folder)
        _parity(show, folder)
        chosen = _replay(show, folder)
        _kill(show, folder, serving)
        serving.stop()
    status, story = _picture(show, folder, pace=pace, simulated=tape is None)
    _close(show, folder, status, story, chosen)


def _market(show: Show, tape: Path | None, folder: DemoFolder) -> tuple[Taken, Halves, FeatureGraph]:
    from signal_stream.cli.progress import progress
    from signal_stream.demo import graph as source
    from signal_stream.demo.tape import cut, take
    from signal_stream.durations import utc
    from signal_stream.features import load_graph
    from signal_stream.ingest import Intake

    if tape is None:
        show.step("A market")
        show.say(f"no --tape: {_MARKET_S:.0f} s of a simulated order book (seed {_SEED}), recorded as a venue's frames")
        _simulate(show, folder.capture)
    else:
        show.step("Market data")
    origin = tape or folder.capture
    show.command("tape", "convert", origin, "-o", folder.tape)
    with progress("tape") as tell:
        taken = take(origin, folder.tape, on_progress=tell)
    whole = "" if taken.whole else "   the beginning only: a demo takes ten minutes at most"
    show.say(
        f"{folder.tape}  {taken.messages:,} messages, {taken.rows:,} rows, {taken.bytes / 1e6:.1f} MB   "
        f"{', '.join(taken.instruments)}   {utc(taken.first_ns)[:19]}Z + {taken.span_ns / 1e9:.0f} s{whole}"
    )
    if taken.whole:
        intake = Intake()
        intake.take({"counts": taken.rejected, "first": (), "faults": 0}, taken.inputs)
        show.say(intake.sum)
    for text in taken.rejected_first:
        show.say(f"refused  {text}")
    shutil.copyfile(Path(source.__file__), folder.graph)
    graph = load_graph(str(folder.graph))
    at_ns = taken.first_ns + int(_TRAIN_SHARE * taken.span_ns)
    halves = cut(folder.tape, at_ns, plan=graph.plan, first=folder.train, second=folder.live)
    show.say(
        f"cut at {utc(at_ns)[11:19]}Z: {folder.train.name} to learn on ({(at_ns - taken.first_ns) / 1e9:.0f} s, "
        f"{halves.first:,} messages), {folder.live.name} to serve ({(taken.last_ns - at_ns) / 1e9:.0f} s, {halves.second:,})"
    )
    return taken, halves, graph


def _simulate(show: Show, capture: Path) -> None:
    from signal_stream.testing import MarketSimulator

    with show.busy("simulating"):
        MarketSimulator(seed=_SEED, duration_s=_MARKET_S).write_capture(capture)


def _explain(show: Show, folder: DemoFolder, graph: FeatureGraph) -> None:
    from signal_stream.cli.figures import size

    show.step("The features: one definition, for history and live")
    show.command("explain", folder.graph)
    found = graph.explain()
    show.say(
        f"{found['name']}  {found['features']} features on {found['on']}   digest {found['digest'][:12]}…   "
        f"warm-up {found['warm_up']} ({found['warm_up_feature']})   {size(found['bytes'])} an instrument"
    )
    width = max(map(len, graph.features))
    for name, expression in graph.expressions.items():
        show.say(f"  {name:<{width}}  {expression!r}")


def _backfill(show: Show, folder: DemoFolder) -> None:
    show.step("Backfill: the training table")
    show.run("backfill", folder.graph, "--tape", folder.train, "-o", folder.features)


def _fit(show: Show, folder: DemoFolder, graph: FeatureGraph) -> None:
    from signal_stream.demo.fit import HORIZON, LABEL, SIGNAL, fit

    show.step(f"Fit a classifier: the {LABEL}")
    with show.busy("fitting"):
        fitted = fit(folder.features, folder.train, graph.features)
        _save(folder, fitted)
    show.say(
        f"{folder.model}  {type(fitted.model).__name__} → ONNX as {SIGNAL}   {len(fitted.rows):,} of {fitted.vectors:,} vectors "
        f"are whole and have a label that was known; of those that moved, {fitted.up_share:.0%} went up"
    )
    for number, fold in enumerate(fitted.folds, 1):
        show.say(f"  walk forward {number}, embargo {HORIZON}   {_score(fold)}")
    held_out = fitted.held_out
    show.say(f"  {'together':<{len('walk forward 1, embargo ') + len(HORIZON)}}   {_score(held_out)}")
    show.say(
        f"  by chance alone it would be 0 ± {held_out.error:.2f}: {held_out.windows:.0f} horizons are no evidence of alpha, "
        "and a demo is none either"
    )


def _save(folder: DemoFolder, fitted: Fitted) -> None:
    import signal_stream as ss
    from signal_stream.demo.fit import HORIZON, LABEL, SIGNAL

    ss.save_onnx(
        fitted.model,
        folder.model,
        columns=fitted.columns,
        rows=fitted.rows,
        signal=SIGNAL,
        horizon=HORIZON,
        label=LABEL,
    )


def _score(score: Score) -> str:
    rank_ic, auc = (format(x, form) if x == x else "–" for x, form in ((score.rank_ic, "+.2f"), (score.auc, ".2f")))
    return f"rank IC {rank_ic:>5}   AUC {auc:>4}   {score.rows:,} rows, {score.windows:.0f} horizons"


def _register(show: Show, folder: DemoFolder) -> None:
    from signal_stream.demo.serving import MODEL

    show.step("Register: the model is checked against its graph, and gets a version")
    files = ("--graph", folder.graph, "--model", folder.model, "--train", folder.features)
    registry = ("--registry", folder.registry)
    show.run("register", *files, "--name", MODEL, "--owner", "demo", *registry)
    why = "the demo goes live"
    show.run("models", "promote", f"{MODEL}@latest", "live", "--by", "demo", "--reason", why, *registry)


def _serve(show: Show, folder: DemoFolder, *, pace: float) -> Serving:
    from signal_stream.demo.outside import sections
    from signal_stream.demo.serving import DEPLOYMENT, MODEL, Serving

    show.step(f"Serve the rest as a live stream, at {pace:.1f}x its recorded pace")
    folder.deployment.write_text(DEPLOYMENT.format(pace=pace, model=MODEL) + sections(), encoding="utf-8")
    show.command("serve", folder.deployment)
    serving = Serving(folder)
    show.say(f"process {serving.pid} serves; its journal, read here as it grows (a line now and then):")
    return serving


def _scroll(console: Console, signals: Iterable[SignalRecord], *, every_s: float, lines: int) -> dict[str, int]:
    """Prints a signal now and then, and whenever the verdict turns, `lines` at most; counts all by their reason."""
    from signal_stream.cli.signal_line import signal_line
    from signal_stream.demo.story import reason

    seen: dict[str, int] = {}
    last, due_s, printed = "", 0.0, 0
    for signal in signals:
        why = reason(signal)
        seen[why] = seen.get(why, 0) + 1
        if printed < lines and (why != last or time.monotonic() >= due_s):
            console.print(signal_line(signal))
            last, due_s, printed = why, time.monotonic() + every_s, printed + 1
    return seen


def _parity(show: Show, folder: DemoFolder) -> None:
    show.step("Parity: live and history give the same bits")
    show.run("parity", folder.graph, "--tape", folder.tape)


def _replay(show: Show, folder: DemoFolder) -> str:
    """Replays the boldest signal so far; its id."""
    from signal_stream.demo.story import Story
    from signal_stream.store import State

    story = Story.of(State(folder.state).reader())
    chosen = max(story.passed or story.signals, key=lambda signal: abs((signal.value or 0.5) - 0.5)).signal_id
    show.step("Replay: one signal made again from tape, graph and model")
    show.run("replay", chosen, "--state", folder.state)
    return chosen


def _kill(show: Show, folder: DemoFolder, serving: Serving) -> None:
    show.step("Kill, while it serves")
    why = "the demo shows the switch"
    state = ("--state", folder.state)
    serving.skip()
    show.run("kill", "--all", "--by", "demo", "--reason", why, *state)
    seen = _scroll(show.console, serving.signals(for_s=_SILENCE_S), every_s=_SILENCE_S, lines=_SILENT_LINES)
    show.say(f"silence: {seen.get('KILLED', 0):,} signals vetoed as KILLED in {_SILENCE_S:g} s, each of them journaled")
    try:
        show.run("rearm", "--all", "--by", "", "--reason", "", *state)
    except LatchError as error:
        show.say(f"refused: {error} Until somebody signs for it, it stays silent, over restarts too")
    else:
        raise CommandError("STEP", "a kill was lifted by nobody")


def _picture(show: Show, folder: DemoFolder, *, pace: float, simulated: bool) -> tuple[Status, Story]:
    from signal_stream.demo.picture import draw
    from signal_stream.demo.prices import prices
    from signal_stream.demo.story import Story
    from signal_stream.store import State, Status

    show.step("A picture")
    story, status = Story.of(State(folder.state).reader()), Status.read(folder.state)
    assert status is not None
    title = "guarded signals on a simulated market" if simulated else "guarded signals on a recorded market"
    with show.busy("drawing"):
        draw(folder.picture, story, prices(folder.live), title=title, pace=pace)
    show.say(str(folder.picture))
    return status, story


def _close(show: Show, folder: DemoFolder, status: Status, story: Story, chosen: str) -> None:
    from signal_stream.cli.figures import latency_lines
    from signal_stream.demo.closing import check, details

    check(status, story)
    show.step("What happened")
    for name, text in details(status, story):
        show.fact(name, text)
    for text in latency_lines(status.latency_ns):
        show.say(text)
    show.say("")
    show.say(f"The whole line in {show.elapsed_s:.0f} s; all that it wrote lies in {folder.path}. What to try next:")
    state = ("--state", folder.state)
    show.next("look at the signals, and at the pipeline")
    show.command("signals", "tail", *state)
    show.command("signals", "show", chosen[:12], *state)
    show.command("status", *state)
    show.next("make a hundred of them again, bit for bit")
    show.command("replay", "--sample", "100", *state)
    show.next("let it speak again: it goes on where it stopped")
    show.command("rearm", "--all", "--by", "me", "--reason", "the demo is over", *state)
    show.command("serve", folder.deployment)
    show.next(f"change the graph: edit {folder.graph}, or a copy of it (the next demo empties the folder)")
    show.command("explain", folder.graph)
    show.command("parity", folder.graph, "--tape", folder.tape)
