"""`signal-stream boards`: what Grafana, Prometheus and Alertmanager need to watch deployments."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from signal_stream.cli.state_folder import home
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from signal_stream.monitor.watched import WatchedModel, WatchedPipeline

_PICTURE_S: Final = 900


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(
        epilog="Example: signal-stream boards deployment.toml -o watch/ && prometheus --config.file=watch/prometheus.yml"
    )(boards)


def boards(
    deployments: Annotated[
        list[Path], typer.Argument(metavar="deployment.toml…", help="Deployments that say where their metrics are.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Where the files go.")],
    page: Annotated[
        str, typer.Option("--page", metavar="URL", help="Is told what pages; {owner} stands for the model's owner.")
    ] = "http://127.0.0.1:9200/page/{owner}",
    ticket: Annotated[
        str, typer.Option("--ticket", metavar="URL", help="Is told everything else; {owner} as above.")
    ] = "http://127.0.0.1:9200/ticket/{owner}",
    alertmanager: Annotated[
        str, typer.Option("--alertmanager", metavar="HOST:PORT", help="Where Prometheus finds Alertmanager.")
    ] = "127.0.0.1:9093",
    picture: Annotated[
        str | None,
        typer.Option("--picture", metavar="URL", help="Also draw each board of what this Prometheus answers, as PNG."),
    ] = None,
) -> None:
    """Write a Grafana board for each model, Prometheus' rules, and Alertmanager's routes to the owners.

    Only freshness and schema page; everything else is a ticket."""
    from signal_stream.monitor.rules import alertmanager_config, prometheus_config, rule_groups
    from signal_stream.monitor.yaml_text import yaml_text

    pipelines = [_watched(home(path)) for path in deployments]
    names = [each.name for each in pipelines]
    for name in names:
        if names.count(name) > 1:
            advice = "Give each [pipeline] a name of its own: it stands in every metric."
            raise CommandError("BAD_OPTION", f'two deployments are named "{name}"', value=name, next_step=advice)
    files = {
        "prometheus.yml": yaml_text(prometheus_config(pipelines, alertmanager=alertmanager)),
        "alertmanager.yml": yaml_text(alertmanager_config(pipelines, page=page, ticket=ticket)),
    }
    drawn: dict[str, tuple[WatchedPipeline, WatchedModel]] = {}
    for each in pipelines:
        files[f"rules/{each.name}.yml"] = yaml_text(rule_groups(each))
        for model in each.models:
            drawn[f"boards/{each.name}-{model.name}"] = each, model
    files |= {f"{name}.json": _board(*what) for name, what in drawn.items()}
    try:
        for name, text in files.items():
            path = home(out) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path)
        if picture is not None:
            for name, what in drawn.items():
                print(_picture(home(out) / f"{name}.png", *what, url=picture))
    except OSError as error:
        raise CommandError("WRITE", str(error.strerror or error), where=str(error.filename or out)) from error


def _watched(path: Path) -> WatchedPipeline:
    from signal_stream.monitor.watched import watched
    from signal_stream.settings import load_deployment

    deployment = load_deployment(path)
    if deployment.metrics.listen is None or deployment.metrics.listen.endswith(":0"):
        advice = 'Say one, such as [metrics] listen = "127.0.0.1:9100".'
        what = "Prometheus needs a fixed port, and this deployment's metrics have none"
        value = deployment.metrics.listen
        raise CommandError("BAD_OPTION", what, where=str(path), value=value, next_step=advice)
    return watched(deployment)


def _board(pipeline: WatchedPipeline, model: WatchedModel) -> str:
    try:
        from signal_stream.monitor.board import board_json
    except ImportError as error:
        raise _missing(error, "boards") from error
    return board_json(pipeline, model)


def _picture(path: Path, pipeline: WatchedPipeline, model: WatchedModel, *, url: str) -> Path:
    from signal_stream.cli.board_picture import draw
    from signal_stream.cli.prometheus import Prometheus
    from signal_stream.monitor.panels import rows

    prometheus, until = Prometheus(url), time.time()
    try:
        draw(path, pipeline, model, rows(pipeline, model), prometheus, since=until - _PICTURE_S, until=until)
    except ImportError as error:
        raise _missing(error, "research") from error
    return path


def _missing(error: ImportError, extra: str) -> CommandError:
    advice = f'Install it: pip install "signal-stream[{extra}]".'
    return CommandError("NO_PACKAGE", f"the package {error.name} is not installed", next_step=advice)
