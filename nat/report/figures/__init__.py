"""The figures, each in a file of its own: ``draw`` makes it, ``caption`` says what is shown."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from nat.report.artifacts import Artifacts
from nat.report.figures import evolution, filters, neighbours, overview, training


@dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes:
        stem: its files' name without ending.
        title: what the page calls it.
        alt: what is to be seen, for who cannot see it.
        draw: makes the figure.
        caption: says what is shown.
    """

    stem: str
    title: str
    alt: str
    draw: Callable[[Artifacts], Figure]
    caption: Callable[[Artifacts], str]


DRAWINGS = (
    Drawing(
        "figure1",
        "Figure 1",
        "Images, their gradients, the convnet, and features matched to targets on the sphere",
        overview.draw,
        overview.caption,
    ),
    Drawing(
        "training",
        "Training",
        "Loss, share of reassigned images and kNN accuracy by epoch",
        training.draw,
        training.caption,
    ),
    Drawing(
        "figure2_left",
        "Figure 2, left",
        "Accuracy of MLP, linear classifier and kNN by epochs of unsupervised training",
        evolution.draw,
        evolution.caption,
    ),
    Drawing(
        "figure3",
        "Figure 3",
        "Query pictures and their three nearest neighbours, with class names",
        neighbours.draw,
        neighbours.caption,
    ),
    Drawing(
        "figure4",
        "Figure 4",
        "First-layer filters in grey, trained with labels and with NAT",
        filters.draw,
        filters.caption,
    ),
)
