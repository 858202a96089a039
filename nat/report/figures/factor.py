"""What the figures of section 4.1 share: accuracies by the values of a setting, over seeds."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import offset_copy

from nat.report.ablations import Ablations, Variant
from nat.report.figures.style import READING, SOFT, apart
from nat.report.names import READINGS
from nat.report.table import Measured

ASIDE = (-7, 0, 7)  # points that the readings of one value stand apart


def canvas() -> tuple[Figure, Axes]:
    """A figure of the common size with one axes."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    return figure, figure.subplots()


def draw_readings(
    axes: Axes,
    variants: Sequence[Variant],
    places: Sequence[float],
    joined: int,
    levels: dict[str, Measured],
) -> None:
    """Means as markers, one standard deviation as bars, seeds as dots, names at the right.

    Args:
        axes: to draw on.
        variants: at least one, probed.
        places: where on the x axis each stands, ascending.
        joined: how many, from the first, a line joins.
        levels: numbers that do not depend on the setting, by name: dotted lines across.
    """
    ends: list[tuple[str, float, str]] = []
    for aside, (reading, (colour, marker, line)) in zip(ASIDE, READING.items(), strict=True):
        cells = [variant.probe(reading) for variant in variants]
        means = [cell.mean for cell in cells]
        beside = offset_copy(axes.transData, axes.get_figure(root=True), x=aside, units="points")
        how: dict[str, Any] = {"color": colour, "transform": beside}
        axes.plot(places[:joined], means[:joined], linestyle=line, zorder=2, **how)
        axes.plot(places, means, marker=marker, linestyle="none", zorder=4, **how)
        _spread(axes, cells, places, how)
        # what stands aside does not count for the frame by itself
        for cell, place in zip(cells, places, strict=True):
            spread = cell.deviation or 0
            reach = (cell.mean - spread, cell.mean + spread, *cell.values)
            axes.update_datalim([(place, y) for y in reach])
        ends.append((READINGS[reading], means[-1], colour))
    for name, cell in levels.items():
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


def _spread(
    axes: Axes, cells: Sequence[Measured], places: Sequence[float], how: dict[str, Any]
) -> None:
    for cell, place in zip(cells, places, strict=True):
        if cell.deviation is None:
            continue
        axes.errorbar(place, cell.mean, cell.deviation, linewidth=1.2, capsize=3, **how)
        axes.scatter([place] * len(cell.values), cell.values, s=9, alpha=0.45, **how)


def tick(axes: Axes, places: Sequence[float], names: Sequence[str]) -> None:
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


def spread_of(ablations: Ablations) -> str:
    """The caption's last sentence, on seeds."""
    n = len(ablations.seeds)
    if n == 1:
        return "One seed."
    return f"Markers: means of {n} seeds, bars: ± one standard deviation, dots: the seeds."
