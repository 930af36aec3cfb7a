"""The pictures of a report, as matplotlib figures: bars of scores, task against task, learned weights.

Colours are Okabe and Ito's, which the colour-blind tell apart, and no figure says anything by colour
alone. Files are the same bytes for the same numbers.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

BLUE, SKY, GREEN, VERMILION = "#0072B2", "#56B4E9", "#009E73", "#D55E00"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8a8a",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "xtick.color": "#444444",
    "ytick.color": "#222222",
    "svg.hashsalt": "bapps",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Bar:
    """One metric's score on one set, in [0, 1]; NaN ends where there is no interval."""

    metric: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """The bars of one set.

    Attributes
    ----------
    title : str
    bars : sequence of Bar
    lines : mapping of str to float
        Heights to compare with, such as the agreement of people.
    """

    title: str
    bars: Sequence[Bar]
    lines: Mapping[str, float]


def figure_bytes(figure: Figure, suffix: Literal["svg", "pdf"]) -> bytes:
    """A figure as a file, without the time of day."""
    out = io.BytesIO()
    metadata = {"Date": None} if suffix == "svg" else {"CreationDate": None}
    with rc_context(STYLE):
        figure.savefig(out, format=suffix, metadata=cast(dict[str, str], metadata), bbox_inches="tight")
    return out.getvalue()


def bars(panels: Sequence[Panel], *, chance: float | None, axis: str) -> Figure:
    """Scores of every metric, one panel a set, with lines for people (the paper's Figure 4).

    `chance` is where bars begin: a bar's length is what a metric has above it. None begins at 0.
    """
    names = list(dict.fromkeys(bar.metric for panel in panels for bar in panel.bars))
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = -(-len(panels) // across)
    start = 100 * (chance or 0.0)
    ends = [100 * bar.value for panel in panels for bar in panel.bars if not np.isnan(bar.value)]
    ends += [100 * end for panel in panels for bar in panel.bars for end in (bar.low, bar.high) if not np.isnan(end)]
    ends += [100 * height for panel in panels for height in panel.lines.values()]
    with rc_context(STYLE):
        figure = Figure(
            figsize=(3.3 * across + 0.9, down * (0.27 * max(len(names), 2) + 1.0) + 0.4), layout="constrained"
        )
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _panel(axes, panel, names, start)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        grid[0, 0].set_xlim(min([start, *ends]), max([start + 1, *ends]) + 1)
        grid[0, 0].set_ylim(len(names) - 0.4, -0.6)  # the first metric on top
        figure.supxlabel(axis, fontsize=9)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=len(handles), frameon=False)
    return figure


def _panel(axes: Axes, panel: Panel, names: Sequence[str], start: float) -> None:
    for bar in panel.bars:
        at = names.index(bar.metric)
        axes.barh(at, 100 * bar.value - start, left=start, height=0.6, color=SKY, zorder=2)
        if not np.isnan(bar.low):
            axes.plot([100 * bar.low, 100 * bar.high], [at, at], color="black", linewidth=1.3, zorder=3)
            axes.plot([100 * bar.low, 100 * bar.high], [at, at], "|", color="black", markersize=5, zorder=3)
    styles = (("--", VERMILION), (":", "black"), ("-.", GREEN), ((0, (1, 1)), GREEN))
    for (name, height), (dashes, color) in zip(panel.lines.items(), styles, strict=False):
        axes.axvline(100 * height, linestyle=dashes, color=color, linewidth=1.4, label=name, zorder=4)
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6, zorder=0)
    axes.set_title(panel.title)


def tasks(pairs: Sequence[tuple[str, float, float]], *, correlation: float) -> Figure:
    """2AFC score against JND average precision, one point a metric (the paper's Figure 5)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.2, 4.0), layout="constrained")
        axes = figure.subplots()
        x = 100 * np.array([pair[1] for pair in pairs])
        y = 100 * np.array([pair[2] for pair in pairs])
        axes.scatter(x, y, s=30, color=BLUE, zorder=3)
        right = x > (x.min() + x.max()) / 2
        for name, at, height, left in zip((pair[0] for pair in pairs), x, y, right, strict=True):
            axes.annotate(
                _short(name), (at, height), (-5 if left else 5, 3), textcoords="offset points", fontsize=8,
                ha="right" if left else "left",
            )  # fmt: skip
        axes.margins(0.12)
        axes.set_xlabel("2AFC score (%)")
        axes.set_ylabel("JND average precision (%)")
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_title(f"r = {correlation:.3f} over {len(pairs)} metrics")
    return figure


def weights(layers: Sequence[NDArray[np.floating]], *, title: str) -> Figure:
    """Learned weights by layer, each layer's channels from the heaviest to the lightest (the paper's Figure 10)."""
    with rc_context(STYLE):
        figure = Figure(figsize=(1.75 * len(layers) + 0.6, 2.2), layout="constrained")
        panels = figure.subplots(1, len(layers), sharey=True, squeeze=False)[0]
        for number, (axes, layer) in enumerate(zip(panels, layers, strict=True), start=1):
            ordered = np.sort(np.asarray(layer, np.float64).ravel())[::-1]
            axes.fill_between(np.arange(len(ordered)), ordered, step="mid", color=BLUE, linewidth=0)
            axes.set_title(f"layer {number}")
            axes.set_xlabel(f"{len(ordered)} channels\n{np.count_nonzero(ordered > 0)} above 0", fontsize=8)
            axes.set_xticks([])
        panels[0].set_ylim(bottom=0)  # all panels share it
        panels[0].set_ylabel("weight")
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    return figure


def _short(name: str) -> str:
    """A name that fits beside a bar, with nothing that matplotlib would take for mathematics."""
    return (name if len(name) <= 24 else f"{name[:10]}…{name[-12:]}").replace("$", r"\$")
