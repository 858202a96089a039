"""Curves: how NAT trained, and the probes' accuracies by epoch and by a setting (Figure 2)."""

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import offset_copy

from nat.report.figures.style import BLUE, FAINT, GREEN, PROBE, SOFT, VERMILLION, apart
from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.results import Run
from nat.report.table import Measured

UNRELATED = 2.0  # the mean squared distance of unit vectors that are independent and uniform
ASIDE = (-7, 0, 7)  # points that the probes of one value stand apart
X_AXIS = {
    "permute_every": "epochs between updates of the assignment P",
    "targets.k": "k, number of discrete targets",
    "targets.dimension": "d, dimension of the targets on the sphere",
}


def _axes(report: Report) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set_ylabel(f"accuracy on {report.data}, %")
    return figure, axes


def by_epoch(report: Report) -> Figure:
    """Accuracy by epoch of the three probes, with a band of ± one standard deviation over seeds.

    Dotted, the MLP's on images that it was trained on (section 4.1 discusses both).
    """
    epochs = list(report.curve)
    figure, axes = _axes(report)
    ends = []
    for probe, (colour, marker, line) in PROBE.items():
        cells = [row[probe] for row in report.curve.values()]
        means = [cell.mean for cell in cells]
        axes.plot(epochs, means, color=colour, marker=marker, linestyle=line)
        spread = [cell.deviation or 0 for cell in cells]
        if any(spread):
            band = np.subtract(means, spread), np.add(means, spread)
            axes.fill_between(epochs, *band, color=colour, alpha=0.18, linewidth=0)
        ends.append((PROBES[probe], means[-1], colour))
    if len(report.in_training) == len(epochs):
        means = [cell.mean for cell in report.in_training.values()]
        axes.plot(epochs, means, color=BLUE, linewidth=1.2, linestyle=":")
        ends.append(("MLP, in training", means[-1], BLUE))
    axes.margins(y=0.1)
    if labels := report.measured("labels", "mlp"):
        _level(axes, f"trained with labels, MLP: {labels.mean:.1f} %", labels.mean)
    _name_ends(axes, ends, 0.055, (epochs[-1], 10), "data")
    _whole_epochs(axes, epochs[-1])
    axes.set_xlim(-0.02 * epochs[-1], 1.02 * epochs[-1])
    axes.set_xlabel("epochs of unsupervised training (0: random weights)")
    return figure


def _level(axes: Axes, words: str, level: float) -> None:
    """A dotted line, or, where it would squeeze the curves, its number alone."""
    low, high = axes.get_ylim()
    place = level
    if low <= level <= high + (high - low) / 2:
        axes.axhline(level, color=SOFT, linewidth=1.2, linestyle=":")
    else:
        place, words = high, f"{words}, {'above' if level > high else 'below'} this frame"
    axes.annotate(words, (0, place), (0, 4), textcoords="offset points", color=SOFT, va="bottom")


class Factor(NamedTuple):
    """What is shown of a setting: probes by its value, what does not depend on it, both's runs."""

    report: Report
    name: str
    points: dict[Any, dict[str, Measured]]
    levels: dict[str, Measured]
    runs: list[Run]


def measured(report: Report, name: str) -> Factor | None:
    """The values of which all probes were measured; None if there are no two."""
    points, variants = report.by_value(name), report.variants.of("nat", name)
    levels = {"untrained, MLP": report.measured("random", "mlp")}
    for variant in report.variants.of("nat", "target_type") if name == "targets.k" else ():
        if variant.value == "sphere":
            levels["sphere, MLP"] = report.of(variant, "mlp")
            variants.append(variant)
    known = {name: cell for name, cell in levels.items() if cell is not None}
    runs = dict.fromkeys(Run("probe", "nat", variant.override) for variant in variants)
    shown = Factor(report, name, points, known, [*runs, Run("probe", "random")])
    return shown if len(points) > 1 else None


def by_factor(shown: Factor) -> Figure:
    """Accuracy by value, on a logarithmic axis; ``never`` apart at its right end."""
    values = list(shown.points)
    places = [math.log2(value) for value in values if isinstance(value, int)]
    joined = len(places)  # by a line
    first, last = (places[0], places[-1]) if places else (0.0, 0.0)
    places += [last + 0.3 * max(last - first, 1.0)] * (len(values) - joined)
    figure, axes = _axes(shown.report)
    ends = []
    for probe, aside in zip(PROBE, ASIDE, strict=True):
        cells = [cells[probe] for cells in shown.points.values()]
        _probe(axes, probe, aside, cells, places, joined)
        ends.append((PROBES[probe], cells[-1].mean, PROBE[probe][0]))
    for name, cell in shown.levels.items():
        axes.axhline(cell.mean, color=SOFT, linewidth=1.2, linestyle=":", zorder=1)
        ends.append((name, cell.mean, SOFT))
    axes.margins(x=0.06, y=0.14)
    axes.autoscale_view()
    _name_ends(axes, ends, 0.06, (1, 6), ("axes fraction", "data"))
    if 0 < joined < len(values):
        middle = (places[-1] + places[-2]) / 2
        axes.axvline(middle, color=FAINT, linewidth=1.2, linestyle=(0, (2, 3)), zorder=1)
    _tick(axes, places, [f"{v:,}" if isinstance(v, int) else str(v) for v in values])
    axes.set_xlabel(X_AXIS[shown.name])
    return figure


