"""The demo's picture: the price with what the pipeline said about it, the verdicts, and what it took."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from signal_stream.demo.prices import PRICE
from signal_stream.demo.story import Story, reason
from signal_stream.records import PASS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa
    from matplotlib.axes import Axes

    from signal_stream.records import SignalRecord

_SIZE_INCHES: Final = (13.0, 9.2)
_DPI: Final = 140
_SIDES: Final = {"left": 0.07, "right": 0.925}
_HEADROOM: Final = 0.22
_INK, _SOFT, _LINE = "#1b2330", "#6b7686", "#d5dae1"
_UP_AND_DOWN: Final = ("#b2182b", "#e58267", "#c9ced6", "#6aa5d4", "#15559e")
_KILL_COLOUR: Final = "#c1121f"
_VERDICTS: Final = {
    PASS: "#2a9d6f",
    "INCOMPLETE": "#9aa4b2",
    "STALE": "#e9a03b",
    "DEADLINE": "#8e5bb5",
    "KILLED": _KILL_COLOUR,
}
_OTHER_VETO: Final = "#4a4e69"
_STAGES: Final = {
    "features": ("features", "#15559e"),
    "model": ("model", "#e07b39"),
    "guards": ("guards", "#2a9d6f"),
    "emit": ("emit, up to the journal", "#8e5bb5"),
}


def draw(path: Path, story: Story, prices: pa.Table, *, title: str, pace: float) -> None:
    """Writes the picture of one instrument's signals as PNG. `prices` are those of the served tape."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    instrument = story.instrument
    shown = story.of_instrument(instrument)
    style: Any = {
        "font.family": "DejaVu Sans",
        "font.size": 9.5,
        "text.color": _INK,
        "axes.labelcolor": _SOFT,
        "axes.edgecolor": _LINE,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": _SOFT,
        "ytick.color": _SOFT,
        "grid.color": "#edf0f3",
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(figure)
        market = figure.add_gridspec(3, 1, height_ratios=[3.6, 0.3, 1.5], top=0.89, bottom=0.36, hspace=0.26, **_SIDES)
        below = figure.add_gridspec(1, 2, top=0.27, bottom=0.06, wspace=0.14, **_SIDES)
        price = figure.add_subplot(market[0])
        verdicts = figure.add_subplot(market[1], sharex=price)
        value = figure.add_subplot(market[2], sharex=price)
        first = shown.signals[0].lineage.ts_recv
        day = datetime.fromtimestamp(first / 1e9, UTC).strftime("%Y-%m-%d")
        figure.text(_SIDES["left"], 0.96, f"{instrument}: {title}", fontsize=15, weight="bold")
        figure.text(_SIDES["left"], 0.932, _subtitle(shown, pace=pace, day=day), fontsize=9.5, color=_SOFT)
        _price(price, shown, prices, instrument)
        _verdicts(verdicts, shown)
        _values(value, shown)
        for axes in (price, verdicts, value):
            _stretches(axes, shown, labelled=axes is price)
        _clock(value, shown)
        _latency(figure.add_subplot(below[0]), story.signals)
        _freshness(figure.add_subplot(below[1]), story.signals)
        figure.savefig(path, metadata={"Software": "signal-stream demo"})


def _subtitle(story: Story, *, pace: float, day: str) -> str:
    first, last = story.signals[0].lineage, story.signals[-1].lineage
    seconds = (last.ts_recv - first.ts_recv) / 1e9
    return (
        f"{len(story.signals):,} signals of {first.model_id}@{first.model_version[:8]} over {seconds:.0f} s of market on {day}, "
        f"served at {pace:.1f}x recorded pace; each one replayable to the bit"
    )


def _price(axes: Axes, story: Story, prices: pa.Table, instrument: str) -> None:
    """The mid, and on it the signals that passed, coloured by their value."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    from matplotlib.colors import LinearSegmentedColormap

    table = prices.filter(pc.equal(prices["instrument"].cast(pa.string()), instrument))
    times = table["ts_recv"].cast(pa.int64()).to_numpy()
    mids = table[PRICE].to_numpy()
    first, last = story.signals[0].lineage.ts_recv, story.signals[-1].lineage.ts_recv
    served = (times >= first) & (times <= last)
    times, mids = times[served], mids[served]
    axes.step(_date(times), mids, where="post", color="#aab2bd", linewidth=0.9, zorder=1)
    at = np.array([signal.lineage.ts_recv for signal in story.passed], dtype=np.int64)
    values = np.array([signal.value for signal in story.passed], dtype=float)
    axes.set_title("Mid price [quote currency], with the signals that passed")
    axes.grid(axis="y")
    axes.tick_params(labelbottom=False)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    if len(times) == 0 or np.isnan(mids).all():
        return
    low, high = np.nanmin(mids), np.nanmax(mids)
    axes.set_ylim(low - 0.06 * (high - low or low), high + _HEADROOM * (high - low or low))
    if len(at) == 0:
        return
    places = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    reach = max(0.05, float(np.abs(values - 0.5).max()))
    colours = LinearSegmentedColormap.from_list("down_up", _UP_AND_DOWN)
    dots = axes.scatter(
        _date(at),
        mids[places],
        c=values,
        cmap=colours,
        vmin=0.5 - reach,
        vmax=0.5 + reach,
        s=13,
        linewidths=0,
        zorder=3,
    )
    bar = axes.figure.colorbar(dots, cax=axes.inset_axes((1.012, 0.0, 0.012, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.set_label("signal: probability that the mid is higher in 10 s", fontsize=8)


def _verdicts(axes: Axes, story: Story) -> None:
    """A band: one stroke a signal, in the colour of its verdict."""
    counts = story.reasons
    for name in sorted(counts, key=lambda name: (name == "KILLED", name != PASS, -counts[name])):
        strokes = [
            stroke for stroke, signal in zip(_strokes(story), story.signals, strict=True) if reason(signal) == name
        ]
        axes.broken_barh(strokes, (0, 1), color=_colour(name), linewidth=0, label=f"{name} {counts[name]:,}")
    axes.set_title("Verdict of the Gate, one stroke a signal")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(labelbottom=False, bottom=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.98),
        ncols=len(counts),
        frameon=False,
        fontsize=9,
        handlelength=0.9,
        columnspacing=1.6,
        handleheight=0.8,
        handletextpad=0.5,
        borderaxespad=0.2,
    )


def _strokes(story: Story) -> list[tuple[float, float]]:
    """For each signal its moment and the time to the next, a second at most; in the axis's days."""
    import numpy as np

    at = np.array([signal.lineage.ts_recv for signal in story.signals], dtype=np.int64)
    wide = np.minimum(np.diff(at, append=at[-1] + 100_000_000), 1_000_000_000)
    return list(zip(_date(at).tolist(), _date(wide).tolist(), strict=True))


def _values(axes: Axes, story: Story) -> None:
    """The signal's value, with gaps where nothing passed."""
    import numpy as np

    at = [signal.lineage.ts_recv for signal in story.signals]
    values = [np.nan if signal.value is None else signal.value for signal in story.signals]
    axes.axhline(0.5, color=_SOFT, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    axes.plot(_date(at), values, color="#15559e", linewidth=1.0, zorder=2)
    signal = story.signals[0].signal
    axes.set_title(f"Value of {signal} [probability]: none where it was vetoed")
    axes.grid(axis="y")
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _stretches(axes: Axes, story: Story, *, labelled: bool) -> None:
    """Shades what was silent from the beginning to the first pass, and from the kill on."""
    first, last = story.signals[0].lineage.ts_recv, story.signals[-1].lineage.ts_recv
    passed = story.passed
    place = axes.get_xaxis_transform()
    if passed and passed[0].lineage.ts_recv > first:
        until = passed[0].lineage.ts_recv
        axes.axvspan(*_date([first, until]), color="#eef1f5", zorder=0, linewidth=0)
        if labelled:
            axes.text(
                _date([(first + until) // 2])[0],
                0.97,
                "windows fill:\nINCOMPLETE",
                transform=place,
                ha="center",
                va="top",
                fontsize=8.5,
                color=_SOFT,
            )
    if story.killed_at is not None:
        axes.axvspan(*_date([story.killed_at, last]), color="#fbeaea", zorder=0, linewidth=0)
        axes.axvline(_date([story.killed_at])[0], color=_KILL_COLOUR, linewidth=1.4, zorder=4)
        if labelled:
            axes.annotate(
                "kill --all\nsilence",
                (_date([story.killed_at])[0], 0.97),
                xycoords=place,
                xytext=(6, 0),
                textcoords="offset points",
                ha="left",
                va="top",
                fontsize=9,
                weight="bold",
                color=_KILL_COLOUR,
            )


def _clock(axes: Axes, story: Story) -> None:
    import matplotlib.dates

    dates: Any = matplotlib.dates

    first, last = story.signals[0].lineage.ts_recv, story.signals[-1].lineage.ts_recv
    axes.set_xlim(*_date([first, max(last, first + 1_000_000_000)]))
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=5, maxticks=12))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M:%S"))
    axes.set_xlabel("time of receipt [UTC]", fontsize=8.5, labelpad=2)


def _latency(axes: Axes, signals: Sequence[SignalRecord]) -> None:
    """Each stage's time as the signals carry it, over those that passed, in shares on a logarithmic axis."""
    import numpy as np

    asked = [signal.latency for signal in signals if signal.verdict.outcome == PASS]
    axes.set_title("Time in each stage [µs], signals that passed")
    if asked:
        times = {name: np.array([max(getattr(each, name), 100) for each in asked]) / 1e3 for name in _STAGES}
        low, high = min(each.min() for each in times.values()), max(each.max() for each in times.values())
        bins = np.geomspace(low * 0.9, high * 1.1, 70).tolist()
        weights = np.full(len(asked), 100 / len(asked))
        for name, (words, colour) in _STAGES.items():
            label = f"{words}  p50 {np.median(times[name]):,.0f}  p99 {np.quantile(times[name], 0.99):,.0f}"
            axes.hist(times[name], bins, weights=weights, histtype="stepfilled", color=colour, alpha=0.45, label=label)
            axes.hist(times[name], bins, weights=weights, histtype="step", color=colour, linewidth=1.1)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.45 * axes.get_ylim()[1])
        axes.legend(frameon=False, fontsize=8.5, loc="upper left", ncols=2, handlelength=1.0, labelspacing=0.3)
    axes.set_ylabel("signals [%]", fontsize=8.5)
    axes.xaxis.set_major_formatter(_plain_numbers())


def _freshness(axes: Axes, signals: Sequence[SignalRecord]) -> None:
    """How old the oldest input was when each vector was made."""
    import numpy as np

    known = (signal.lineage.data_age_ns for signal in signals)
    ages = np.sort([age / 1e6 for age in known if age is not None])
    if not len(ages):
        axes.set_axis_off()
        return
    share = np.arange(1, len(ages) + 1) / len(ages) * 100
    axes.set_title("Age of the oldest input [ms], signals with all inputs")
    axes.step(ages, share, where="post", color="#15559e", linewidth=1.4)
    axes.fill_between(ages, share, step="post", color="#15559e", alpha=0.08, linewidth=0)
    for level, filling in ((50, "#15559e"), (99, "white")):
        age = float(np.quantile(ages, level / 100))
        axes.plot(
            [age], [level], "o", color="#15559e", markerfacecolor=filling, markersize=5, label=f"p{level}  {age:.1f} ms"
        )
    axes.legend(frameon=False, fontsize=8.5, loc="best", handlelength=1.0)
    axes.set_ylim(0, 104)
    axes.set_xlim(left=0)
    axes.grid(axis="y")
    axes.set_ylabel("signals at most so old [%]", fontsize=8.5)


def _plain_numbers() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")


def _colour(name: str) -> str:
    return _VERDICTS.get(name, _OTHER_VETO)


def _date(times_ns: Any) -> Any:
    """Times of matplotlib: days since 1970."""
    import numpy as np

    return np.asarray(times_ns, dtype=np.int64) / 86_400e9
