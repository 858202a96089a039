"""Figure 1: images, convnet, features on the sphere, and the noise targets they are matched to.

Everything is this run's own: images, gradients, layer sizes, features, targets and P.
"""

import math

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Polygon

from nat.illustrate.illustration import Illustration
from nat.report.figures.style import FAINT, FEATURE, INK, SHADE, SOFT, TARGET, Sheet, apart
from nat.report.results import Result

WIDTH, HEIGHT = 11.2, 5.85
MIDDLE, TITLES = 2.98, 5.55  # the heights of what is drawn, and of what it is called
# one sphere drawn as two circles, features outside and targets inside, so that P shows between
CENTRE, OUTER, INNER, THUMBNAIL = (8.96, MIDDLE), 1.5, 0.92, 0.5


def draw(result: Result) -> Figure:
    """The whole figure, from left to right."""
    sheet = Sheet(WIDTH, HEIGHT)
    for part in (_images, _convnet, _sphere, _training):
        part(sheet, result.content)
    return sheet.figure


def _images(sheet: Sheet, shown: Illustration) -> None:
    """The images, and what the network sees of the first."""
    size, step = 0.72, 0.79
    top = MIDDLE + step * math.ceil(len(shown.images) / 2) / 2
    _title(sheet, 0.95, "images $X$")
    for index, image in enumerate(shown.images):
        row, column = divmod(index, 2)
        x, y = 0.2 + column * step, top - (row + 1) * step
        sheet.image(image, x, y, size, edgecolor=FAINT)
    size, x, sees = 0.86, 2.14, shown.facts["preprocessing"]
    _title(sheet, x + size / 2, "gradients" if sees == "sobel" else sees)
    limit = float(np.abs(shown.gradients).max()) or 1.0
    names = (r"$\partial_x$", r"$\partial_y$") if sees == "sobel" else ("",)
    places = ((MIDDLE + 0.2, size + 0.15), (MIDDLE - 0.2 - size, -0.15))
    for gradient, name, (y, beside) in zip(shown.gradients, names, places, strict=False):
        sheet.image(gradient.astype(float), x, y, size, (-limit, limit))
        sheet.write(x + size / 2, y + beside, name, 13)
    _arrow(sheet, 1.76, x - 0.04)
    _arrow(sheet, x + size + 0.04, 3.3)


def _convnet(sheet: Sheet, shown: Illustration) -> None:
    """Cuboids: the higher the larger the feature map, the thicker the more channels."""
    facts = shown.facts
    widths, sides = zip(*facts["layers"], strict=True)
    unit = 1.7 / sum(math.sqrt(width) for width in widths)
    x = 3.36
    _title(sheet, 4.75, r"convnet $f_\theta$")
    sheet.write(x - 0.1, 1.34, "conv", ha="right")
    sheet.write(x - 0.1, 1.09, "channels", 11, ha="right", color=SOFT)
    for index, (width, side) in enumerate(facts["layers"], start=1):
        height = 0.5 + 1.6 * (side - min(sides)) / max(max(sides) - min(sides), 1)
        thick = unit * math.sqrt(width)
        _cuboid(sheet, x, MIDDLE - 0.1, thick, height)
        sheet.write(x + thick / 2, 1.34, f"{index}")
        sheet.write(x + thick / 2, 1.09, f"{width}", 11, color=SOFT)
        x += thick + 0.1
    x += 0.12
    for index, (height, colour) in enumerate(((1.9, SHADE), (1.9, SHADE), (1.3, FEATURE))):
        y = MIDDLE - height / 2
        sheet.box(x + 0.25 * index, y, 0.13, height, facecolor=colour, edgecolor=INK)
    sheet.write(x + 0.32, 1.34, "MLP")
    sizes = "{hidden}-{hidden}-{dimension}".format_map(facts)
    sheet.write(x - 0.06, 1.09, sizes, 11, ha="left", color=SOFT)
    _arrow(sheet, x + 0.68, CENTRE[0] - OUTER - 0.76)


