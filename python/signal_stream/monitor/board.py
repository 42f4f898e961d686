"""A model's board as Grafana's JSON."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ScaleDistributionConfig,
    VizLegendOptions,
)
from grafana_foundation_sdk.builders.dashboard import Dashboard, DatasourceVariable, ThresholdsConfig
from grafana_foundation_sdk.builders.dashboard import Row as GrafanaRow
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos, Threshold, ThresholdsMode

from .panels import Panel, rows

if TYPE_CHECKING:
    from .watched import WatchedModel, WatchedPipeline

_UNITS: Final = {"seconds": "s", "per second": "cps", "count": "short", "share": "percentunit", "state": "none"}
_WIDTH: Final = 24
_HEIGHT: Final = 7
_SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${source}")


def board_json(pipeline: WatchedPipeline, model: WatchedModel) -> str:
    """The board; its uid is a function of pipeline and model, so that importing it again replaces it."""
    uid = hashlib.sha256(f"{pipeline.name}/{model.name}".encode()).hexdigest()[:20]
    made = (
        Dashboard(f"{model.name} in {pipeline.name} ({model.owner})")
        .uid(uid)
        .description(f"{model.version}, signal {model.signal}, stage {model.stage}. Owner: {model.owner}.")
        .tags(["signal-stream", f"owner:{model.owner}", f"pipeline:{pipeline.name}"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("utc")
        .with_variable(DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    top = 0
    for row in rows(pipeline, model):
        made = made.with_row(GrafanaRow(row.title).id(top + 1).grid_pos(GridPos(h=1, w=_WIDTH, x=0, y=top)))
        top += 1
        width = _WIDTH // len(row.panels)
        for number, panel in enumerate(row.panels):
            place = GridPos(h=_HEIGHT, w=width, x=number * width, y=top)
            made = made.with_panel(_panel(panel).id(100 * top + number).grid_pos(place))
        top += _HEIGHT
    return JSONEncoder(sort_keys=True, indent=1).encode(made.build()) + "\n"


def _panel(panel: Panel) -> TimeSeries:
    made = (
        TimeSeries()
        .title(panel.title)
        .description(panel.about)
        .datasource(_SOURCE)
        .unit(_UNITS[panel.unit])
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
        )
    )
    if panel.logarithmic:
        made = made.scale_distribution(ScaleDistributionConfig().type(ScaleDistribution.LOG).log(10))
    else:
        made = made.min(0)
    if panel.limit is not None:
        steps = [Threshold(value=None, color="green"), Threshold(value=panel.limit, color="red")]
        made = made.thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        made = made.thresholds_style(GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.LINE))
    for number, query in enumerate(panel.queries):
        asked = Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + number))
        made = made.with_target(asked)
    return made
