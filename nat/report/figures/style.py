"""One look for every figure: colours, sizes, and files that are the same bytes every time.

Colours are Okabe and Ito's, told apart with any colour vision; no meaning is carried by colour
alone. The ground is white and opaque, so that figures read on dark pages too.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, SOFT, FAINT, SHADE = "#1A1A1A", "#5C5C5C", "#D9D9D9", "#BFD9EA"
# features f(X) and targets C wherever they appear; the three probes of a trunk
FEATURE, TARGET = BLUE, VERMILLION
PROBE = {"mlp": (BLUE, "o", "-"), "linear": (VERMILLION, "s", "--"), "knn": (GREEN, "^", "-.")}
DPI = 160

METADATA: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def render(figure: Figure, ending: str) -> bytes:
    """A figure's file, png or svg; no date or version is written into it."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format=ending, dpi=DPI, metadata=METADATA[ending])
    return file.getvalue()


def sheet(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose one axes has inches as coordinates, from its lower left corner."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def place_image(
    axes: Axes, image: np.ndarray, corner: tuple[float, float], width: float,
    limits: tuple[float, float] = (0, 255), frame: str = "", line: float = 1.6,
) -> None:  # fmt: skip
    """Draw an image on a sheet, ``width`` inches wide, its lower left at ``corner``.

    It is grey (h, w) with values between ``limits``, or uint8 (channels, h, w). ``frame`` is the
    colour of a frame around it, if there is one, ``line`` its width in points.
    """
    if image.ndim == 3:
        image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    (x, y), height = corner, width * image.shape[0] / image.shape[1]
    axes.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1],
                extent=(x, x + width, y, y + height), aspect="auto", interpolation="nearest",
                zorder=4)  # fmt: skip
    if frame:
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=frame,
                                 linewidth=line, zorder=5))  # fmt: skip


def write(axes: Axes, x: float, y: float, text: str, size: float = 12, **look: Any) -> None:
    """Write on a sheet, centred unless ``look`` says otherwise."""
    axes.text(x, y, text, **{"size": size, "ha": "center", "va": "center", **look})


def name_ends(
    axes: Axes, ends: list[tuple[str, float, str]], least: float, place: tuple[float, float],
    coordinates: Any,
) -> None:  # fmt: skip
    """Write names and last values of lines beside their ends, ``least`` of the height apart.

    Args:
        axes: with its final limits.
        ends: name, value in percent and colour of each line.
        least: share of the axes' height between two of them.
        place: x, and the points to its right.
        coordinates: of x and the values.
    """
    low, high = axes.get_ylim()
    heights = apart([value for _, value, _ in ends], least * (high - low))
    for (name, value, colour), height in zip(ends, heights, strict=True):
        weight = "normal" if colour == SOFT else "bold"
        axes.annotate(f"{name} {value:.1f} %", (place[0], height), (place[1], 0),
                      xycoords=coordinates, textcoords="offset points", color=colour, va="center",
                      weight=weight, annotation_clip=False)  # fmt: skip


def apart(values: Sequence[float], distance: float, period: float | None = None) -> list[float]:
    """Values moved apart to ``distance``, each as little as need be, so that labels do not meet.

    Their order is kept; ``period`` is of values on a circle, such as angles.
    """
    order = np.argsort(values)
    placed = np.array(values, dtype=float)[order]
    for _ in range(300):
        around = placed[0] + period if period else np.inf
        push = np.clip(distance - np.diff(placed, append=around), 0, None) / 2
        placed += np.roll(push, 1) - push
    moved = np.empty_like(placed)
    moved[order] = placed
    return moved.tolist()


def whole_epochs(axes: Axes, last: int) -> None:
    """Ticks at whole epochs from 0 to ``last``, with ``last`` among them."""
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if last / s <= 7)
    ticks = [t for t in range(0, last, step) if last - t >= 0.6 * step]
    axes.set_xticks([*ticks, last])
    axes.set_xlabel("epoch")
