"""Figure 3: images and their 3 nearest neighbours by L2 distance of their features."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nat.illustrate.illustration import Illustration
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, place_image, sheet
from nat.report.names import data_name
from nat.report.results import Picked

SIZE, ACROSS, DOWN, LEFT = 0.98, 1.08, 1.29, 0.42  # inches
RANKS = ("query", "nearest", "second", "third")


def draw(picked: Picked) -> Figure:
    """Queries on top, the closest neighbour first below; frames tell whether the class matches."""
    shown: Illustration = picked.content
    names = shown.facts["classes"]
    count, depth = shown.neighbour_labels.shape
    figure, axes = sheet(LEFT + ACROSS * count + 0.04, DOWN * (depth + 1) + 0.14)
    bottoms = [0.28 + DOWN * (depth - row) for row in range(depth + 1)]
    for text, y in zip(RANKS, bottoms, strict=False):
        axes.text(0.2, y + SIZE / 2, text, rotation=90, ha="center", va="center", size=12)
    for column, label in enumerate(shown.query_labels):
        x = LEFT + ACROSS * column
        place_image(axes, shown.queries[column], (x, bottoms[0]), SIZE, INK)
        _name(axes, x, bottoms[0], names[label], INK, "bold")
        found = zip(
            bottoms[1:], shown.neighbours[column], shown.neighbour_labels[column], strict=True
        )
        for y, image, other in found:
            if other == label:
                place_image(axes, image, (x, y), SIZE, BLUE, 2)
                _name(axes, x, y, names[other], SOFT, "normal")
            else:
                place_image(axes, image, (x, y), SIZE, VERMILLION, 4)
                _name(axes, x, y, names[other], VERMILLION, "bold")
    return figure


def caption(picked: Picked) -> str:
    """What is shown, the rule of choice, and how many neighbours share their query's class."""
    shown: Illustration = picked.content
    same = shown.neighbour_labels == shown.query_labels[:, None]
    facts, count = shown.facts, len(shown.queries)
    classes = "each class" if count == len(facts["classes"]) else f"{count} evenly spaced classes"
    return (
        f"Images of the test set of {data_name(facts['source'])} (top) and their "
        f"{same.shape[1]} nearest of {facts['searched']:,} training images by L2 distance of "
        "NAT's features, the closest first. Not picked by hand: of "
        f"{classes} the first image in a random order drawn from seed {picked.seed}. "
        f"Thin blue frame: the query's class ({same.sum()} of {same.size} neighbours); thick "
        "orange frame and bold name: another class. Distances between unit vectors, 0 to 2: "
        f"here {shown.distances.min():.2f} to {shown.distances.max():.2f}. NAT saw no labels."
    )


def _name(axes: Axes, x: float, y: float, name: str, colour: str, weight: str) -> None:
    short = name if len(name) <= 11 else f"{name[:9]}…"
    axes.text(
        x + SIZE / 2,
        y - 0.12,
        short,
        color=colour,
        weight=weight,
        size=11,
        ha="center",
        va="center",
        parse_math=False,
    )  # fmt: skip - a class may be called $
