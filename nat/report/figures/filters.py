"""Figure 4: first-layer filters composed with the image gradients, with labels and with NAT."""

import math

import numpy as np
from matplotlib.figure import Figure

from nat.report.figures.style import Sheet
from nat.report.results import Result

SHEET, MARGIN, BETWEEN = 11.0, 0.15, 0.45  # inches
FINE, GAP = 8, 6  # pixels of the figure for a filter's pixel, and between filters


def draw(result: Result) -> Figure:
    """Two grids of filters, strongest first."""
    shown = result.content
    grids = {"labels": mosaic(shown.labels_filters), "NAT": mosaic(shown.nat_filters)}
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
