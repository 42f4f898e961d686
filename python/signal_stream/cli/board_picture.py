"""A model's board as a picture, drawn from what Prometheus answers to its queries."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from signal_stream.monitor.panels import Panel, Query, Row
    from signal_stream.monitor.watched import WatchedModel, WatchedPipeline

    from .prometheus import Line, Prometheus

_WIDTH, _ROW_HEIGHT, _DPI = 16.0, 2.5, 110
_POINTS: Final = 240
_INK, _SOFT, _EDGE, _LIMIT = "#1b2330", "#6b7686", "#d5dae1", "#c1121f"
_COLOURS: Final = ("#15559e", "#e07b39", "#2a9d6f", "#8e5bb5", "#c1121f", "#6aa5d4", "#9aa4b2", "#4a4e69")
_WELL, _POOR, _BAD = "#2a9d6f", "#e9a23b", "#c1121f"
_STATES: Final = {
    "OK": _WELL, "SERVING": _WELL, "STARTING": "#6aa5d4", "STOPPED": "#9aa4b2", "NEVER SERVED": "#9aa4b2",
    "DEGRADED": _POOR, "SILENT": _POOR,
}  # fmt: skip
"""All other states are bad."""
_LINES_MAX: Final = 8
_NAME_MAX: Final = 22
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": _INK, "axes.labelcolor": _SOFT, "axes.edgecolor": _EDGE,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "xtick.color": _SOFT, "ytick.color": _SOFT, "grid.color": "#edf0f3",
}  # fmt: skip


def draw(
    path: Path,
    pipeline: WatchedPipeline,
    model: WatchedModel,
    rows: Sequence[Row],
    prometheus: Prometheus,
    *,
    since: float,
    until: float,
) -> None:
    """Writes the board over a span of time (seconds since 1970) as PNG. A span in which nothing was scraped is left out at its
    beginning. Raises CommandError where Prometheus does not answer, OSError."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scraped = prometheus.lines(f'signal_stream_state{{pipeline="{pipeline.name}"}}', since=since, until=until, step=1)
    since = max(since, min((line.times[0] for line in scraped), default=since))
    step = max(1.0, (until - since) / _POINTS)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 1.0 + _ROW_HEIGHT * len(rows)), dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        high = 1.0 + _ROW_HEIGHT * len(rows)
        for number, row in enumerate(rows):
            top = 1 - (0.95 + _ROW_HEIGHT * number) / high
            bottom = top - (_ROW_HEIGHT - 0.85) / high
            figure.text(0.035, top + 0.28 / high, row.title, size=11, weight="bold", color=_COLOURS[0])
            grid = figure.add_gridspec(1, len(row.panels), left=0.035, right=0.985, top=top, bottom=bottom, wspace=0.2)
            for place, panel in enumerate(row.panels):
                axes = figure.add_subplot(grid[place])
                answers = [
                    (query, prometheus.lines(query.expr, since=since, until=until, step=step))
                    for query in panel.queries
                ]
                _panel(axes, panel, answers, since=since, until=until, across=12 // len(row.panels))
        figure.text(0.035, 1 - 0.38 / high, f"{model.name} in {pipeline.name}", size=16, weight="bold")
        first, last = (datetime.fromtimestamp(t, UTC) for t in (since, until))
        span = f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC"
        about = f"owner {model.owner}   {model.version}   signal {model.signal}   {span}"
        figure.text(0.985, 1 - 0.38 / high, about, size=9, color=_SOFT, ha="right")
        figure.savefig(path)


def _panel(
    axes: Axes, panel: Panel, answers: list[tuple[Query, list[Line]]], *, since: float, until: float, across: int
) -> None:
    """`across` is how many names there are beside each other in the legend."""
    scale, unit = _scale(panel, [n for _, lines in answers for line in lines for n in line.numbers])
    axes.set_title(f"{panel.title}, {unit}" if unit else panel.title)
    axes.grid(visible=True, axis="y")
    if panel.unit == "state":
        axes.grid(visible=False)
        _states(axes, answers, since=since, until=until)
        return
    every = [(query, line) for query, lines in answers for line in lines]
    moving = [(query, line) for query, line in every if any(line.numbers)]
    drawn = (moving or every[:1])[:_LINES_MAX]
    for colour, (query, line) in zip(_COLOURS, drawn, strict=False):
        name = _named(query.legend, line.labels) if moving else "all 0"
        numbers = [n * scale for n in line.numbers]
        axes.plot([t - since for t in line.times], numbers, color=colour, linewidth=1.4, label=name)
    if not drawn:
        axes.text(0.5, 0.5, "no answer", transform=axes.transAxes, ha="center", color=_LIMIT)
    if panel.limit is not None and drawn:
        low, top = axes.get_ylim()
        shown = panel.limit * scale
        if shown < 4 * max(top, 1e-12):
            axes.axhline(shown, color=_LIMIT, linewidth=1, linestyle=(0, (4, 3)))
        else:
            axes.text(
                0.99, 0.95, f"limit {shown:g} {unit}", transform=axes.transAxes, ha="right", va="top", color=_LIMIT
            )
        axes.set_ylim(low, None)
    axes.set_xlim(0, max(until - since, 1.0))
    if panel.logarithmic and moving:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    else:
        axes.set_ylim(0, None if axes.get_ylim()[1] > 0 else 1)
    axes.xaxis.set_major_formatter(_clock)
    axes.locator_params(axis="x", nbins=5)
    if drawn:
        axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.13), ncols=across, frameon=False, fontsize=7.5,
                    handlelength=1.1, columnspacing=1.0, borderaxespad=0.0)  # fmt: skip


def _states(axes: Axes, answers: list[tuple[Query, list[Line]]], *, since: float, until: float) -> None:
    """A band for each line, where it has numbers."""
    lines = [(_named(query.legend, line.labels), line) for query, found in answers for line in found]
    for place, (name, line) in enumerate(lines):
        colour = _STATES.get(name, _BAD)
        axes.scatter([t - since for t in line.times], [-place] * len(line.times), marker="s", s=16, color=colour)
    axes.set_yticks([-place for place in range(len(lines))], [name for name, _ in lines])
    axes.set_ylim(-max(len(lines), 1) + 0.5, 0.5)
    axes.set_xlim(0, max(until - since, 1.0))
    axes.xaxis.set_major_formatter(_clock)


def _clock(t: float, _position: float = 0.0) -> str:
    """Minutes and seconds.

    >>> _clock(75.0)
    '1:15'
    """
    return f"{int(t) // 60}:{int(t) % 60:02d}"


def _named(legend: str, labels: dict[str, str]) -> str:
    """A legend with its labels filled in, that fits: of an address the end."""
    name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend)
    return name if len(name) <= _NAME_MAX else f"…{name[1 - _NAME_MAX :]}"


def _scale(panel: Panel, numbers: list[float]) -> tuple[float, str]:
    """By what numbers are multiplied, and the unit that they have then."""
    if panel.unit == "share":
        return 100.0, "%"
    if panel.unit != "seconds":
        return 1.0, "per second" if panel.unit == "per second" else ""
    most = max((n for n in numbers if math.isfinite(n)), default=0.0) or 1.0
    if most < 1e-3:
        return 1e6, "µs"
    return (1e3, "ms") if most < 1 else (1.0, "s")
