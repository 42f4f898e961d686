"""`python -m benches.pages`: keeps the figures of the last run of the works operators and history for the pages in docs/.

Writes docs/figures/NAME.json, from which `make docs` makes the tables, and docs/history.png. Before it, on a machine that does
nothing else: `python -m benches --only operators --only history`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from benches.folders import FIGURES, out
from benches.works import BESIDE_PEERS

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST, LARGEST = 1e-17, 10.0
"""Ends of the picture's axis: no error, and no number."""
COLOURS = {"ours": "#0b6e4f", "pandas": "#8a5fbf", "polars": "#2f7fc1", "csp": "#d1495b"}


def main() -> int:
    """The command: exit code 2 where there is no run to keep."""
    missing = [name for name in BESIDE_PEERS if not (out() / f"{name}.json").exists()]
    if missing:
        given = " ".join(f"--only {name}" for name in missing)
        print(f"no figures of {', '.join(missing)}: run `python -m benches {given}`.", file=sys.stderr)
        return 2
    FIGURES.mkdir(exist_ok=True)
    for name in BESIDE_PEERS:
        kept = json.loads((out() / f"{name}.json").read_text(), parse_float=lambda text: float(f"{float(text):.3g}"))
        (FIGURES / f"{name}.json").write_text(json.dumps(kept, indent=1) + "\n")
    draw(json.loads((FIGURES / "history.json").read_text()), FIGURES.parent / "history.png")
    print(f"docs/figures/{{{','.join(BESIDE_PEERS)}}}.json and docs/history.png. `make docs` makes the pages of them.")
    return 0


def draw(figures: dict[str, Any], path: Path) -> None:
    """The worst error of each library after each story, on a logarithmic axis."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    found = [each for each in figures["found"] if not each["story"].startswith("a start")]
    stories = list(dict.fromkeys(each["story"] for each in found))
    libraries = list(figures["ns"])
    statistics = list(found[0]["found"])
    plot, axes = plt.subplots(1, len(stories), figsize=(13, 3.4), sharey=True, layout="constrained")
    for axis, story in zip(axes, stories, strict=True):
        for each in (each for each in found if each["story"] == story):
            at = libraries.index(each["library"])
            values = [min(max(each["found"][name], SMALLEST), LARGEST) for name in statistics]
            axis.scatter(
                [at + 0.13 * (i - 2) for i in range(len(values))],
                values,
                s=26,
                color=COLOURS[each["library"]],
                zorder=3,
            )
        axis.set_yscale("log")
        axis.set_ylim(SMALLEST / 3, LARGEST * 4)
        axis.set_xlim(-0.6, len(libraries) - 0.4)
        axis.set_xticks(range(len(libraries)), libraries)
        axis.set_title(story, fontsize=10)
        axis.axhspan(0.5, LARGEST * 4, color="#f3d6da", zorder=0)
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    powers = range(-16, -3, 4)
    axes[0].set_yticks([SMALLEST, *(10.0**power for power in powers), LARGEST])
    axes[0].set_yticklabels(["exact", *(f"1e{power}" for power in powers), "off by half and\nmore, or no number"])
    axes[0].set_ylabel("worst relative error")
    plot.suptitle(
        f"Rolling {', '.join(statistics)} (a dot each, left to right) over {figures['window']} rows, against exact arithmetic",
        fontsize=11,
    )
    plot.savefig(path, dpi=110)
    plt.close(plot)


if __name__ == "__main__":
    sys.exit(main())
