"""The figures, each in a file of its own: ``draw`` makes it, ``caption`` says what is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from nat.report.ablations import Ablations
from nat.report.artifacts import Artifacts
from nat.report.figures import (
    classes,
    detections,
    dimension,
    evolution,
    filters,
    neighbours,
    overview,
    period,
    training,
)
from nat.report.record import Record

Shown = TypeVar("Shown")
Groups = list[tuple[Record, ...]]


@dataclass(frozen=True)
class Drawing(Generic[Shown]):
    """A figure of the report.

    Attributes:
        stem: its files' name without ending.
        title: what the page calls it.
        alt: what is to be seen, for who cannot see it.
        draw: makes the figure.
        caption: says what is shown.
        sources: the records it shows, those that differ by the seed alone together.
    """

    stem: str
    title: str
    alt: str
    draw: Callable[[Shown], Figure]
    caption: Callable[[Shown], str]
    sources: Callable[[Shown], Groups]


def _illustrated(artifacts: Artifacts) -> Groups:
    return [(artifacts.illustrated(),)]


def _detected(artifacts: Artifacts) -> Groups:
    record = artifacts.detected_record()
    return [artifacts.detections["nat"], *([(record,)] if record else [])]


def _curve(artifacts: Artifacts) -> Groups:
    return [artifacts.evolutions, *artifacts.probes.values()]


def _probes(factor: str) -> Callable[[Ablations], Groups]:
    def groups(ablations: Ablations) -> Groups:
        return [*(v.probes for v in ablations.variants[factor]), ablations.random.probes]

    return groups


def _classes(ablations: Ablations) -> Groups:
    sphere = [ablations.sphere.probes] if ablations.sphere else []
    return [*_probes("k")(ablations), *sphere]


OVERVIEW: Drawing[Artifacts] = Drawing(
    "figure1",
    "Figure 1",
    "Images, their gradients, the convnet, and features matched to targets on the sphere",
    overview.draw,
    overview.caption,
    _illustrated,
)
TRAINING: Drawing[Artifacts] = Drawing(
    "training",
    "Training",
    "Loss, share of reassigned images and kNN accuracy by epoch",
    training.draw,
    training.caption,
    lambda artifacts: [artifacts.trainings["nat"]],
)
EVOLUTION: Drawing[Artifacts] = Drawing(
    "figure2_left",
    "Figure 2, left",
    "Accuracy of MLP, linear classifier and kNN by epochs of unsupervised training",
    evolution.draw,
    evolution.caption,
    _curve,
)
NEIGHBOURS: Drawing[Artifacts] = Drawing(
    "figure3",
    "Figure 3",
    "Query pictures and their three nearest neighbours, with class names",
    neighbours.draw,
    neighbours.caption,
    _illustrated,
)
FILTERS: Drawing[Artifacts] = Drawing(
    "figure4",
    "Figure 4",
    "First-layer filters in grey, trained with labels and with NAT",
    filters.draw,
    filters.caption,
    _illustrated,
)
DETECTIONS: Drawing[Artifacts] = Drawing(
    "detections",
    "Detections",
    "Test pictures of the best and the worst detected class, with framed detections and scores",
    detections.draw,
    detections.caption,
    _detected,
)
PERIOD: Drawing[Ablations] = Drawing(
    "figure2_right",
    "Figure 2, right",
    "Accuracy of MLP, linear classifier and kNN by the period of the updates of P",
    period.draw,
    period.caption,
    _probes("permute_every"),
)
DIMENSION: Drawing[Ablations] = Drawing(
    "dimension",
    "Dimension",
    "Accuracy of MLP, linear classifier and kNN by the dimension of the targets",
    dimension.draw,
    dimension.caption,
    _probes("dimension"),
)
CLASSES: Drawing[Ablations] = Drawing(
    "classes",
    "Discrete targets",
    "Accuracy of MLP, linear classifier and kNN by the number of discrete targets",
    classes.draw,
    classes.caption,
    _classes,
)

DRAWINGS = (OVERVIEW, TRAINING, EVOLUTION, NEIGHBOURS, FILTERS)
OF_DETECTION = (DETECTIONS,)  # where detection was run
OF_ABLATIONS = (PERIOD, DIMENSION, CLASSES)
