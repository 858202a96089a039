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
FEATURES, DETECTED = Run(f"{PICKED} features", "nat"), Run(f"{PICKED} detections", "nat")


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


def _illustrated(stem: str, title: str, alt: str, module: Any) -> Drawing:
    shows = lambda report: report.illustrated  # noqa: E731 - shorter than a function
    return Drawing(stem, title, alt, shows, module.draw, module.caption, lambda _: [FEATURES])


def _by_factor(stem: str, title: str, words: str, name: str) -> Drawing:
    def shows(report: Report) -> Report | None:
        return report if any(v.override for v, _ in factor.measured(report, name)) else None

    draw: Any = partial(factor.draw, factor=name)
    caption: Any = partial(factor.caption, factor=name)
    return Drawing(
        stem, title, ACCURACY + words, shows, draw, caption, partial(factor.runs, factor=name)
    )


DRAWINGS = (
    _illustrated(
        "figure1",
        "Figure 1",
        "Images, their gradients, the convnet, and features matched to targets on the sphere",
        overview,
    ),
    Drawing(
        "detections",
        "Detections",
        "Test images of the best and the worst detected class, with framed detections and scores",
        lambda report: report.detected,
        detections.draw,
        detections.caption,
        lambda _: [Run("detect", "nat"), DETECTED],
    ),
    Drawing(
        "training",
        "Training",
        "Loss, share of reassigned images and kNN accuracy by epoch",
        lambda report: report if report.histories else None,
        training.draw,
        training.caption,
        lambda _: [Run("train", "nat")],
    ),
    Drawing(
        "figure2_left",
        "Figure 2, left",
        f"{ACCURACY}epochs of unsupervised training",
        lambda report: report if len(report.curve) > 1 else None,
        evolution.draw,
        evolution.caption,
        lambda _: [Run("probe", method) for method in ("nat", "random", "labels")],
    ),
    _illustrated(
        "figure3",
        "Figure 3",
        "Query images and their three nearest neighbours, with class names",
        neighbours,
    ),
    _illustrated(
        "figure4",
        "Figure 4",
        "First-layer filters in grey, trained with labels and with NAT",
        filters,
    ),
    _by_factor(
        "figure2_right", "Figure 2, right", "the period of the updates of P", "permute_every"
    ),
    _by_factor("classes", "Discrete targets", "the number of discrete targets", "targets.k"),
    _by_factor("dimension", "Dimension", "the dimension of the targets", "targets.dimension"),
)


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
