"""Accuracy by k, the number of discrete targets, beside targets on the sphere."""

import math

from matplotlib.figure import Figure

from nat.report.ablations import Ablations
from nat.report.figures.factor import canvas, draw_readings, spread_of, tick
from nat.report.paper import IN_TEXT


def draw(ablations: Ablations) -> Figure:
    """Accuracy by k, on a logarithmic axis; the sphere and the random trunk as dotted lines."""
    variants = ablations.variants["k"]
    places = [math.log2(int(variant.value)) for variant in variants]
    levels = {"untrained, MLP": ablations.random.probe("mlp")}
    if ablations.sphere is not None:
        levels["sphere, MLP"] = ablations.sphere.probe("mlp")
    figure, axes = canvas()
    draw_readings(axes, variants, places, len(places), levels)
    tick(axes, places, [f"{variant.value:,}" for variant in variants])
    axes.set_xlabel("k, number of discrete targets")
    axes.set_ylabel(f"accuracy on {ablations.data}, %")
    return figure


def caption(ablations: Ablations) -> str:
    """What is shown and how it was measured."""
    lines = "The dotted line is the untrained trunk"
    if ablations.sphere is not None:
        lines = "The dotted lines are targets on the sphere and the untrained trunk"
    return (
        f"Accuracy on {ablations.data} of classifiers on the frozen trunk, by the number k of "
        f"canonical basis vectors that the images are assigned to. {lines}, read by the MLP. The "
        f"paper has {IN_TEXT['discrete']} % with the best of three k, {IN_TEXT['nat']} % with "
        f"targets on the sphere, on ImageNet. {spread_of(ablations)}"
    )
