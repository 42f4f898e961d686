"""`signal-stream register` and `signal-stream models`: from a fitted model to an immutable version."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signal_stream.durations import utc
from signal_stream.errors import CommandError, SignalStreamError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from signal_stream.registry import AuditRow, Entry, Manifest, RegisteredModel, Registry

RegistryFolder = Annotated[str, typer.Option("--registry", metavar="DIR", help="The registry's folder.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(
        "register",
        epilog="Example: signal-stream register --graph graph.py --model m.onnx --train features.parquet "
        "--name btc_micro --registry registry",
    )(register_model)
    models = typer.Typer(no_args_is_help=True, help="List and show registered models.")
    models.command("list", epilog="Example: signal-stream models list --registry registry")(models_list)
    models.command("show", epilog="Example: signal-stream models show btc_micro@live")(models_show)
    models.command(
        "promote", epilog="Example: signal-stream models promote btc_micro@latest live --by ada --reason trial"
    )(models_promote)
    app.add_typer(models, name="models")


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
            help="Judges its signals wherever it is served; or a TOML file of [[guard]]. May be repeated.",
        ),
    ] = None,
) -> None:
    """Check a model against its graph and training table, and keep it under an immutable version."""
    from signal_stream.features import load_graph
    from signal_stream.registry import Registry
    from signal_stream.research.python_model import register_python
    from signal_stream.research.registration import Declaration
    from signal_stream.research.registration import register as run

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
        print(f"its signals are judged by guard {_guard(each)}")
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


def models_list(
    registry: RegistryFolder = "registry",
    as_json: Annotated[bool, typer.Option("--json", help="One object a version.")] = False,
) -> None:
    """List versions in the order of their newest registration, the latest last, with their stage."""
    from signal_stream.registry import Registry

    opened = Registry(Path(registry))
    entries = opened.list()
    kinds = {entry.ref: _kind_of(opened, entry) for entry in entries}
    if as_json:
        for entry in entries:
            print(json.dumps(_plain(entry) | {"kind": kinds[entry.ref]}))
        return
    if not entries:
        print(f"no models in {registry}: register one first (signal-stream register --help)")
    width = max((len(entry.ref) for entry in entries), default=0)
    for entry in entries:
        differs = "" if entry.stage == entry.stage_audited else f'   its history says "{entry.stage_audited}"'
        kind = "" if kinds[entry.ref] == "onnx" else f"   {kinds[entry.ref]}"
        when = utc(entry.created_at)[:19]
        print(f"{entry.ref:<{width}}  {entry.stage:<8}  registered {when}Z by {entry.created_by}{kind}{differs}")


def _kind_of(registry: Registry, entry: Entry) -> str:
    """The kind of a version; what is wrong with its manifest where that cannot be read."""
    try:
        return registry.manifest(entry).kind
    except SignalStreamError as error:
        return f"({error.code})"


def _plain(entry: Entry) -> dict[str, object]:
    return {"ref": entry.ref, "stage": entry.stage, "digest": entry.digest, "created_at": entry.created_at}


def models_show(
    ref: Annotated[str, typer.Argument(metavar="REF", help="name@version, name@latest or name@live.")],
    registry: RegistryFolder = "registry",
    as_json: Annotated[bool, typer.Option("--json", help="The whole manifest.")] = False,
) -> None:
    """Show a version's manifest, checked against its digest, and its history."""
    from signal_stream.registry import Registry

    opened = Registry(Path(registry))
    model = opened.load(ref)
    entry, manifest = model.entry, model.manifest
    if as_json:
        plain = json.loads(manifest.to_json())
        plain["graph"] = json.loads(plain["graph"])
        print(json.dumps({"ref": entry.ref, "stage": entry.stage, "digest": entry.digest, **plain}, indent=2))
        return
    history = [row for row in opened.history(entry.name) if row.version == entry.version]
    for text in (*_described(model), "", *_columns(manifest), "", *map(_change, history)):
        print(text)


