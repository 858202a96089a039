"""Figure 2, right, and its kin: accuracies by the values of a setting, over seeds."""

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nat.report.figures.style import FAINT, PROBE, SOFT, apart, spread_of
from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.paper import IN_TEXT
from nat.report.settings import Variant
from nat.report.table import Measured

ASIDE = (-7, 0, 7)  # points that the probes of one value stand apart
AXIS = {
    "permute_every": "epochs between updates of the assignment P",
    "targets.k": "k, number of discrete targets",
    "targets.dimension": "d, dimension of the targets on the sphere",
}
Points = list[tuple[Variant, dict[str, Measured]]]


def measured(report: Report, factor: str) -> Points:
    """The values of a setting of which all probes were measured, with these."""
    found = []
    for variant in report.variants.of("nat", factor):
        cells = {name: report.of(variant, name) for name in PROBES}
        known = {name: cell for name, cell in cells.items() if cell is not None}
        if len(known) == len(PROBES):
            found.append((variant, known))
    return found


def draw(report: Report, factor: str) -> Figure:
    """Accuracy by value, on a logarithmic axis; ``never`` apart at its right end."""
    points = measured(report, factor)
    values = [variant.value for variant, _ in points]
    places = [math.log2(value) for value in values if isinstance(value, int)]
    joined = len(places)
    first, last = (places[0], places[-1]) if places else (0.0, 0.0)
    places += [last + 0.3 * max(last - first, 1.0)] * (len(values) - joined)
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    _probes(axes, [cells for _, cells in points], places, joined, levels(report, factor))
    if 0 < joined < len(values):
        middle = (places[-1] + places[-2]) / 2
        axes.axvline(middle, color=FAINT, linewidth=1.2, linestyle=(0, (2, 3)), zorder=1)
    _tick(axes, places, [f"{v:,}" if isinstance(v, int) else str(v) for v in values])
    axes.set_xlabel(AXIS[factor])
    axes.set_ylabel(f"accuracy on {report.data}, %")
    return figure


def levels(report: Report, factor: str) -> dict[str, Measured]:
    """What does not depend on the setting, by name."""
    lines = {"untrained, MLP": report.probe("random", "mlp")}
    if factor == "targets.k":
        sphere = (v for v in report.variants.of("nat", "target_type") if v.value == "sphere")
        lines["sphere, MLP"] = next((report.of(variant, "mlp") for variant in sphere), None)
    return {name: cell for name, cell in lines.items() if cell is not None}


def caption(report: Report, factor: str) -> str:
    """What is shown and how it was measured."""
    by, paper = {
        "permute_every": (
            "how often the assignment P is updated; never keeps it as it was drawn",
            "The paper finds the best accuracy at every 3 epochs, every period above "
            f"{IN_TEXT['frequencies']} %, and {IN_TEXT['fixed']} % with P fixed, on ImageNet. ",
        ),
        "targets.k": (
            "the number k of canonical basis vectors that the images are assigned to",
            f"The paper has {IN_TEXT['discrete']} % with the best of three k, {IN_TEXT['nat']} % "
            "with targets on the sphere, on ImageNet. ",
        ),
        "targets.dimension": (
            "the dimension d of the noise on the sphere; the paper does not state its own",
            "",
        ),
    }[factor]
    known = levels(report, factor)
    names = {"sphere, MLP": "targets on the sphere", "untrained, MLP": "the untrained trunk"}
    shown = " and ".join(words for name, words in names.items() if name in known)
    are = "The dotted lines are" if len(known) > 1 else "The dotted line is"
    lines = f"{are} {shown}, with the MLP. " if shown else ""
    cells = [cell for _, each in measured(report, factor) for cell in each.values()]
    spread = spread_of(cells, "Markers: means of {}, bars: ± one standard deviation, dots: seeds.")
    return (
        f"Accuracy on {report.data} of classifiers on the frozen trunk, by {by}. {lines}{paper}"
        f"{spread}"
    )


def _probes(
    axes: Axes,
    points: Sequence[dict[str, Measured]],
    places: Sequence[float],
    joined: int,
    across: dict[str, Measured],
) -> None:
    """Means as markers, one standard deviation as bars, seeds as dots, names at the right.

    Args:
        axes: to draw on.
        points: the probes of each value; at least one.
        places: where on the x axis each stands, ascending.
        joined: how many, from the first, a line joins.
        across: numbers that do not depend on the setting, by name: dotted lines.
    """
    ends: list[tuple[str, float, str]] = []
    for aside, (probe, (colour, marker, line)) in zip(ASIDE, PROBE.items(), strict=True):
        cells = [point[probe] for point in points]
        means = [cell.mean for cell in cells]
        beside = offset_copy(axes.transData, axes.get_figure(root=True), x=aside, units="points")
        how: dict[str, Any] = {"color": colour, "transform": beside}
        axes.plot(places[:joined], means[:joined], linestyle=line, zorder=2, **how)
        axes.plot(places, means, marker=marker, linestyle="none", zorder=4, **how)
        for cell, place in zip(cells, places, strict=True):
            if cell.deviation is not None:
                axes.errorbar(place, cell.mean, cell.deviation, linewidth=1.2, capsize=3, **how)
                axes.scatter([place] * len(cell.values), cell.values, s=9, alpha=0.45, **how)
            # what stands aside does not count for the frame by itself
            spread = cell.deviation or 0
            reach = (cell.mean - spread, cell.mean + spread, *cell.values)
            axes.update_datalim([(place, y) for y in reach])
        ends.append((PROBES[probe], means[-1], colour))
    for name, cell in across.items():
        axes.axhline(cell.mean, color=SOFT, linewidth=1.2, linestyle=":", zorder=1)
        ends.append((name, cell.mean, SOFT))
    axes.margins(x=0.06, y=0.14)
    axes.autoscale_view()
    low, high = axes.get_ylim()
    heights = apart([end for _, end, _ in ends], 0.06 * (high - low))
    for (name, end, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            f"{name} {end:.1f} %",
            (1, height),
            (6, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=colour,
            va="center",
            weight="normal" if colour == SOFT else "bold",
            annotation_clip=False,
        )


def _tick(axes: Axes, places: Sequence[float], names: Sequence[str]) -> None:
    """A tick at every value; of names that would meet, the later one is left out."""
    axes.set_xticks(list(places))
    width = 1.12 * (max(places) - min(places)) or 1.0
    shown, last = [], -float("inf")
    for place, name in zip(places, names, strict=True):
        room = 0.013 * width * (len(name) + 2)
        fits = place - last >= room
        shown.append(name if fits else "")
        last = place if fits else last
    axes.set_xticklabels(shown)
