"""The figures, each in a file of its own: ``draw`` makes it, ``caption`` says what is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from nat.report.blocks import Image
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
from nat.report.results import PICKED
from nat.report.settings import Variant


@dataclass(frozen=True)
class Drawing:
    """A figure of the report.

    Attributes:
        stem: its files' name without ending.
        title: what the page calls it.
        alt: what is to be seen, for who cannot see it.
        shows: what it is drawn from; None where there is nothing to show.
        draw: makes the figure of that.
        caption: says what is shown.
        sources: the stage, method and override of the results that it shows.
    """

    stem: str
    title: str
    alt: str
    shows: Callable[[Report], Any]
    draw: Callable[[Any], Figure]
    caption: Callable[[Any], str]
    sources: Callable[[Report], list[tuple[str, str, str]]]


def _illustrated(_: Report) -> list[tuple[str, str, str]]:
    return [(f"{PICKED} features", "nat", "")]


def _curve(_: Report) -> list[tuple[str, str, str]]:
    return [("probe", method, "") for method in ("nat", "random", "labels")]


def _of_factor(stem: str, title: str, words: str, name: str) -> Drawing:
    """Accuracies by the values of a setting."""

    def shows(report: Report) -> Report | None:
        return report if any(v.override for v, _ in factor.measured(report, name)) else None

    def sources(report: Report) -> list[tuple[str, str, str]]:
        shown: list[Variant] = [variant for variant, _ in factor.measured(report, name)]
        own = [v for v in report.variants.of("nat", "target_type") if v.value == "sphere"]
        shown += own if name == "targets.k" else []
        runs = dict.fromkeys(("probe", variant.method, variant.override) for variant in shown)
        return [*runs, ("probe", "random", "")]

    alt = f"Accuracy of MLP, linear classifier and kNN by {words}"
    draw, caption = (partial(each, factor=name) for each in (factor.draw, factor.caption))
    return Drawing(stem, title, alt, shows, draw, caption, sources)


DRAWINGS = (
    Drawing(
        "figure1",
        "Figure 1",
        "Images, their gradients, the convnet, and features matched to targets on the sphere",
        lambda report: report.illustrated,
        overview.draw,
        overview.caption,
        _illustrated,
    ),
    Drawing(
        "detections",
        "Detections",
        "Test images of the best and the worst detected class, with framed detections and scores",
        lambda report: report.detected,
        detections.draw,
        detections.caption,
        lambda _: [("detect", "nat", ""), (f"{PICKED} detections", "nat", "")],
    ),
    Drawing(
        "training",
        "Training",
        "Loss, share of reassigned images and kNN accuracy by epoch",
        lambda report: report if report.histories else None,
        training.draw,
        training.caption,
        lambda _: [("train", "nat", "")],
    ),
    Drawing(
        "figure2_left",
        "Figure 2, left",
        "Accuracy of MLP, linear classifier and kNN by epochs of unsupervised training",
        lambda report: report if len(report.curve) > 1 else None,
        evolution.draw,
        evolution.caption,
        _curve,
    ),
    Drawing(
        "figure3",
        "Figure 3",
        "Query images and their three nearest neighbours, with class names",
        lambda report: report.illustrated,
        neighbours.draw,
        neighbours.caption,
        _illustrated,
    ),
    Drawing(
        "figure4",
        "Figure 4",
        "First-layer filters in grey, trained with labels and with NAT",
        lambda report: report.illustrated,
        filters.draw,
        filters.caption,
        _illustrated,
    ),
    _of_factor(
        "figure2_right", "Figure 2, right", "the period of the updates of P", "permute_every"
    ),
    _of_factor("classes", "Discrete targets", "the number of discrete targets", "targets.k"),
    _of_factor("dimension", "Dimension", "the dimension of the targets", "targets.dimension"),
)


def draw_all(report: Report) -> tuple[list[Image], dict[str, bytes]]:
    """The figures that there is something to show in, and their files' bytes by name."""
    images, files = [], {}
    counted = {(result.stage, *result.run[:2]) for result in report.counted}
    with look():
        for drawing in DRAWINGS:
            shown = drawing.shows(report)
            if shown is None:
                continue
            figure = drawing.draw(shown)
            for ending in ("png", "svg"):
                files[f"figures/{drawing.stem}.{ending}"] = render(figure, ending)
            images.append(
                Image(
                    drawing.stem,
                    drawing.title,
                    drawing.alt,
                    drawing.caption(shown),
                    files[f"figures/{drawing.stem}.svg"],
                    [source for source in drawing.sources(report) if source in counted],
                )
            )
    return images, files