def _probe(
    axes: Axes, probe: str, aside: int, cells: list[Measured], places: list[float], joined: int
) -> None:
    """Means as markers, one standard deviation as bars, seeds as dots."""
    colour, marker, line = PROBE[probe]
    means = [cell.mean for cell in cells]
    beside = offset_copy(axes.transData, axes.get_figure(root=True), x=aside, units="points")
    how: dict[str, Any] = {"color": colour, "transform": beside}
    axes.plot(places[:joined], means[:joined], linestyle=line, zorder=2, **how)
    axes.plot(places, means, marker=marker, linestyle="none", zorder=4, **how)
    for cell, place in zip(cells, places, strict=True):
        if cell.deviation is not None:
            axes.errorbar(place, cell.mean, cell.deviation, linewidth=1.2, capsize=3, **how)
            axes.scatter([place] * cell.n, cell.values, s=9, alpha=0.45, **how)
        # what stands aside does not count for the frame by itself
        spread = cell.deviation or 0
        reach = (cell.mean - spread, cell.mean + spread, *cell.values)
        axes.update_datalim([(place, y) for y in reach])


def _tick(axes: Axes, places: list[float], names: list[str]) -> None:
    """A tick at every value; of names that would meet, the later one is left out."""
    width = 1.12 * (max(places) - min(places)) or 1.0
    shown, last = [], -float("inf")
    for place, name in zip(places, names, strict=True):
        fits = place - last >= 0.013 * width * (len(name) + 2)
        shown.append(name if fits else "")
        last = place if fits else last
    axes.set_xticks(places, shown)


def training(report: Report) -> Figure:
    """Three panels; a line a seed."""
    figure = Figure(figsize=(12, 3.7), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, middle, right = panels = list(figure.subplots(1, 3))
    for history in report.histories:
        permuted = history[history["reassigned"] > 0]  # exactly 0 in the epochs that leave P alone
        checked = history[history["knn"].notna()]
        left.plot(history["epoch"], history["loss"], color=BLUE, linewidth=1.4, zorder=2)
        _marks(left, permuted, "loss")
        middle.plot(permuted["epoch"], permuted["reassigned"], color=VERMILLION)
        _marks(middle, permuted, "reassigned")
        right.plot(checked["epoch"], checked["knn"], color=GREEN, marker="^")
    left.axhline(UNRELATED, color=SOFT, linewidth=1.2, linestyle=":")
    left.annotate("unrelated vectors: 2", (0, UNRELATED), (4, -4), textcoords="offset points",
                  color=SOFT, va="top")  # fmt: skip
    left.set_title("Squared distance to the target")
    moves = report.used("permute_every") != "never"
    if moves:
        _marks(left, report.histories[0][:0], "loss", label="epochs that reassign")
        left.legend(loc="upper right", bbox_to_anchor=(1, 0.9), frameon=False, handletextpad=0,
                    borderaxespad=0)  # fmt: skip
    middle.set_title("Images given another target")
    middle.set(ylabel="% of an epoch's images", ylim=(0, 104))
    right.set_title("kNN on conv5, a monitor")
    right.set(ylabel="accuracy, %")
    last = max(1, *(int(history["epoch"].iloc[-1]) for history in report.histories))
    for axes in panels:
        _whole_epochs(axes, last)
        axes.set_xlim(0, 1.03 * last)
    checks = any(history["knn"].notna().any() for history in report.histories)
    for axes, shown in ((middle, moves), (right, checks)):
        if not shown:
            axes.text(0.5, 0.5, "never", transform=axes.transAxes, ha="center", color=SOFT)
    return figure


def _marks(axes: Axes, history: pd.DataFrame, column: str, label: str | None = None) -> None:
    how: dict[str, Any] = {"color": VERMILLION, "edgecolor": "white", "linewidth": 0.6}
    axes.scatter(history["epoch"], history[column], s=46, zorder=3, label=label, **how)


def _name_ends(
    axes: Axes, ends: list[tuple[str, float, str]], least: float, place: tuple[float, float],
    coordinates: Any,
) -> None:  # fmt: skip
    """Write name and last value of lines beside their ``ends``, in percent and colour of each.

    They are at least ``least`` of the final height apart; ``place`` is x and points to its right.
    """
    low, high = axes.get_ylim()
    heights = apart([value for _, value, _ in ends], least * (high - low))
    for (name, value, colour), height in zip(ends, heights, strict=True):
        weight = "normal" if colour == SOFT else "bold"
        axes.annotate(f"{name} {value:.1f} %", (place[0], height), (place[1], 0),
                      xycoords=coordinates, textcoords="offset points", color=colour, va="center",
                      weight=weight, annotation_clip=False)  # fmt: skip


def _whole_epochs(axes: Axes, last: int) -> None:
    """Ticks at whole epochs from 0 to ``last``, with ``last`` among them."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if last / s <= 7)
    ticks = [t for t in range(0, last, step) if last - t >= 0.6 * step]
    axes.set_xticks([*ticks, last])
    axes.set_xlabel("epoch")
