"""What figures share: colours, sheets to draw on, labels, and files that are always the same bytes.

Colours are Okabe and Ito's, told apart with any colour vision; no meaning is carried by colour
alone. All else of the look is in figures.mplstyle.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
INK, SOFT, FAINT, SHADE = "#1A1A1A", "#5C5C5C", "#D9D9D9", "#BFD9EA"
# features f(X) and targets C wherever they appear; the three probes of a trunk
FEATURE, TARGET = BLUE, VERMILLION
PROBE = {"mlp": (BLUE, "o", "-"), "linear": (VERMILLION, "s", "--"), "knn": (GREEN, "^", "-.")}
DPI = 160
METADATA: dict[str, Any] = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


def prefer_own_fonts() -> None:
    """Let Matplotlib's own fonts come before the system's of the same name.

    They do in a list of fonts that is whole; but the list is kept in the user's cache, and one that
    was written while an environment was removed has the system's alone.
    """
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    listed = {font.fname for font in fontManager.ttflist}
    for file in sorted(folder.glob("*.ttf")):
        if str(file) not in listed:
            fontManager.addfont(file)
    fontManager.ttflist.sort(key=lambda font: Path(font.fname).parent != folder)


def render(figure: Figure, ending: str) -> bytes:
    """A figure's file, png or svg; no date or version is written into it."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format=ending, dpi=DPI, metadata=METADATA[ending])
    return file.getvalue()


class Sheet:
    """A figure whose one axes has inches as coordinates, from its lower left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height))
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def write(self, x: float, y: float, text: str, size: float = 12, **look: Any) -> None:
        """Write, centred unless ``look`` says otherwise."""
        self.axes.text(x, y, text, **{"size": size, "ha": "center", "va": "center", **look})

    def box(self, x: float, y: float, width: float, height: float, **look: Any) -> None:
        """Draw a rectangle."""
        self.axes.add_patch(Rectangle((x, y), width, height, **look))

    def image(
        self, image: np.ndarray, x: float, y: float, width: float,
        limits: tuple[float, float] = (0, 255), **frame: Any,
    ) -> None:  # fmt: skip
        """Draw grey (h, w) of values between ``limits``, or uint8 (channels, h, w), and a frame."""
        if image.ndim == 3:
            image = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        height = width * image.shape[0] / image.shape[1]
        self.axes.imshow(image, cmap="gray", vmin=limits[0], vmax=limits[1], aspect="auto",
                         extent=(x, x + width, y, y + height), interpolation="nearest",
                         zorder=4)  # fmt: skip
        if frame:
            self.box(x, y, width, height, fill=False, zorder=5, **{"linewidth": 1.6, **frame})


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
    return placed[np.argsort(order)].tolist()
