"""Figure 1: images, convnet, features on the sphere, and the noise targets they are matched to.

Everything is this run's own: images, gradients, layer sizes, features, targets and P. One axes
with inches as its coordinates, so that parts are placed as on paper.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon, Rectangle

from nat.illustrate.illustration import Illustration
from nat.report.figures.style import (
    FAINT,
    FEATURE,
    INK,
    SHADE,
    SOFT,
    TARGET,
    apart,
    place_image,
    sheet,
    write,
)
from nat.report.results import Result

WIDTH, HEIGHT = 11.2, 5.85
MIDDLE, TITLES = 2.98, 5.55  # the heights of what is drawn, and of what it is called
# one sphere drawn as two circles, features outside and targets inside, so that P shows between
CENTRE, OUTER, INNER, THUMBNAIL = (8.96, MIDDLE), 1.5, 0.92, 0.5


def draw(result: Result) -> Figure:
    """The whole figure, from left to right."""
    shown: Illustration = result.content
    figure, axes = sheet(WIDTH, HEIGHT)
    _images(axes, shown)
    _gradients(axes, shown)
    _convnet(axes, shown)
    _sphere(axes, shown)
    _training(axes)
    return figure


def _images(axes: Axes, shown: Illustration) -> None:
    size, step = 0.72, 0.79
    _title(axes, 0.95, "images $X$")
    top = MIDDLE + step * math.ceil(len(shown.images) / 2) / 2
    for index, image in enumerate(shown.images):
        row, column = divmod(index, 2)
        corner = (0.2 + column * step, top - (row + 1) * step)
        place_image(axes, image, corner, size, frame=FAINT)


def _gradients(axes: Axes, shown: Illustration) -> None:
    size, x = 0.86, 2.14
    sees = shown.facts["preprocessing"]
    _title(axes, x + size / 2, "gradients" if sees == "sobel" else sees)
    limit = float(np.abs(shown.gradients).max()) or 1.0
    names = (r"$\partial_x$", r"$\partial_y$") if sees == "sobel" else ("",)
    heights = (MIDDLE + 0.2, MIDDLE - 0.2 - size)
    for gradient, name, y in zip(shown.gradients, names, heights, strict=False):
        place_image(axes, gradient.astype(float), (x, y), size, (-limit, limit))
        edge = y + size + 0.15 if y > MIDDLE else y - 0.15
        write(axes, x + size / 2, edge, name, size=13)
    _arrow(axes, 1.76, x - 0.04)
    _arrow(axes, x + size + 0.04, 3.3)


def _convnet(axes: Axes, shown: Illustration) -> None:
    """Cuboids: the higher the larger the feature map, the thicker the more channels."""
    facts = shown.facts
    widths, sides = zip(*facts["layers"], strict=True)
    unit = 1.7 / sum(math.sqrt(width) for width in widths)
    x = 3.36
    _title(axes, 4.75, r"convnet $f_\theta$")
    write(axes, x - 0.1, 1.34, "conv", ha="right")
    write(axes, x - 0.1, 1.09, "channels", ha="right", color=SOFT, size=11)
    for index, (width, side) in enumerate(facts["layers"], start=1):
        height = 0.5 + 1.6 * (side - min(sides)) / max(max(sides) - min(sides), 1)
        thick = unit * math.sqrt(width)
        _cuboid(axes, x, MIDDLE - 0.1, thick, height)
        write(axes, x + thick / 2, 1.34, f"{index}")
        write(axes, x + thick / 2, 1.09, f"{width}", color=SOFT, size=11)
        x += thick + 0.1
    x += 0.12
    for index, height in enumerate((1.9, 1.9, 1.3)):
        colour = FEATURE if index == 2 else SHADE
        corner = (x + 0.25 * index, MIDDLE - height / 2)
        axes.add_patch(Rectangle(corner, 0.13, height, facecolor=colour, edgecolor=INK))
    write(axes, x + 0.32, 1.34, "MLP")
    sizes = "{hidden}-{hidden}-{dimension}".format_map(facts)
    write(axes, x - 0.06, 1.09, sizes, 11, ha="left", color=SOFT)
    _arrow(axes, x + 0.68, CENTRE[0] - OUTER - 0.76)


def _sphere(axes: Axes, shown: Illustration) -> None:
    _title(axes, CENTRE[0], rf"unit sphere in $\mathbb{{R}}^{{{shown.facts['dimension']}}}$")
    for radius, ground in ((OUTER, "white"), (INNER, "#FBEFE8")):
        axes.add_patch(Circle(CENTRE, radius, facecolor=ground, edgecolor=INK, linewidth=1.2))
    others = list(zip(_angles(shown.other_features), _angles(shown.other_targets), strict=True))
    for lines, colour, width, alpha in (
        ([_match(*both) for both in others], INK, 0.6, 0.12),
        ([[_at(angle, OUTER), _at(angle, OUTER + 0.08)] for angle, _ in others], FEATURE, 0.8, 0.4),
        ([[_at(aim, INNER), _at(aim, INNER - 0.08)] for _, aim in others], TARGET, 0.8, 0.4),
    ):
        look = {"colors": colour, "linewidths": width, "alpha": alpha}
        axes.add_collection(LineCollection(lines, **look, zorder=2))
    angles = _angles(shown.features)
    places = apart(angles, 0.36, 2 * math.pi)
    for image, angle, aim, place in zip(
        shown.images, angles, _angles(shown.targets), places, strict=True
    ):
        feature, target, middle = _at(angle, OUTER), _at(aim, INNER), _at(place, OUTER + 0.5)
        axes.plot(*zip(*_match(angle, aim), strict=True), color=INK, linewidth=2, zorder=3)
        axes.plot(*zip(feature, middle, strict=True), color=FEATURE, linewidth=1.2, zorder=2)
        corner = (middle[0] - THUMBNAIL / 2, middle[1] - THUMBNAIL / 2)
        place_image(axes, image, corner, THUMBNAIL, frame=FEATURE)
        axes.plot(*feature, "o", color=FEATURE, markeredgecolor="white", markersize=11, zorder=6)
        axes.plot(*target, "D", color=TARGET, markeredgecolor="white", markersize=10, zorder=6)
    write(axes, CENTRE[0], CENTRE[1] + 0.1, "targets $C$")
    write(axes, CENTRE[0], CENTRE[1] - 0.14, "fixed noise", size=11)


def _match(angle: float, aim: float) -> list[tuple[float, float]]:
    """A line of P, from a feature's angle on the outer circle to its target's on the inner one."""
    turn = (aim - angle + math.pi) % (2 * math.pi) - math.pi
    return [
        _at(angle + turn * t * t * (3 - 2 * t), OUTER + (INNER - OUTER) * t)
        for t in np.linspace(0, 1, 25)
    ]


def _training(axes: Axes) -> None:
    """The objective, the gradient's way back, and the key."""
    y = 0.36
    objective = r"$\max_\theta\ \max_{P}\ \mathrm{Tr}\,(P\,C\,f_\theta(X)^{\!\top})$"
    write(axes, 0.2, y, objective, ha="left", size=15)
    write(axes, 3.1, y + 0.03, "$P$: one target for each image", ha="left")
    axes.plot(6.2, y + 0.03, "o", color=FEATURE, markersize=11)
    write(axes, 6.36, y + 0.03, r"feature $f_\theta(x_i)$", ha="left")
    axes.plot(8.2, y + 0.03, "D", color=TARGET, markersize=9)
    write(axes, 8.36, y + 0.03, r"target $c_j$", ha="left")
    axes.plot([9.8, 10.1], [y + 0.03] * 2, color=INK, linewidth=2)
    write(axes, 10.22, y + 0.03, r"$P_{ij}=1$", ha="left")
    way = FancyArrowPatch((CENTRE[0] - 1.6, 0.98), (4.9, 0.78), connectionstyle="arc3,rad=-0.14",
                          arrowstyle="-|>", mutation_scale=17, linewidth=1.8,
                          linestyle=(0, (4, 2)), color=TARGET)  # fmt: skip
    axes.add_patch(way)
    write(axes, 4.82, 0.79, "gradient: towards the targets", color=TARGET, ha="right")


def _title(axes: Axes, x: float, text: str) -> None:
    write(axes, x, TITLES, text, 14, weight="bold")


def _arrow(axes: Axes, start: float, end: float) -> None:
    look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.8, "mutation_scale": 16, "shrinkA": 0}
    axes.annotate("", (end, MIDDLE), (start, MIDDLE), arrowprops=look)


def _cuboid(axes: Axes, x: float, y: float, thick: float, height: float) -> None:
    """A box seen from its front left: a front face, a top and a side."""
    back = 0.2 * height
    low, high, right = y - height / 2, y + height / 2, x + thick
    far, up = right + back, high + back
    faces = {
        "#E4F0F8": [(x, low), (right, low), (right, high), (x, high)],
        "#F3F9FC": [(x, high), (right, high), (far, up), (x + back, up)],
        SHADE: [(right, low), (far, low + back), (far, up), (right, high)],
    }
    for colour, corners in faces.items():
        axes.add_patch(Polygon(corners, facecolor=colour, edgecolor=INK, linewidth=1, zorder=3))


def _angles(points: np.ndarray) -> list[float]:
    return [math.atan2(y, x) for x, y in points]


def _at(angle: float, radius: float) -> tuple[float, float]:
    return CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle)
