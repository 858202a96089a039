"""Detections in test images: of the class that is detected best, and of the worst one."""

from collections.abc import Sequence
from itertools import compress
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox

from nat.illustrate.detected import Detected
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, Sheet
from nat.report.results import Result

SHEET, MARGIN, BETWEEN = 11.0, 0.12, 0.14  # inches
HIGHEST, TITLE, LEGEND = 2.6, 0.42, 0.46  # of an image, of the line above a row, of the legend
LABEL = (0.36, 0.17)  # of a score


class Kind(NamedTuple):
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
    sheet = Sheet(SHEET, (height + TITLE) * len(rows) + LEGEND)
    for label, (row, each) in enumerate(zip(rows, classes, strict=True)):
        x, y = MARGIN, LEGEND + (height + TITLE) * (len(rows) - 1 - label)
        title = f"{'Worst' if label else 'Best'} class: {each['name']}"
        least = "" if each["score"] is None else f"; scores from {each['score']:.2f} on"
        measured = f"average precision {each['ap']:.1f} %{least}"
        above, right = y + height + 0.13, SHEET - MARGIN
        # a class may be called $
        sheet.axes.text(x, above, title, size=13, weight="bold", parse_math=False)
        sheet.axes.text(right, above, measured, size=11, color=SOFT, ha="right")
        for image in row:
            _image(sheet, shown, int(image), x, y, height)
            x += height * aspects[image] + BETWEEN
    _legend(sheet, shown)
    return sheet.figure


def _image(sheet: Sheet, shown: Detected, image: int, x: float, y: float, height: float) -> None:
    """An image with its frames, the best score in front."""
    high, wide = shown.sizes[image]
    scale = height / high
    sheet.image(shown.images[image, :high, :wide], x, y, wide * scale)

    def on_sheet(box: np.ndarray) -> Bbox:
        left, top, right, bottom = (float(v) * scale for v in box)
        return Bbox([[x + left, y + height - bottom], [x + right, y + height - top]])

    for row in np.flatnonzero(shown.objects_in == image):
        if shown.missed[row] or shown.difficult[row]:
            kind = MISSED if shown.missed[row] else DIFFICULT
            _frame(sheet, on_sheet(shown.objects[row]), kind, 6)
    found = np.flatnonzero(shown.boxes_in == image)
    frames = [on_sheet(box) for box in shown.boxes[found]]
    labels = places(frames, LABEL, Bbox.from_bounds(x, y, wide * scale, height))
    for order, (row, frame, label) in enumerate(zip(found, frames, labels, strict=True)):
        kind = RIGHT if shown.right[row] else DIFFICULT if shown.neither[row] else WRONG
        _frame(sheet, frame, kind, 8 - order / len(found))
        if label:
            sheet.box(*label.bounds, facecolor=kind.colour, edgecolor="white", linewidth=0.8,
                      zorder=9)  # fmt: skip
            (x_middle, y_middle), score = (label.p0 + label.p1) / 2, f"{shown.scores[row]:.2f}"
            sheet.write(x_middle, y_middle - 0.005, score, 9, color="white",
                        va="center_baseline", zorder=10)  # fmt: skip


def _frame(sheet: Sheet, frame: Bbox, kind: Kind, order: float) -> None:
    """A frame, on white so that it is seen on any image."""
    white = [withStroke(linewidth=kind.line + 1.6, foreground="white")]
    sheet.box(*frame.bounds, fill=False, edgecolor=kind.colour, linewidth=kind.line, zorder=order,
              linestyle=(0, kind.dashes) if kind.dashes else "-", path_effects=white)  # fmt: skip


def _legend(sheet: Sheet, shown: Detected) -> None:
    """The kinds that are there."""
    of_each = shown.right, ~(shown.right | shown.neither), shown.missed, shown.difficult
    x = MARGIN
    for kind in compress((RIGHT, WRONG, MISSED, DIFFICULT), (each.any() for each in of_each)):
        sheet.box(x, 0.07, 0.42, 0.26, facecolor=SOFT)  # frames lie on images
        _frame(sheet, Bbox([[x + 0.07, 0.13], [x + 0.35, 0.27]]), kind, 6)
        sheet.axes.text(x + 0.5, 0.2, kind.name, va="center_baseline", size=11)
        x += 0.5 + 0.08 * len(kind.name) + 0.4


def places(frames: Sequence[Bbox], size: tuple[float, float], area: Bbox) -> list[Bbox | None]:
    """A place for the label of each frame, the first frames choosing first; no two overlap.

    Above the frame's upper left corner if it can be, else below, to the right, or within; else the
    nearest free place in ``area``. None where all of it is taken. ``size`` is width and height of a
    label; coordinates go upwards.
    """
    (width, height), found = size, list[Bbox | None]()
    xs, ys = (
        np.arange(area.x0, area.x1 - width, width / 4),
        np.arange(area.y0, area.y1 - height, height / 4),
    )
    grid = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1).reshape(-1, 2)
    for frame in frames:
        tops = (frame.y1, frame.y0 - height, frame.y1 - height, frame.y0)
        near = [(x, y) for y in tops for x in (frame.x0, frame.x1 - width)]
        far = np.square(grid - (frame.x0, frame.y1)).sum(axis=1)
        candidates = (
            Bbox.from_bounds(x, y, width, height)
            for x, y in (*near, *grid[far.argsort(kind="stable")])
        )
        taken = [place for place in found if place]
        free = (
            place
            for place in candidates
            if np.allclose(Bbox.union([place, area]), area, rtol=0, atol=1e-9)
            and not any(place.fully_overlaps(other) for other in taken)
        )
        found.append(next(free, None))
    return found
