"""Figure 3: images and their 3 nearest neighbours by L2 distance of their features."""

from matplotlib.figure import Figure

from nat.illustrate.illustration import Illustration
from nat.report.figures.style import BLUE, INK, SOFT, VERMILLION, Sheet
from nat.report.results import Result

SIZE, ACROSS, DOWN, LEFT = 0.98, 1.08, 1.29, 0.42  # inches
RANKS = ("query", "nearest", "second", "third")
# colour and width in points of an image's frame, colour and weight of its class's name
QUERY, SAME = (INK, 1.6, INK, "bold"), (BLUE, 2.0, SOFT, "normal")
OTHER = (VERMILLION, 4.0, VERMILLION, "bold")


def draw(result: Result) -> Figure:
    """Queries on top, the closest neighbour first below; frames tell whether the class matches."""
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
