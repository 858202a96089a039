"""The figures, each in a file of its own: ``draw`` makes it, ``caption`` says what is shown."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from nat.report.content import Image
from nat.report.figures import (
    detections,
    evolution,
    factor,
    filters,
    neighbours,
    overview,
    training,
)
from nat.report.figures.style import look, render
from nat.report.frame import Report
from nat.report.results import PICKED, Run

ACCURACY = "Accuracy of MLP, linear classifier and kNN by "


class Drawing(NamedTuple):
    """A figure: its files' name, title and text for who cannot see it, and how it is made.

    ``shows`` picks what is drawn, None where there is nothing; ``runs`` are those that it shows.
    """

    stem: str
    title: str
    alt: str
    shows: Callable[[Report], Any]
    draw: Callable[[Any], Figure]
    caption: Callable[[Any], str]
    runs: Callable[[Report], list[Run]]


def _of_report(module: Any, shows: Callable[[Report], Any], *runs: Run) -> tuple[Any, ...]:
    return shows, module.draw, module.caption, lambda _: list(runs)


def _illustrated(module: Any) -> tuple[Any, ...]:
    return _of_report(module, lambda report: report.illustrated, Run(f"{PICKED} features", "nat"))


def _by_factor(name: str) -> tuple[Any, ...]:
    def shows(report: Report) -> Report | None:
        return report if any(v.override for v, _ in factor.measured(report, name)) else None

    each = (factor.draw, factor.caption, factor.runs)
    return shows, *(partial(function, factor=name) for function in each)


DRAWINGS = (
    Drawing("figure1", "Figure 1", "Images, their gradients, the convnet, and features matched to "
            "targets on the sphere", *_illustrated(overview)),
    Drawing("detections", "Detections", "Test images of the best and the worst detected class, "
            "with framed detections and scores", *_of_report(
                detections, lambda report: report.detected, Run("detect", "nat"),
                Run(f"{PICKED} detections", "nat"))),
    Drawing("training", "Training", "Loss, share of reassigned images and kNN accuracy by epoch",
            *_of_report(training, lambda report: report if report.histories else None,
                        Run("train", "nat"))),
    Drawing("figure2_left", "Figure 2, left", f"{ACCURACY}epochs of unsupervised training",
            *_of_report(evolution, lambda report: report if len(report.curve) > 1 else None,
                        *(Run("probe", method) for method in ("nat", "random", "labels")))),
    Drawing("figure3", "Figure 3", "Query images and their three nearest neighbours, with class "
            "names", *_illustrated(neighbours)),
    Drawing("figure4", "Figure 4", "First-layer filters in grey, trained with labels and with NAT",
            *_illustrated(filters)),
    Drawing("figure2_right", "Figure 2, right", f"{ACCURACY}the period of the updates of P",
            *_by_factor("permute_every")),
    Drawing("classes", "Discrete targets", f"{ACCURACY}the number of discrete targets",
            *_by_factor("targets.k")),
    Drawing("dimension", "Dimension", f"{ACCURACY}the dimension of the targets",
            *_by_factor("targets.dimension")),
)  # fmt: skip


def draw_all(report: Report) -> Iterator[tuple[Image, bytes]]:
    """The figures that there is something to show in; each with its bytes as PNG."""
    measured = {result.run for result in report.counted}
    with look():
        for drawing in DRAWINGS:
            shown = drawing.shows(report)
            if shown is not None:
                figure, caption = drawing.draw(shown), drawing.caption(shown)
                png, svg = (render(figure, ending) for ending in ("png", "svg"))
                runs = [run for run in drawing.runs(report) if run in measured]
                yield Image(*drawing[:3], caption, svg, runs), png