def _change(row: AuditRow) -> str:
    change = f"→ {row.stage_to}" if row.stage_from is None else f"{row.stage_from} → {row.stage_to}"
    return f"{utc(row.at)[:19]}Z  {row.action} {change}  by {row.by}  {row.reason}".rstrip()


def _described(model: RegisteredModel) -> list[str]:
    from signal_stream.durations import duration_text

    entry, manifest = model.entry, model.manifest
    output, defaults = manifest.output, ", ".join(f"{name}={x:g}" for name, x in manifest.defaults.items())
    return [
        f"{entry.ref}  {entry.stage}   digest {entry.digest[:12]}…   owner {manifest.owner}",
        f"  says      {manifest.signal} over {duration_text(manifest.horizon_ns)}: {manifest.label or 'no label noted'}; "
        f"to be fitted again every {duration_text(manifest.refit_cadence_ns)}",
        f"  model     {_kind(manifest)}, output {output.name}[{output.index}] of {output.size}; {manifest.golden.rows} golden "
        f"rows agree within {manifest.golden.difference_max:.1e}",
        f"  serving   deadline {duration_text(manifest.deadline_ns)}, then {manifest.fallback}; "
        + (f"defaults {defaults}" if defaults else "no defaults"),
        f"  guards    {'; '.join(map(_guard, manifest.guards)) or 'the built-in four, and what the deployment adds'}",
        f"  graph     {manifest.graph_name} {manifest.graph_digest[:12]}…   columns {manifest.schema_digest[:12]}…, "
        f"{manifest.dtype}",
        f"  training  {_training(model)}",
        f"  speaks for {', '.join(manifest.instruments) or 'what the deployment says: its training table named no instrument'}",
    ]


def _guard(section: Mapping[str, object]) -> str:
    """A guard of a manifest, as `--guard` takes it."""
    settings = ",".join(f"{key}={json.dumps(value)}" for key, value in section.items() if key != "kind")
    return f"{section['kind']}{':' if settings else ''}{settings}"


def _kind(manifest: Manifest) -> str:
    """The kind, flagged where it is a module of a user's."""
    if manifest.kind != "python":
        return manifest.kind
    needs = f", needs {', '.join(manifest.requirements)}" if manifest.requirements else ""
    return f"python module of a user's{', carries state' if manifest.stateful else ''}{needs}"


def _training(model: RegisteredModel) -> str:
    if "training.json" not in model.files:
        return "not noted: registered by an earlier release"
    training = json.loads(model.files["training.json"].read_bytes())
    made = "made by this graph" if training["graph_digest"] else "the table did not say which graph made it"
    return f"{training['rows']:,} rows, {made}"


def _columns(manifest: Manifest) -> list[str]:
    """Each column with its distribution in training."""
    rows: list[tuple[str, ...]] = [("column", "invalid", "mean", "std", "min", "1%", "median", "99%", "max")]
    for name in manifest.columns:
        found = manifest.training_distribution[name]
        at = dict(found.quantiles)
        numbers = (found.mean, found.std, found.min, at.get(0.01), at.get(0.5), at.get(0.99), found.max)
        rows.append((name, f"{found.null_share:.1%}", *("–" if x is None else f"{x:.3g}" for x in numbers)))
    width, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        "  ".join([name.ljust(width), *(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))])
        for name, *cells in rows
    ]


def models_promote(
    ref: Annotated[str, typer.Argument(metavar="REF", help="name@version or name@latest.")],
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="shadow, canary, live or retired.")],
    by: Annotated[str, typer.Option("--by", metavar="NAME", help="Who decides.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")],
    registry: RegistryFolder = "registry",
) -> None:
    """Give a version another stage; the manifest does not change."""
    from signal_stream.registry import Registry

    entry = Registry(Path(registry)).promote(ref, stage, by=by, reason=reason, now=time.time_ns())
    print(f"{entry.ref} is {entry.stage}")
