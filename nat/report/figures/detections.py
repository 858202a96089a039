"""Detections in test images: of the class that is detected best, and of the worst one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from nat.illustrate.detected import Detected
from nat.report.figures.labels import Frame, places
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, place_image, sheet, write
from nat.report.results import Result

SHEET, MARGIN, BETWEEN = 11.0, 0.12, 0.14  # inches
HIGHEST, TITLE, LEGEND = 2.6, 0.42, 0.46  # of an image, of the line above a row, of the legend
LABEL = (0.36, 0.17)  # of a score


@dataclass(frozen=True)
class Kind:
    """How the frames of one kind look; no two kinds differ by colour alone."""

    name: str
    colour: str
    line: float
    dashes: tuple[float, ...] = ()


RIGHT = Kind("right", BLUE, 2.4)
WRONG = Kind("wrong", VERMILLION, 2.4, (3, 1.5))
MISSED = Kind("missed object", INK, 1.1)
DIFFICULT = Kind("difficult object, and what detects it", INK, 1.6, (1, 1.2))


def draw(result: Result) -> Figure:
    """A row of images of one height for each class, and what the frames mean below."""
    shown: Detected = result.content
    classes = shown.facts["classes"]
    rows = [np.flatnonzero(shown.labels == label) for label in range(len(classes))]
    aspects = shown.sizes[:, 1] / shown.sizes[:, 0]
    room = [(SHEET - 2 * MARGIN - BETWEEN * (len(row) - 1)) / aspects[row].sum() for row in rows]
    height = min(HIGHEST, *room)
    figure, axes = sheet(SHEET, (height + TITLE) * len(rows) + LEGEND)
    for label, row in enumerate(rows):
        y = LEGEND + (height + TITLE) * (len(rows) - 1 - label)
        _title(axes, classes[label], "Worst" if label else "Best", y + height + 0.13)
        x = MARGIN
        for image in row:
            _image(axes, shown, int(image), (x, y), height)
            x += height * aspects[image] + BETWEEN
    _legend(axes, shown)
    return figure


def _title(axes: Axes, each: dict, word: str, y: float) -> None:
    least = "" if each["score"] is None else f"; scores from {each['score']:.2f} on"
    measured = f"average precision {each['ap']:.1f} %{least}"
    # a class may be called $
    axes.text(MARGIN, y, f"{word} class: {each['name']}", size=13, weight="bold", parse_math=False)
    axes.text(SHEET - MARGIN, y, measured, size=11, color=SOFT, ha="right")


def _image(
    axes: Axes, shown: Detected, image: int, corner: tuple[float, float], height: float
) -> None:
    """An image with its frames, the best score in front."""
    high, wide = shown.sizes[image]
    scale, (x, y) = height / high, corner
    place_image(axes, shown.images[image, :high, :wide], corner, wide * scale)

    def on_sheet(box: np.ndarray) -> Frame:
        left, top, right, bottom = (float(v) * scale for v in box)
        return x + left, y + height - bottom, x + right, y + height - top

    for row in np.flatnonzero(shown.objects_in == image):
        if shown.missed[row] or shown.difficult[row]:
            kind = MISSED if shown.missed[row] else DIFFICULT
            _frame(axes, on_sheet(shown.objects[row]), kind, 6)
    found = np.flatnonzero(shown.boxes_in == image)
    frames = [on_sheet(box) for box in shown.boxes[found]]
    labels = places(frames, LABEL, (x, y, x + wide * scale, y + height))
    for order, (row, frame, label) in enumerate(zip(found, frames, labels, strict=True)):
        kind = RIGHT if shown.right[row] else DIFFICULT if shown.neither[row] else WRONG
        _frame(axes, frame, kind, 8 - order / len(found))
        if label:
            _score(axes, float(shown.scores[row]), label, kind)


def _frame(axes: Axes, frame: Frame, kind: Kind, order: float) -> None:
    """A frame, on white so that it is seen on any image."""
    white = [withStroke(linewidth=kind.line + 1.6, foreground="white")]
    axes.add_patch(_box(frame, fill=False, edgecolor=kind.colour, linewidth=kind.line,
                        linestyle=(0, kind.dashes) if kind.dashes else "-", path_effects=white,
                        zorder=order))  # fmt: skip


def _score(axes: Axes, score: float, place: Frame, kind: Kind) -> None:
    left, bottom, right, top = place
    axes.add_patch(_box(place, facecolor=kind.colour, edgecolor="white", linewidth=0.8, zorder=9))
    write(axes, (left + right) / 2, (bottom + top) / 2 - 0.005, f"{score:.2f}", 9, color="white",
          va="center_baseline", zorder=10)  # fmt: skip


def _box(frame: Frame, **look: Any) -> Rectangle:
    left, bottom, right, top = frame
    return Rectangle((left, bottom), right - left, top - bottom, **look)


def _legend(axes: Axes, shown: Detected) -> None:
    """The kinds that are there."""
    wrong = ~(shown.right | shown.neither)
    there = ((RIGHT, shown.right), (WRONG, wrong), (MISSED, shown.missed),
             (DIFFICULT, shown.difficult))  # fmt: skip
    x = MARGIN
    for kind in (kind for kind, of_it in there if of_it.any()):
        axes.add_patch(Rectangle((x, 0.07), 0.42, 0.26, facecolor=SOFT))  # frames lie on images
        _frame(axes, (x + 0.07, 0.13, x + 0.35, 0.27), kind, 6)
        axes.text(x + 0.5, 0.2, kind.name, va="center_baseline", size=11)
        x += 0.5 + 0.08 * len(kind.name) + 0.4
