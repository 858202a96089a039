"""Figure 2 and its kin: accuracies of the three probes by epoch, and by the values of a setting."""

import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nat.report.figures.style import FAINT, PROBE, SOFT, name_ends, whole_epochs
from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.results import Run
from nat.report.table import Measured

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
    """Accuracy by epoch of the three probes; a band of ± one standard deviation over seeds."""
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
    axes.margins(y=0.1)
    if labels := report.measured("labels", "mlp"):
        _level(axes, f"trained with labels, MLP: {labels.mean:.1f} %", labels.mean)
    name_ends(axes, ends, 0.055, (epochs[-1], 10), "data")
    whole_epochs(axes, epochs[-1])
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
    name_ends(axes, ends, 0.06, (1, 6), ("axes fraction", "data"))
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
