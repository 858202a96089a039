"""Accuracy by d, the dimension of the sphere, which the paper does not state."""

import math

from matplotlib.figure import Figure

from nat.report.ablations import Ablations
from nat.report.figures.factor import canvas, draw_readings, spread_of, tick


def draw(ablations: Ablations) -> Figure:
    """Accuracy by dimension, on a logarithmic axis."""
    variants = ablations.variants["dimension"]
    places = [math.log2(int(variant.value)) for variant in variants]
    figure, axes = canvas()
    draw_readings(
        axes, variants, places, len(places), {"untrained, MLP": ablations.random.probe("mlp")}
    )
    tick(axes, places, [f"{variant.value:,}" for variant in variants])
    axes.set_xlabel("d, dimension of the targets on the sphere")
    axes.set_ylabel(f"accuracy on {ablations.data}, %")
    return figure


def caption(ablations: Ablations) -> str:
    """What is shown and how it was measured."""
    return (
        f"Accuracy on {ablations.data} of classifiers on the frozen trunk, by the dimension d of "
        "the noise on the sphere; the paper does not state its own. The dotted line is the "
        f"untrained trunk, read by the MLP. {spread_of(ablations)}"
    )
