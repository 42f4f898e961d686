"""`signal-stream models list`, `show` and `promote`: the registered versions, what is known of each, and its stage."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from signal_stream.cli.options import RegistryFolder
from signal_stream.durations import duration_text, utc
from signal_stream.errors import SignalStreamError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from signal_stream.registry import AuditRow, Entry, Manifest, RegisteredModel, Registry


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    models = typer.Typer(no_args_is_help=True, help="List, show and promote registered models.")
    models.command("list", epilog="Example: signal-stream models list --registry registry")(models_list)
    models.command("show", epilog="Example: signal-stream models show btc_micro@live")(models_show)
    models.command(
        "promote", epilog="Example: signal-stream models promote btc_micro@latest live --by ada --reason trial"
    )(models_promote)
    app.add_typer(models, name="models")


def models_list(
    registry: RegistryFolder = "registry",
    as_json: Annotated[bool, typer.Option("--json", help="One object a version.")] = False,
) -> None:
    """List versions in the order of their newest registration, the latest last, with their stage.

    Exits with 2, after listing all, where a manifest is not as it was registered; `show` looks at a version's files too.
    """
    from signal_stream.registry import Registry

    opened = Registry(Path(registry))
    entries = opened.list()
    found = {entry.ref: _kind_of(opened, entry) for entry in entries}
    damage = [each for each in found.values() if isinstance(each, SignalStreamError)]
    kinds = {ref: f"({each.code})" if isinstance(each, SignalStreamError) else each for ref, each in found.items()}
    if as_json:
        for entry in entries:
            print(json.dumps(_plain(entry) | {"kind": kinds[entry.ref]}))
    elif not entries:
        print(f"no models in {registry}: register one first (signal-stream register --help)")
    else:
        _print_lines(entries, kinds)
    for error in damage[1:]:
        print(error, file=sys.stderr)
    if damage:
        raise damage[0]


def _print_lines(entries: Sequence[Entry], kinds: Mapping[str, str]) -> None:
    width = max((len(entry.ref) for entry in entries), default=0)
    for entry in entries:
        differs = "" if entry.stage == entry.stage_audited else f'   its history says "{entry.stage_audited}"'
        kind = "" if kinds[entry.ref] == "onnx" else f"   {kinds[entry.ref]}"
        when = utc(entry.created_at)[:19]
        print(f"{entry.ref:<{width}}  {entry.stage:<8}  registered {when}Z by {entry.created_by}{kind}{differs}")


def _kind_of(registry: Registry, entry: Entry) -> str | SignalStreamError:
    """The kind of a version; what is wrong with its manifest where that cannot be read."""
    try:
        return registry.manifest(entry).kind
    except SignalStreamError as error:
        return error


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
    from signal_stream.settings import guard_text

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
        f"  guards    {'; '.join(map(guard_text, manifest.guards)) or 'the built-in four, and what the deployment adds'}",
        f"  graph     {manifest.graph_name} {manifest.graph_digest[:12]}…   columns {manifest.schema_digest[:12]}…, "
        f"{manifest.dtype}",
        f"  training  {_training(model)}",
        f"  speaks for {', '.join(manifest.instruments) or 'what the deployment says: its training table named no instrument'}",
    ]


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
