"""Figure 2, right: how often the assignment has to be updated."""

import math

from matplotlib.figure import Figure

from nat.report.ablations import Ablations
from nat.report.figures.factor import canvas, draw_readings, spread_of, tick
from nat.report.figures.style import FAINT
from nat.report.paper import IN_TEXT


def draw(ablations: Ablations) -> Figure:
    """Accuracy by period, ``never`` apart at the right end; the random trunk as a dotted line."""
    variants = ablations.variants["permute_every"]
    places = [math.log2(v.value) for v in variants if isinstance(v.value, int)]
    joined = len(places)
    if joined < len(variants):
        first, last = (places[0], places[-1]) if places else (0.0, 0.0)
        places.append(last + 0.3 * max(last - first, 1.0))
    figure, axes = canvas()
    draw_readings(axes, variants, places, joined, {"untrained, MLP": ablations.random.probe("mlp")})
    if 0 < joined < len(variants):
        middle = (places[-1] + places[-2]) / 2
        axes.axvline(middle, color=FAINT, linewidth=1.2, linestyle=(0, (2, 3)), zorder=1)
    tick(axes, places, [str(variant.value) for variant in variants])
    axes.set_xlabel("epochs between updates of the assignment P")
    axes.set_ylabel(f"accuracy on {ablations.data}, %")
    return figure


def caption(ablations: Ablations) -> str:
    """What is shown and how it was measured."""
    return (
        f"Accuracy on {ablations.data} of classifiers on the frozen trunk, by how often the "
        "assignment P is updated; never keeps it as it was drawn. The dotted line is the untrained "
        "trunk, read by the MLP. The paper finds the best accuracy at every 3 epochs, every period "
        f"above {IN_TEXT['frequencies']} %, and {IN_TEXT['fixed']} % with P fixed, on ImageNet. "
        f"{spread_of(ablations)}"
    )
