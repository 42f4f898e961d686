"""A tape's quality as a picture: what came, how long nothing came, how long it was under way, and where something is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from signal_stream.durations import about
from signal_stream.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from signal_stream.research.tape_quality import TapeQuality

_INK, _SOFT, _EDGE = "#1b2330", "#6b7686", "#d5dae1"
_COLOURS: Final = ("#15559e", "#e07b39", "#2a9d6f", "#8e5bb5", "#6aa5d4", "#9aa4b2", "#4a4e69", "#e9a23b")
_BAD: Final = "#c1121f"
_FAULTS_MAX: Final = 10
_BUSY: Final = 32
"""Messages of a piece of time from which on its busiest part says more than chance."""
_UNITS: Final = (("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400), ("year", 31_557_600))
_LENGTHS_NS: Final = (
    *(10.0**power for power in range(11)), 60e9, 600e9, 3_600e9, 6 * 3_600e9, 86_400e9, 7 * 86_400e9, 30 * 86_400e9,
    365.25 * 86_400e9, 3_652.5 * 86_400e9,
)  # fmt: skip
"""Lengths of time that are easily read."""
_MESSAGES_OF_RATES: Final = 200
"""Fewer than so many are counted; of more, rates are drawn."""
_STYLE: Any = {
    "font.family": "DejaVu Sans", "font.size": 8.5, "text.color": _INK, "axes.labelcolor": _SOFT, "axes.edgecolor": _EDGE,
    "axes.titlesize": 9.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "xtick.color": _SOFT, "ytick.color": _SOFT, "grid.color": "#edf0f3",
}  # fmt: skip


class _Panel(NamedTuple):
    height: float
    draw: Callable[[Axes, TapeQuality], None]


def draw_quality(path: Path, quality: TapeQuality, *, title: str) -> None:
    """Writes the picture as PNG: messages of each kind, silences, delays of each venue, gaps and duplicates by instrument. What
    a tape cannot have, as delays without venue times, has no panel. Raises CommandError where matplotlib is not installed, or
    the file cannot be written."""
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
    panels = [_Panel(2.2, _draw_rates), _Panel(1.3, _draw_silences)]
    if any(not clock.declared for clock in quality.clocks()):
        panels.append(_Panel(2.4, _draw_delays))
    if quality.faults:
        panels.append(_Panel(0.5 + 0.24 * min(len(quality.faults), _FAULTS_MAX), _draw_faults))
    heights = [panel.height for panel in panels]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(12, 1.3 + sum(heights)), dpi=110, facecolor="white")
        FigureCanvasAgg(figure)
        rows = figure.subplots(len(panels), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
        for axes, panel in zip(rows, panels, strict=True):
            panel.draw(axes, quality)
        _label_time(rows[-1], quality)
        clean = "" if quality.faults else "   no gap, no duplicate, time never goes back"
        figure.suptitle(f"{title}{clean}", x=0.01, ha="left", fontsize=11, fontweight="bold")
        figure.tight_layout(rect=(0, 0, 1, 0.98))
        try:
            figure.savefig(path, format="png")
        except OSError as error:
            what = f"the picture cannot be written: {error.strerror or error}"
            raise CommandError("WRITE", what, where=str(path)) from None


def _days(times: Any) -> Any:
    """Nanoseconds since 1970 as matplotlib counts time."""
    return times / 86_400e9


def _middles(quality: TapeQuality) -> Any:
    edges = quality.edges
    return _days((edges[1:] + edges[:-1]) / 2)


def _draw_rates(axes: Axes, quality: TapeQuality) -> None:
    import numpy as np

    piece_s = (quality.edges[1] - quality.edges[0]) / 1e9
    # Marks say that time has passed, and are of no market.
    counted = {kind: counts for kind, counts in quality.counts.items() if kind != "mark"} or quality.counts
    kinds = sorted(counted.items(), key=lambda each: -int(each[1].sum()))
    there = np.concatenate([counts[counts > 0] for _, counts in kinds])
    scale, title = 1.0, "messages"
    if sum(int(counts.sum()) for _, counts in kinds) >= _MESSAGES_OF_RATES:
        # A rate that is easily read: one or more in so long a time.
        usual = float(np.median(there)) / piece_s
        unit, seconds = next(((name, s) for name, s in _UNITS if usual * s >= 1), _UNITS[-1])
        scale, title = seconds / piece_s, f"messages a {unit}"
    for colour, (kind, counts) in zip(_COLOURS * 2, kinds, strict=False):
        label = f"{kind.replace('_', ' ')} {counts.sum():,}"
        axes.step(_middles(quality), counts * scale, where="mid", color=colour, lw=1.1, label=label)
        busy = np.where(counts >= _BUSY, quality.peaks[kind], counts) * scale
        axes.fill_between(_middles(quality), counts * scale, busy, step="mid", color=colour, alpha=0.18, lw=0)
    if there.max() >= 10 * there.min():
        least = min(1.0, float(there.min()) * scale)
        axes.set_yscale("symlog", linthresh=least, linscale=0.4)
        top = np.ceil(np.log10(float(there.max()) * scale))
        axes.set_yticks([0, *10.0 ** np.arange(np.floor(np.log10(least)) + 1, top + 1)])
        axes.set_yticks([], minor=True)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(_number)
    shade = "; shaded: in its busiest eighth" if any(int(counts.max()) >= _BUSY for _, counts in kinds) else ""
    axes.set_title(f"{title}, in pieces of {about(piece_s * 1e9)}{shade}")
    _finish(axes)


def _draw_silences(axes: Axes, quality: TapeQuality) -> None:
    import numpy as np

    silences = quality.silences.by_bin.astype(float)
    heard = silences[silences > 0]
    low, high = (float(heard.min()), float(heard.max())) if len(heard) else (0.5, 1.0)
    floor = 0.0 if high < 10 * low else low / 2
    axes.fill_between(_middles(quality), floor, np.maximum(silences, floor), step="mid", color=_SOFT, alpha=0.35, lw=0)
    if floor:
        axes.set_yscale("log")
        ticks = [ns for ns in _LENGTHS_NS if floor <= ns <= 2 * high]
    else:
        step = next((ns for ns in reversed(_LENGTHS_NS) if 2 * ns <= 1.1 * high), _LENGTHS_NS[0])
        ticks = [step * count for count in range(1, int(1.1 * high / step) + 1)]
        ticks = ticks[:: 1 + len(ticks) // 6]
    axes.set_yticks(ticks, [about(ns) for ns in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(bottom=floor, top=2 * high if floor else 1.1 * high)
    longest = quality.silences.longest[:1]
    told = f": at most {about(longest[0].ns)}" if longest else ""
    axes.set_title(f"longest time without a message{told}")
    _finish(axes)


def _draw_delays(axes: Axes, quality: TapeQuality) -> None:
    measured = [clock for clock in quality.clocks() if not clock.declared]
    for colour, clock in zip(_COLOURS * 8, measured, strict=False):
        low, middle, high = ((each - clock.p1) / 1e6 for each in quality.delays[clock.venue].percentiles(1, 50, 99))
        axes.fill_between(_middles(quality), low, high, color=colour, alpha=0.18, lw=0)
        drift = f", drift {clock.drift * 1e6:+.1f} ppm" if clock.drift is not None else ""
        label = f"{clock.venue}: p1 {clock.p1 / 1e6:,.1f} ms{drift}"
        # What stands alone between pieces without messages is no line.
        axes.plot(_middles(quality), middle, color=colour, lw=1.1, label=label, marker=".", markersize=2.5)
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(_number)
    axes.axhline(0, color=_EDGE, lw=0.8)
    axes.set_title("milliseconds under way, less the p1 of the whole tape: p1 to p99 shaded, and the median")
    _finish(axes)


def _draw_faults(axes: Axes, quality: TapeQuality) -> None:
    worst = sorted(quality.faults.items(), key=lambda each: -int(each[1].sum()))
    shown = worst[:_FAULTS_MAX]
    middles = _middles(quality)
    for row, (_, counts) in enumerate(shown):
        there = counts > 0
        sizes = 30 + 12 * counts[there] ** 0.5
        axes.scatter(middles[there], [row] * int(there.sum()), s=sizes, color=_BAD, marker="|", linewidths=1.4)
    axes.set_yticks(range(len(shown)), [f"{name}  {counts.sum():,}" for name, counts in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    more = f", the {_FAULTS_MAX} worst of {len(worst):,}" if len(worst) > _FAULTS_MAX else ""
    axes.set_title(f"gaps, duplicates, and where time goes back{more}")
    axes.grid(axis="x")
    axes.set_axisbelow(True)


def _label_time(axes: Axes, quality: TapeQuality) -> None:
    from matplotlib import dates

    axes.set_xlim(*_days(quality.edges[[0, -1]]))
    made: Any = dates  # whose constructors have no types
    locator = made.AutoDateLocator(minticks=5, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(made.ConciseDateFormatter(locator))
    axes.set_xlabel("UTC", loc="left")


def _number(value: float, _at: float) -> str:
    """A number on an axis as people write it: 1,000 and not 10³."""
    return f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"


def _finish(axes: Axes) -> None:
    axes.grid(axis="both")
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=7.5, frameon=False, ncols=5, borderaxespad=0.2)
