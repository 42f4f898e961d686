"""A tape's quality as a picture: what came, how long it was under way, and where something is missing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from signal_stream.research.tape_quality import TapeQuality

_INK, _SOFT, _EDGE = "#1b2330", "#6b7686", "#d5dae1"
_COLOURS: Final = ("#15559e", "#e07b39", "#2a9d6f", "#8e5bb5", "#6aa5d4", "#9aa4b2", "#4a4e69", "#e9a23b")
_BAD: Final = "#c1121f"
_FAULTS_MAX: Final = 10
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": _INK, "axes.labelcolor": _SOFT, "axes.edgecolor": _EDGE,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "xtick.color": _SOFT, "ytick.color": _SOFT, "grid.color": "#edf0f3",
}  # fmt: skip


def draw_quality(path: Path, quality: TapeQuality, *, title: str) -> None:
    """Writes the picture as PNG: messages a second of each kind, delays of each venue, gaps and duplicates by instrument. Raises
    CommandError where matplotlib is not installed, or the file cannot be written."""
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise CommandError(
            "NO_PACKAGE",
            "the picture needs matplotlib",
            value="matplotlib",
            next_step="pip install signal-stream[research]",
        ) from None
    faults = min(len(quality.faults), _FAULTS_MAX)
    heights = [2.2, 2.4, 0.5 + 0.24 * max(faults, 1)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12, 1.3 + sum(heights)), dpi=110, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.subplots(3, 1, sharex=True, height_ratios=heights)
        _draw_rates(axes[0], quality)
        _draw_delays(axes[1], quality)
        _draw_faults(axes[2], quality)
        _label_time(axes[2], quality)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.tight_layout(rect=(0, 0, 1, 0.98))
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            what = f"the picture cannot be written: {error.strerror or error}"
            raise CommandError("WRITE", what, where=str(path)) from None


def _middles(quality: TapeQuality) -> Any:
    edges = quality.edges
    return (edges[1:] + edges[:-1]) / 2


def _draw_rates(axes: Axes, quality: TapeQuality) -> None:
    seconds = (quality.edges[1] - quality.edges[0]) / 1e9
    totals = sorted(quality.counts.items(), key=lambda each: -int(each[1].sum()))
    for colour, (kind, counts) in zip(_COLOURS * 2, totals, strict=False):
        axes.step(
            _middles(quality), counts / seconds, where="mid", color=colour, lw=1.1, label=f"{kind} {counts.sum():,}"
        )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.set_title("messages a second")
    _finish(axes)


def _draw_delays(axes: Axes, quality: TapeQuality) -> None:
    for colour, clock in zip(_COLOURS * 8, quality.clocks(), strict=False):
        times, low = quality.lower_edges(clock.venue)
        _, high = quality.lower_edges(clock.venue, 99)
        _, middle = quality.lower_edges(clock.venue, 50)
        low, middle, high = ((each - clock.offset) / 1e6 for each in (low, middle, high))
        axes.fill_between(times, low, high, color=colour, alpha=0.18, lw=0)
        label = f"{clock.venue}: least {clock.offset / 1e6:,.1f} ms, drift {clock.drift * 1e6:+.1f} ppm"
        axes.plot(times, middle, color=colour, lw=1.1, label=label)
    axes.set_yscale("symlog", linthresh=1)
    axes.axhline(0, color=_EDGE, lw=0.8)
    axes.set_title("milliseconds under way beyond the least: p1 to p99, and the middle")
    _finish(axes)


def _draw_faults(axes: Axes, quality: TapeQuality) -> None:
    worst = sorted(quality.faults.items(), key=lambda each: -int(each[1].sum()))[:_FAULTS_MAX]
    middles = _middles(quality)
    for row, (_, counts) in enumerate(worst):
        there = counts > 0
        axes.scatter(middles[there], [row] * int(there.sum()), s=10 + 8 * counts[there] ** 0.5, color=_BAD, marker="|")
    axes.set_yticks(range(len(worst)), [f"{name}  {counts.sum():,}" for name, counts in worst])
    axes.set_ylim(len(worst) - 0.5 if worst else 0.5, -0.5)
    axes.set_title("gaps and duplicates" if worst else "gaps and duplicates: none")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _label_time(axes: Axes, quality: TapeQuality) -> None:
    span_s = (quality.last - quality.first) / 1e9
    form = "%H:%M:%S" if span_s < 6 * 3600 else "%d %H:%M" if span_s < 10 * 86_400 else "%Y-%m-%d"
    axes.set_xlim(quality.edges[0], quality.edges[-1])

    def text(ns: float, _at: float) -> str:
        return datetime.fromtimestamp(ns / 1e9, UTC).strftime(form)

    axes.xaxis.set_major_formatter(text)


def _finish(axes: Axes) -> None:
    axes.grid(axis="both")
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=7.5, frameon=False, ncols=5, borderaxespad=0.2)
