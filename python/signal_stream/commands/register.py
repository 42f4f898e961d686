"""`signal-stream register`: from a fitted model to an immutable version."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from signal_stream.cli.options import RegistryFolder
from signal_stream.errors import CommandError


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        "register",
        epilog="Example: signal-stream register --graph graph.py --model m.onnx --train features.parquet "
        "--name btc_micro --registry registry",
    )(register_model)


def register_model(
    graph: Annotated[str, typer.Option(metavar="GRAPH.py[:name]", help="The file that holds the graph.")],
    train: Annotated[str, typer.Option(metavar="OUT.parquet", help="The table that the model was trained on.")],
    name: Annotated[str, typer.Option(metavar="NAME", help="The model's id.")],
    registry: RegistryFolder,
    model: Annotated[
        str | None, typer.Option(metavar="M.onnx", help="Written by signal_stream.save_onnx, or sealed by seal_onnx.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(metavar="MODEL.py", help="Instead of --model: a module with predict or a class Model.")
    ] = None,
    requirements: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What the module needs, as numpy>=1.26. May be repeated.")
    ] = None,
    file: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="Kept beside the module. May be repeated.")
    ] = None,
    owner: Annotated[str | None, typer.Option(help="Who answers for it; default: the system user.")] = None,
    signal: Annotated[str | None, typer.Option(help="What its value is called, as up_10s.")] = None,
    horizon: Annotated[str | None, typer.Option(help="How far ahead it looks, as 10s.")] = None,
    label: Annotated[str | None, typer.Option(help="How the training target was made.")] = None,
    refit: Annotated[str, typer.Option(help="How often it is to be fitted again.")] = "7d",
    deadline: Annotated[str, typer.Option(help="How long a prediction may take.")] = "5ms",
    fallback: Annotated[str, typer.Option(help="veto, last_valid or constant:X where none came.")] = "veto",
    default: Annotated[
        list[str] | None, typer.Option(metavar="FEATURE=X", help="Stands in for an invalid feature. May be repeated.")
    ] = None,
    guard: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND:key=value,…",
            help="Judges its signals wherever it is served; or a TOML file with guard tables. May be repeated.",
        ),
    ] = None,
) -> None:
    """Check a model against its graph and training table, and keep it under an immutable version."""
    from signal_stream.features import load_graph
    from signal_stream.registry import Registry
    from signal_stream.research.python_model import register_python
    from signal_stream.research.registration import Declaration
    from signal_stream.research.registration import register as run
    from signal_stream.settings import guard_text

    if (model is None) == (python is None):
        advice = "Give --model M.onnx or --python MODEL.py."
        raise CommandError("BAD_OPTION", "a registration is of one model", next_step=advice)
    defaults = dict(_default(text) for text in default or ())
    if python is not None:
        entry = register_python(
            python, graph=load_graph(graph), train=train, registry=registry, name=name, owner=owner or _user(),
            horizon=horizon or "", signal=signal, label=label, refit=refit, deadline=deadline, fallback=fallback,
            defaults=defaults, requirements=requirements or (), files=file or (), guards=guard or (), now=time.time_ns(),
        )  # fmt: skip
    else:
        declared = Declaration(
            name=name, owner=owner or _user(), signal=signal, horizon=horizon, label=label, refit=refit,
            deadline=deadline, fallback=fallback, defaults=defaults, guards=guard or (),
        )  # fmt: skip
        entry = run(load_graph(graph), str(model), train, registry, declared, now=time.time_ns())
    kept = Registry(Path(registry)).load(entry.ref)
    manifest = kept.manifest
    if manifest.kind == "python":
        state = ", carries state" if manifest.stateful else ""
        print(
            f"checked {manifest.golden.rows} golden rows twice: the same bits{state}. A Python module, run in a worker"
        )
    else:
        print(
            f"checked {manifest.golden.rows} golden rows in {manifest.dtype}: at most {manifest.golden.difference_max:.1e} "
            "from the original's predictions"
        )
    if json.loads(kept.files["training.json"].read_bytes())["graph_digest"] is None:
        print(
            f"warning: {train} does not say which graph made it (polars and pandas drop that), so nobody has checked that "
            f'graph "{manifest.graph_name}" did',
            file=sys.stderr,
        )
    if not manifest.instruments:
        print(
            f"warning: {train} names no instrument, so nobody knows for which the model was trained: the deployment has to say "
            'instruments = ["…"] in its [[model]]',
            file=sys.stderr,
        )
    for each in manifest.guards:
        print(f"its signals are judged by guard {guard_text(each)}")
    print(f"registered {entry.ref}  ({entry.stage})   digest {entry.digest[:12]}…   {registry}")
    if entry.stage == "retired":
        print(f"it was registered before and is retired, so {name}@latest does not mean it")
    print(f"make it live: signal-stream models promote {entry.ref} live --by NAME --reason TEXT --registry {registry}")


def _user() -> str:
    """The user's name; the number where the system has no name for it, as in containers."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _default(text: str) -> tuple[str, float]:
    feature, equals, number = text.partition("=")
    try:
        if not equals:
            raise ValueError
        return feature.strip(), float(number)
    except ValueError:
        raise CommandError(
            "BAD_OPTION", f'--default has "{text}"', next_step="Write FEATURE=NUMBER, as obi_5=0."
        ) from None