def _sphere(sheet: Sheet, shown: Illustration) -> None:
    _title(sheet, CENTRE[0], rf"unit sphere in $\mathbb{{R}}^{{{shown.facts['dimension']}}}$")
    axes = sheet.axes
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
    angles, aims = _angles(shown.features), _angles(shown.targets)
    places = apart(angles, 0.36, 2 * math.pi)
    for image, angle, aim, place in zip(shown.images, angles, aims, places, strict=True):
        feature, target, middle = _at(angle, OUTER), _at(aim, INNER), _at(place, OUTER + 0.5)
        axes.plot(*zip(*_match(angle, aim), strict=True), color=INK, linewidth=2, zorder=3)
        axes.plot(*zip(feature, middle, strict=True), color=FEATURE, linewidth=1.2, zorder=2)
        x, y = (centre - THUMBNAIL / 2 for centre in middle)
        sheet.image(image, x, y, THUMBNAIL, edgecolor=FEATURE)
        axes.plot(*feature, "o", color=FEATURE, markeredgecolor="white", markersize=11, zorder=6)
        axes.plot(*target, "D", color=TARGET, markeredgecolor="white", markersize=10, zorder=6)
    sheet.write(CENTRE[0], CENTRE[1] + 0.1, "targets $C$")
    sheet.write(CENTRE[0], CENTRE[1] - 0.14, "fixed noise", 11)


def _training(sheet: Sheet, _: Illustration) -> None:
    """The objective, the gradient's way back, and the key."""
    y, axes = 0.39, sheet.axes
    objective = r"$\max_\theta\ \max_{P}\ \mathrm{Tr}\,(P\,C\,f_\theta(X)^{\!\top})$"
    sheet.write(0.2, 0.36, objective, 15, ha="left")
    sheet.write(3.1, y, "$P$: one target for each image", ha="left")
    axes.plot(6.2, y, "o", color=FEATURE, markersize=11)
    sheet.write(6.36, y, r"feature $f_\theta(x_i)$", ha="left")
    axes.plot(8.2, y, "D", color=TARGET, markersize=9)
    sheet.write(8.36, y, r"target $c_j$", ha="left")
    axes.plot([9.8, 10.1], [y, y], color=INK, linewidth=2)
    sheet.write(10.22, y, r"$P_{ij}=1$", ha="left")
    way = FancyArrowPatch((CENTRE[0] - 1.6, 0.98), (4.9, 0.78), connectionstyle="arc3,rad=-0.14",
                          arrowstyle="-|>", mutation_scale=17, linewidth=1.8,
                          linestyle=(0, (4, 2)), color=TARGET)  # fmt: skip
    axes.add_patch(way)
    sheet.write(4.82, 0.79, "gradient: towards the targets", color=TARGET, ha="right")


def _title(sheet: Sheet, x: float, text: str) -> None:
    sheet.write(x, TITLES, text, 14, weight="bold")


def _arrow(sheet: Sheet, start: float, end: float) -> None:
    look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.8, "mutation_scale": 16, "shrinkA": 0}
    sheet.axes.annotate("", (end, MIDDLE), (start, MIDDLE), arrowprops=look)


def _cuboid(sheet: Sheet, x: float, y: float, thick: float, height: float) -> None:
    """A box seen from its front left: a front face, a top and a side."""
    back, low, high, right = 0.2 * height, y - height / 2, y + height / 2, x + thick
    far, up = right + back, high + back
    faces = {
        "#E4F0F8": [(x, low), (right, low), (right, high), (x, high)],
        "#F3F9FC": [(x, high), (right, high), (far, up), (x + back, up)],
        SHADE: [(right, low), (far, low + back), (far, up), (right, high)],
    }
    for colour, corners in faces.items():
        patch = Polygon(corners, facecolor=colour, edgecolor=INK, linewidth=1, zorder=3)
        sheet.axes.add_patch(patch)


def _match(angle: float, aim: float) -> list[tuple[float, float]]:
    """A line of P, from a feature's angle on the outer circle to its target's on the inner one."""
    turn = (aim - angle + math.pi) % (2 * math.pi) - math.pi
    steps = np.linspace(0, 1, 25)
    return [_at(angle + turn * t * t * (3 - 2 * t), OUTER + (INNER - OUTER) * t) for t in steps]


def _at(angle: float, radius: float) -> tuple[float, float]:
    return CENTRE[0] + radius * math.cos(angle), CENTRE[1] + radius * math.sin(angle)


def _angles(points: np.ndarray) -> list[float]:
    return [math.atan2(y, x) for x, y in points]
