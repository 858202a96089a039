"""What was learned, in images: nearest neighbours (Figure 3) and first-layer filters (Figure 4)."""

import math

import numpy as np
from matplotlib.figure import Figure

from nat.illustrate.filters import Filters
from nat.illustrate.illustration import Illustration
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, Sheet
from nat.report.results import Result

SIZE, ACROSS, DOWN, LEFT = 0.98, 1.08, 1.29, 0.42  # inches
RANKS = ("query", "nearest", "second", "third")
# colour and width in points of an image's frame, colour and weight of its class's name
QUERY, SAME = (INK, 1.6, INK, "bold"), (BLUE, 2.0, SOFT, "normal")
OTHER = (VERMILLION, 4.0, VERMILLION, "bold")
# of the filters, in inches; then pixels for one of a filter's, and between filters
SHEET, MARGIN, BETWEEN = 11.0, 0.15, 0.45
FINE, GAP = 8, 6


def neighbours(result: Result) -> Figure:
    """Queries, and below their 3 nearest by L2 distance of features; frames tell the same class."""
    shown: Illustration = result.content
    count, depth = shown.neighbour_labels.shape
    sheet = Sheet(LEFT + ACROSS * count + 0.04, DOWN * (depth + 1) + 0.14)
    bottoms = [0.28 + DOWN * (depth - row) for row in range(depth + 1)]
    for text, y in zip(RANKS, bottoms, strict=False):
        sheet.write(0.2, y + SIZE / 2, text, rotation=90)
    for column, label in enumerate(shown.query_labels):
        x = LEFT + ACROSS * column
        images = [shown.queries[column], *shown.neighbours[column]]
        labels = [label, *shown.neighbour_labels[column]]
        for row, (y, image, other) in enumerate(zip(bottoms, images, labels, strict=True)):
            frame, line, colour, weight = QUERY if row == 0 else SAME if other == label else OTHER
            sheet.image(image, x, y, SIZE, edgecolor=frame, linewidth=line)
            name = shown.facts["classes"][other]
            name = name if len(name) <= 11 else f"{name[:9]}…"
            # a class may be called $
            sheet.write(x + SIZE / 2, y - 0.12, name, 11, color=colour, weight=weight,
                        parse_math=False)  # fmt: skip
    return sheet.figure


def filters(result: Result) -> Figure:
    """Filters composed with the image gradients, of both methods, strongest first."""
    shown: Filters = result.content
    grids = {"labels": mosaic(shown.labels), "NAT": mosaic(shown.nat)}
    width = (SHEET - 2 * MARGIN - BETWEEN) / 2
    rows, columns = grids["labels"].shape
    height = width * rows / columns
    sheet = Sheet(SHEET, height + 2 * MARGIN + 0.35)
    for index, (name, grid) in enumerate(grids.items()):
        x, title = MARGIN + index * (width + BETWEEN), f"Trained with {name}"
        sheet.image(grid, x, MARGIN, width, (-1, 1))
        sheet.axes.text(x, MARGIN + height + 0.14, title, weight="bold", size=13)
    return sheet.figure


def mosaic(filters: np.ndarray) -> np.ndarray:
    """Filters (w, k, k) side by side, each divided by its largest absolute value.

    The strongest (L2) is first. Between the filters there is NaN, which is drawn white.
    """
    filters = filters.astype(np.float64)
    filters = filters[np.argsort(-np.square(filters).sum((1, 2)), kind="stable")]
    n, side, _ = filters.shape
    # the most square grid without holes, if one is not too wide
    least = math.isqrt(n - 1) + 1
    columns = next((c for c in range(least, 2 * math.isqrt(n) + 1) if n % c == 0), least)
    rows, step = -(-n // columns), GAP + side * FINE
    grid = np.full((rows * step - GAP, columns * step - GAP), np.nan)
    for place, kernel in enumerate(filters):
        top, left = (step * i for i in divmod(place, columns))
        large = np.kron(kernel / (np.abs(kernel).max() or 1), np.ones((FINE, FINE)))
        grid[top : top + side * FINE, left : left + side * FINE] = large
    return grid
