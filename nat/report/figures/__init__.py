"""The figures: what is shown, how it is drawn, and of which runs it is."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from nat.report import page
from nat.report.figures import accuracy, detections, filters, neighbours, overview, training
from nat.report.figures.style import render
from nat.report.frame import Report
from nat.report.results import DETECTIONS, FEATURES, Run

ACCURACY = "Accuracy of MLP, linear classifier and kNN by "
ILLUSTRATED = [Run(FEATURES, "nat")]


class Drawing(NamedTuple):
    """A figure: its files' name, title and text for who cannot see it, and how it is made.

    ``shows`` picks what is drawn, None where there is nothing; ``runs`` are those that it shows,
    none where what is drawn tells them itself. Its caption is the macro of its name in captions.j2.
    """

    stem: str
    title: str
    alt: str
    shows: Callable[[Report], Any]
    draw: Callable[[Any], Figure]
    runs: list[Run]


class Image(NamedTuple):
    """A figure as the page shows it, and its files' bytes."""

    stem: str
    title: str
    alt: str
    caption: str
    runs: list[Run]
    svg: bytes
    png: bytes


def _by_factor(stem: str, title: str, by: str, name: str) -> Drawing:
    shows = partial(accuracy.measured, name=name)
    return Drawing(stem, title, ACCURACY + by, shows, accuracy.by_factor, [])


DRAWINGS = (
    Drawing("figure1", "Figure 1", "Images, their gradients, the convnet, and features matched to "
            "targets on the sphere", lambda r: r.illustrated, overview.draw, ILLUSTRATED),
    Drawing("detections", "Detections", "Test images of the best and the worst detected class, "
            "with framed detections and scores", lambda r: r.detected, detections.draw,
            [Run("detect", "nat"), Run(DETECTIONS, "nat")]),
    Drawing("training", "Training", "Loss, share of reassigned images and kNN accuracy by epoch",
            lambda r: r if r.histories else None, training.draw, [Run("train", "nat")]),
    Drawing("figure2_left", "Figure 2, left", f"{ACCURACY}epochs of unsupervised training",
            lambda r: r if len(r.curve) > 1 else None, accuracy.by_epoch,
            [Run("probe", method) for method in ("nat", "random", "labels")]),
    Drawing("figure3", "Figure 3", "Query images and their three nearest neighbours, with class "
            "names", lambda r: r.illustrated, neighbours.draw, ILLUSTRATED),
    Drawing("figure4", "Figure 4", "First-layer filters in grey, trained with labels and with NAT",
            lambda r: r.illustrated, filters.draw, ILLUSTRATED),
    _by_factor("figure2_right", "Figure 2, right", "the period of the updates of P",
               "permute_every"),
    _by_factor("classes", "Discrete targets", "the number of discrete targets", "targets.k"),
    _by_factor("dimension", "Dimension", "the dimension of the targets", "targets.dimension"),
)  # fmt: skip


def draw_all(report: Report) -> Iterator[Image]:
    """The figures that there is something to show in."""
    measured = {result.run for result in report.counted}
    with rc_context(fname=page.TEMPLATES / "figures.mplstyle"):
        for stem, title, alt, shows, draw, runs in DRAWINGS:
            shown = shows(report)
            if shown is not None:
                figure, caption = draw(shown), page.caption(stem, report=report, shown=shown)
                png, svg = (render(figure, ending) for ending in ("png", "svg"))
                known = [run for run in runs or shown.runs if run in measured]
                yield Image(stem, title, alt, caption, known, svg, png)
