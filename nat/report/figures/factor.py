"""Figure 2, right, and its kin: accuracies by the values of a setting, over seeds."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nat.report.figures.style import FAINT, PROBE, SOFT, name_ends, spread_of
from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.paper import IN_TEXT
from nat.report.results import Run
from nat.report.settings import Variant
from nat.report.table import Measured

ASIDE = (-7, 0, 7)  # points that the probes of one value stand apart
# of each setting: its axis, what the caption calls it, and what the paper has
WORDS = {
    "permute_every": (
        "epochs between updates of the assignment P",
        "how often the assignment P is updated; never keeps it as it was drawn",
        f"The paper finds the best accuracy at every 3 epochs, every period above "
        f"{IN_TEXT['frequencies']} %, and {IN_TEXT['fixed']} % with P fixed, on ImageNet. ",
    ),
    "targets.k": (
        "k, number of discrete targets",
        "the number k of canonical basis vectors that the images are assigned to",
        f"The paper has {IN_TEXT['discrete']} % with the best of three k, {IN_TEXT['nat']} % with "
        "targets on the sphere, on ImageNet. ",
    ),
    "targets.dimension": (
        "d, dimension of the targets on the sphere",
        "the dimension d of the noise on the sphere; the paper does not state its own",
        "",
    ),
}


def measured(report: Report, factor: str) -> list[tuple[Variant, dict[str, Measured]]]:
    """The values of a setting of which all probes were measured, with these."""
    found = [(v, report.probes("nat", v.override)) for v in report.variants.of("nat", factor)]
    return [(variant, cells) for variant, cells in found if cells]


def runs(report: Report, factor: str) -> list[Run]:
    """What is shown, levels included."""
    shown = [variant for variant, _ in measured(report, factor)]
    if factor == "targets.k":
        shown += [v for v in report.variants.of("nat", "target_type") if v.value == "sphere"]
    found = dict.fromkeys(Run("probe", "nat", variant.override) for variant in shown)
    return [*found, Run("probe", "random")]


def levels(report: Report, factor: str) -> dict[str, Measured]:
    """What does not depend on the setting, by name: dotted lines."""
    lines = {"untrained, MLP": report.measured(Run("probe", "random"), "mlp")}
    if factor == "targets.k":
        sphere = (v for v in report.variants.of("nat", "target_type") if v.value == "sphere")
        lines["sphere, MLP"] = next((report.of(variant, "mlp") for variant in sphere), None)
    return {name: cell for name, cell in lines.items() if cell is not None}


def draw(report: Report, factor: str) -> Figure:
    """Accuracy by value, on a logarithmic axis; ``never`` apart at its right end."""
    points = measured(report, factor)
    values = [variant.value for variant, _ in points]
    places = [math.log2(value) for value in values if isinstance(value, int)]
    joined = len(places)  # by a line
    first, last = (places[0], places[-1]) if places else (0.0, 0.0)
    places += [last + 0.3 * max(last - first, 1.0)] * (len(values) - joined)
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = [
        _probe(axes, probe, aside, [cells[probe] for _, cells in points], places, joined)
        for probe, aside in zip(PROBE, ASIDE, strict=True)
    ]
    for name, cell in levels(report, factor).items():
        axes.axhline(cell.mean, color=SOFT, linewidth=1.2, linestyle=":", zorder=1)
        ends.append((name, cell.mean, SOFT))
    axes.margins(x=0.06, y=0.14)
    axes.autoscale_view()
    name_ends(axes, ends, 0.06, (1, 6), ("axes fraction", "data"))
    if 0 < joined < len(values):
        middle = (places[-1] + places[-2]) / 2
        axes.axvline(middle, color=FAINT, linewidth=1.2, linestyle=(0, (2, 3)), zorder=1)
    _tick(axes, places, [f"{v:,}" if isinstance(v, int) else str(v) for v in values])
    axes.set_xlabel(WORDS[factor][0])
    axes.set_ylabel(f"accuracy on {report.data}, %")
    return figure


def caption(report: Report, factor: str) -> str:
    """What is shown and how it was measured."""
    _, by, paper = WORDS[factor]
    known = levels(report, factor)
    names = {"sphere, MLP": "targets on the sphere", "untrained, MLP": "the untrained trunk"}
    shown = " and ".join(words for name, words in names.items() if name in known)
    are = "The dotted lines are" if len(known) > 1 else "The dotted line is"
    lines = f"{are} {shown}, with the MLP. " if shown else ""
    cells = [cell for _, each in measured(report, factor) for cell in each.values()]
    spread = spread_of(cells, "Markers: means of {}, bars: ± one standard deviation, dots: seeds.")
    start = f"Accuracy on {report.data} of classifiers on the frozen trunk, by {by}."
    return f"{start} {lines}{paper}{spread}"


def _probe(
    axes: Axes, probe: str, aside: int, cells: list[Measured], places: list[float], joined: int
) -> tuple[str, float, str]:
    """Means as markers, one standard deviation as bars, seeds as dots; returns its last mean."""
    colour, marker, line = PROBE[probe]
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
    return PROBES[probe], means[-1], colour


def _tick(axes: Axes, places: list[float], names: list[str]) -> None:
    """A tick at every value; of names that would meet, the later one is left out."""
    width = 1.12 * (max(places) - min(places)) or 1.0
    shown, last = [], -float("inf")
    for place, name in zip(places, names, strict=True):
        fits = place - last >= 0.013 * width * (len(name) + 2)
        shown.append(name if fits else "")
        last = place if fits else last
    axes.set_xticks(places, shown)
