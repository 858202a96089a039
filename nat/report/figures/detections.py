"""Detections in test images: of the class that is detected best, and of the worst one."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from nat.illustrate.detected import Detected
from nat.report.figures.labels import Frame, places
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, place_array, sheet
from nat.report.names import data_name
from nat.report.results import Picked

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


def draw(picked: Picked) -> Figure:
    """A row of images of one height for each class, and what the frames mean below."""
    shown: Detected = picked.content
    classes = shown.facts["classes"]
    rows = [np.flatnonzero(shown.labels == label) for label in range(len(classes))]
    aspects = shown.sizes[:, 1] / shown.sizes[:, 0]
    room = [(SHEET - 2 * MARGIN - BETWEEN * (len(row) - 1)) / aspects[row].sum() for row in rows]
    height = min(HIGHEST, *room)
    figure, axes = sheet(SHEET, (height + TITLE) * len(rows) + LEGEND)
    for label, row in enumerate(rows):
        y = LEGEND + (height + TITLE) * (len(rows) - 1 - label)
        _title(axes, classes[label], label, y + height + 0.13)
        x = MARGIN
        for image in row:
            _image(axes, shown, int(image), (x, y), height)
            x += height * aspects[image] + BETWEEN
    _legend(axes, shown)
    return figure


def caption(picked: Picked) -> str:
    """What is shown, the rules of choice, and how images so chosen flatter a detector."""
    shown: Detected = picked.content
    facts, classes = shown.facts, shown.facts["classes"]
    seed = picked.seed
    count = int((shown.labels == 0).sum())
    which = f"the first {count} images" if count > 1 else "the first image"
    best, *worst = (f"{each['name']} ({each['ap']:.1f} %)" for each in classes)
    both = f"of the class with the highest average precision, {best}"
    if worst:
        both += f", and of that with the lowest, {worst[0]}"
    return (
        f"What NAT's detector of Table 4 (seed {seed}) finds in test images of the "
        f"{data_name(facts['source'])}: {both}. Not picked by hand: of each class {which}, in a "
        f"random order drawn from seed {seed}, that have an object of it that is not difficult. "
        "Images without the class, in which all its detections are wrong, are not among them, "
        "which flatters. Detections are shown from the score on that gives the highest F1 on all "
        f"{facts['test']:,} test images: {' and '.join(map(_worth, classes))}. Solid: right, the "
        "best scored of those that overlap an object by at least one half (intersection over "
        "union). Dashed: wrong. Thin, without a score: an object that was missed. Dotted: "
        "difficult, which counts neither way. Objects of other classes are not framed."
    )


def _worth(each: dict) -> str:
    if each["score"] is None:
        return f"none for {each['name']}, of which no detection counts"
    return (
        f"{each['score']:.2f} for {each['name']} (precision {each['precision']:.1f} %, recall "
        f"{each['recall']:.1f} %)"
    )


def _title(axes: Axes, each: dict, label: int, y: float) -> None:
    word = "Worst" if label else "Best"
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
    place_array(axes, shown.images[image, :high, :wide], corner, wide * scale, (0, 255))

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
    left, bottom, right, top = frame
    white = [withStroke(linewidth=kind.line + 1.6, foreground="white")]
    dashes = (0, kind.dashes) if kind.dashes else "-"
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, fill=False,
                             edgecolor=kind.colour, linewidth=kind.line, linestyle=dashes,
                             path_effects=white, zorder=order))  # fmt: skip


def _score(axes: Axes, score: float, place: Frame, kind: Kind) -> None:
    left, bottom, right, top = place
    middle = ((left + right) / 2, (bottom + top) / 2 - 0.005)
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, facecolor=kind.colour,
                             edgecolor="white", linewidth=0.8, zorder=9))  # fmt: skip
    axes.text(*middle, f"{score:.2f}", color="white", size=9, ha="center", va="center_baseline",
              zorder=10)  # fmt: skip


def _legend(axes: Axes, shown: Detected) -> None:
    """The kinds that are there."""
    wrong = ~(shown.right | shown.neither)
    there = {
        RIGHT: shown.right.any(),
        WRONG: wrong.any(),
        MISSED: shown.missed.any(),
        DIFFICULT: shown.difficult.any(),
    }
    x = MARGIN
    for kind in (kind for kind, any_of_it in there.items() if any_of_it):
        axes.add_patch(Rectangle((x, 0.07), 0.42, 0.26, facecolor=SOFT))  # frames lie on images
        _frame(axes, (x + 0.07, 0.13, x + 0.35, 0.27), kind, 6)
        axes.text(x + 0.5, 0.2, kind.name, va="center_baseline", size=11)
        x += 0.5 + 0.08 * len(kind.name) + 0.4
