"""How well each method does its own pretext task, by epoch: small multiples."""

import textwrap
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from nat.report.figures.style import BLUE, SOFT
from nat.report.frame import Report
from nat.report.names import label, said
from nat.report.results import Run
from nat.runtime.settings.params import NAT

ACROSS, WIDTH, HEIGHT = 4, 3.0, 2.5  # panels in a row, and inches of each
LINE = 34  # characters
MARKED = 30  # points of a curve that are still marked


class Panel(NamedTuple):
    """A method's measure by epoch, a curve a seed; ``text`` is what it is, with its unit."""

    name: str
    text: str
    better: str
    curves: list[pd.Series]


class Shown(NamedTuple):
    """The panels, and the runs that they are of."""

    panels: list[Panel]
    runs: list[Run]


def measured(report: Report) -> Shown | None:
    """The measures of all that were trained; None where that is NAT alone, which has a figure."""
    found = {}
    for method in report.variants.methods:
        curves = report.courses(method, said(method, "MEASURE", ""))
        if any(len(curve) for curve in curves):
            text, better = (said(method, word, "") for word in ("MEASURE_TEXT", "BETTER"))
            found[Run("train", method)] = Panel(label(method), text, better, curves)
    others = [run for run in found if run.method != NAT]
    return Shown([*found.values()], [*found]) if others else None


def draw(shown: Shown) -> Figure:
    """A panel a method; its last value is beside its end."""
    down = -(-len(shown.panels) // ACROSS)
    across = min(ACROSS, len(shown.panels))
    figure = Figure(figsize=(WIDTH * max(across, 2), HEIGHT * down), layout="constrained")
    places = figure.subplots(down, max(across, 2), squeeze=False).ravel()
    for axes, panel in zip(places, shown.panels, strict=False):
        for curve in panel.curves:
            marker = "." if len(curve) <= MARKED else ""
            axes.plot(curve.index, curve, color=BLUE, linewidth=1.4, marker=marker, markersize=4)
        last = max(curve.index[-1] for curve in panel.curves if len(curve))
        end = pd.Series([curve.iloc[-1] for curve in panel.curves if len(curve)]).mean()
        axes.annotate(f"{end:.3g}", (last, end), (4, 0), textcoords="offset points", color=BLUE,
                      va="center", size=9, annotation_clip=False)  # fmt: skip
        words = f"{panel.text}; {panel.better} is better" if panel.better else panel.text
        axes.set_title(panel.name, size=11, pad=6 + 11 * len(textwrap.wrap(words, LINE)))
        axes.text(0, 1.02, textwrap.fill(words, LINE), transform=axes.transAxes, size=8.5,
                  color=SOFT, va="bottom")  # fmt: skip
        axes.set_xlim(0, 1.04 * last)
        axes.tick_params(labelsize=9)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.locator_params(axis="y", nbins=4)
        axes.set_xlabel("epoch", size=9)
    for axes in places[len(shown.panels) :]:
        axes.axis("off")
    return figure
