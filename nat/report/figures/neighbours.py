"""Figure 3: images and their 3 nearest neighbours by L2 distance of their features."""

from typing import Any

from matplotlib.figure import Figure

from nat.illustrate.illustration import Illustration
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, place_image, sheet, write
from nat.report.results import Result

SIZE, ACROSS, DOWN, LEFT = 0.98, 1.08, 1.29, 0.42  # inches
RANKS = ("query", "nearest", "second", "third")
# the frame of an image, and how its class is written
QUERY: tuple[Any, Any] = {"frame": INK}, {"color": INK, "weight": "bold"}
SAME: tuple[Any, Any] = {"frame": BLUE, "line": 2}, {"color": SOFT, "weight": "normal"}
OTHER: tuple[Any, Any] = {"frame": VERMILLION, "line": 4}, {"color": VERMILLION, "weight": "bold"}


def draw(result: Result) -> Figure:
    """Queries on top, the closest neighbour first below; frames tell whether the class matches."""
    shown: Illustration = result.content
    count, depth = shown.neighbour_labels.shape
    figure, axes = sheet(LEFT + ACROSS * count + 0.04, DOWN * (depth + 1) + 0.14)
    bottoms = [0.28 + DOWN * (depth - row) for row in range(depth + 1)]
    for text, y in zip(RANKS, bottoms, strict=False):
        write(axes, 0.2, y + SIZE / 2, text, rotation=90)
    for column, label in enumerate(shown.query_labels):
        images = [shown.queries[column], *shown.neighbours[column]]
        labels = [label, *shown.neighbour_labels[column]]
        for y, image, other in zip(bottoms, images, labels, strict=True):
            frame, look = QUERY if image is images[0] else SAME if other == label else OTHER
            x, name = LEFT + ACROSS * column, shown.facts["classes"][other]
            place_image(axes, image, (x, y), SIZE, **frame)
            short = name if len(name) <= 11 else f"{name[:9]}…"
            # a class may be called $
            write(axes, x + SIZE / 2, y - 0.12, short, 11, parse_math=False, **look)
    return figure
