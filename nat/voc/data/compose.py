"""Scenes for the embedded transfer task: several objects on a cluttered canvas.

VOC 2007 asks which of 20 classes are somewhere in an image, among other things and other classes.
The same question on a small scale: images of Fashion-MNIST that no training sees, at different
sizes and brightnesses, before a background of gradients, bars, blobs and scraps of such images
that are no whole object. Some objects overlap, some are cut off by the border; those that are tiny
or mostly hidden are flagged difficult, as VOC's annotators did with objects that they could barely
make out.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter

from nat.voc.data.devkit import Box, Thing

COUNTS = (0.4, 0.35, 0.2, 0.05)  # probabilities of 1, 2, 3, 4 objects
PORTRAIT = 0.25  # of the images are higher than wide
TINY, TRUNCATED, OVERLAPPING = 0.06, 0.12, 0.2  # probabilities, of an object
SIDES = (0.45, 0.9)  # of an object's frame, relative to the short side of the image
TINY_SIDES = (0.15, 0.2)
INK = 24  # grey level from which a pixel belongs to the object rather than its black background
HARDLY_VISIBLE = 0.4  # difficult: less than this part of the object can be seen
UNSEEN = 0.1  # not annotated at all: less than this part


class Draws:
    """Uniform draws from one generator, as plain numbers."""

    def __init__(self, draws: torch.Generator) -> None:
        self.draws = draws

    def array(self, *shape: int) -> np.ndarray:
        """Uniform in [0, 1), float64."""
        return torch.rand(shape, generator=self.draws, dtype=torch.float64).numpy()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * float(self.array(1)[0])

    def below(self, n: int) -> int:
        """Uniform in 0 .. n - 1."""
        return int(torch.randint(n, (1,), generator=self.draws))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.between(0, 1) < probability


@dataclass
class Objects:
    """What scenes are composed of.

    Attributes:
        images: uint8 (n, side, side), an object on black each.
        labels: int64 (n,).
        classes: their names.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: list[str]

    def draw(self, draws: Draws) -> tuple[np.ndarray, str]:
        """An image and its class; all classes are equally likely."""
        label = draws.below(len(self.classes))
        (rows,) = np.nonzero(self.labels == label)
        return self.images[rows[draws.below(len(rows))]], self.classes[label]


@dataclass
class Layer:
    """A placed object, in the image's frame.

    Attributes:
        name: its class.
        mask: bool (h, w), the pixels it covers.
        area: pixels it would cover on an endless canvas.
        tiny: placed as a tiny object.
    """

    name: str
    mask: np.ndarray
    area: int
    tiny: bool


def scene(
    objects: Objects, width: int, height: int, draws: Draws
) -> tuple[np.ndarray, list[Thing]]:
    """Compose an image.

    Args:
        objects: the pool to draw from.
        width: of a landscape image, pixels; a portrait one is turned.
        height: likewise.
        draws: of everything random.

    Returns:
        uint8 (h, w), and what is annotated: at least one object.
    """
    if draws.chance(PORTRAIT):
        width, height = height, width
    while True:
        canvas = background(objects, width, height, draws)
        layers: list[Layer] = []
        count = 1 + int(np.searchsorted(np.cumsum(COUNTS), draws.between(0, sum(COUNTS))))
        for _ in range(count):
            _place(canvas, layers, objects, draws)
        annotated = _annotate(layers)
        if annotated:
            return np.rint(canvas.clip(0, 1) * 255).astype(np.uint8), annotated


def background(objects: Objects, width: int, height: int, draws: Draws) -> np.ndarray:
    """A slope, uneven light, and clutter in front of it: float64 (h, w), around 0 to 1."""
    y, x = np.mgrid[0:height, 0:width]
    canvas = np.full((height, width), draws.between(0.05, 0.35))
    canvas += draws.between(-0.15, 0.15) * (x / width - 0.5)
    canvas += draws.between(-0.15, 0.15) * (y / height - 0.5)
    coarse = Image.fromarray((draws.array(4, 5) * 255).astype(np.uint8))
    light = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255
    canvas += draws.between(0.05, 0.2) * (light - 0.5)
    for _ in range(3 + draws.below(5)):
        (_bar, _blob, _scrap)[draws.below(3)](canvas, objects, draws)
    grain = gaussian_filter(draws.array(height, width) - 0.5, 0.7)
    return canvas + draws.between(0.02, 0.1) * grain


def _bar(canvas: np.ndarray, objects: Objects, draws: Draws) -> None:
    """A line through a random point, long or short, 1 to 4 pixels thick."""
    height, width = canvas.shape
    y, x = np.mgrid[0:height, 0:width]
    angle = draws.between(0, math.pi)
    dx, dy = x - draws.between(0, width), y - draws.between(0, height)
    across = np.abs(dx * math.sin(angle) - dy * math.cos(angle))
    along = np.abs(dx * math.cos(angle) + dy * math.sin(angle))
    thick, length = draws.between(0.5, 2), draws.between(0.1, 0.5) * width
    alpha = (thick + 0.5 - across).clip(0, 1) * (length - along).clip(0, 1)
    _blend(canvas, alpha, draws.between(0.05, 0.8))


def _blob(canvas: np.ndarray, objects: Objects, draws: Draws) -> None:
    """An ellipse with a soft border."""
    height, width = canvas.shape
    y, x = np.mgrid[0:height, 0:width]
    short = min(height, width)
    dx = (x - draws.between(0, width)) / (draws.between(0.05, 0.2) * short)
    dy = (y - draws.between(0, height)) / (draws.between(0.05, 0.2) * short)
    alpha = ((1 - np.hypot(dx, dy)) * draws.between(2, 8)).clip(0, 1)
    _blend(canvas, alpha, draws.between(0.05, 0.7))


def _scrap(canvas: np.ndarray, objects: Objects, draws: Draws) -> None:
    """A piece of an object's image, a third of its side, of any shape that falls into it."""
    image, _ = objects.draw(draws)
    side = image.shape[0]
    piece = side // 3
    top, left = (draws.below(side - piece + 1) for _ in range(2))
    cut = Image.fromarray(image[top : top + piece, left : left + piece])
    short = min(canvas.shape)
    size = max(4, round(draws.between(0.1, 0.25) * short))
    turned = cut.rotate(90 * draws.below(4)).resize((size, size), Image.Resampling.BICUBIC)
    scrap = np.asarray(turned) / 255
    inside, region = _frames(canvas.shape, size, size, *_anywhere(canvas.shape, draws))
    _blend(canvas[region], (scrap * 4).clip(0, 1)[inside], draws.between(0.4, 0.9) * scrap[inside])


def _blend(canvas: np.ndarray, alpha: np.ndarray, value: float | np.ndarray) -> None:
    canvas[:] = canvas * (1 - alpha) + value * alpha


def _anywhere(shape: tuple[int, ...], draws: Draws) -> tuple[int, int]:
    return draws.below(shape[0]), draws.below(shape[1])


def _frames(
    shape: tuple[int, ...], height: int, width: int, y: int, x: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a (height, width) frame centred on (y, x) that lies on the canvas.

    Returns:
        Slices into the frame, and slices into the canvas.
    """
    inside, region = [], []
    for limit, size, centre in ((shape[0], height, y), (shape[1], width, x)):
        start = centre - size // 2
        first, last = max(start, 0), min(start + size, limit)
        inside.append(slice(first - start, last - start))
        region.append(slice(first, last))
    return (inside[0], inside[1]), (region[0], region[1])


def _place(canvas: np.ndarray, layers: list[Layer], objects: Objects, draws: Draws) -> None:
    """Paint an object in front of everything else; leave it out if there is no room."""
    image, name = objects.draw(draws)
    tiny = draws.chance(TINY)
    side = draws.between(*(TINY_SIDES if tiny else SIDES)) * min(canvas.shape)
    stretch = draws.between(0.9, 1.1)
    width, height = (min(max(round(s), 4), min(canvas.shape)) for s in (side * stretch, side))
    if draws.chance(0.5):
        image = image[:, ::-1]
    grey, alpha = _resized(image, width, height)
    truncated = not tiny and draws.chance(TRUNCATED)
    crowded = draws.chance(OVERLAPPING)
    for _ in range(10):
        if truncated:
            y, x = _anywhere(canvas.shape, draws)
        else:
            y = height // 2 + draws.below(canvas.shape[0] - height + 1)
            x = width // 2 + draws.below(canvas.shape[1] - width + 1)
        inside, region = _frames(canvas.shape, height, width, y, x)
        mask = np.zeros(canvas.shape, bool)
        mask[region] = alpha[inside] > 0.5
        hidden = max(((mask & layer.mask).sum() / layer.area for layer in layers), default=0.0)
        if hidden < (0.85 if crowded else 0.15):
            break
    else:
        return
    shade = draws.between(0.0, 0.15) + draws.between(0.6, 0.95) * grey
    _blend(canvas[region], alpha[inside], shade[inside])
    layers.append(Layer(name, mask, max(int((alpha > 0.5).sum()), 1), tiny))


def _resized(image: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey levels 0 to 1 and alpha 0 to 1 of an object at a new size: float64 (height, width).

    Dark parts within the outline belong to the object; the border of the outline is soft.
    """
    outline = binary_fill_holes(image >= INK)
    size = (width, height)
    grey = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    alpha = Image.fromarray(outline.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    return np.asarray(grey) / 255, gaussian_filter(np.asarray(alpha) / 255, 0.4)


def _annotate(layers: list[Layer]) -> list[Thing]:
    """Boxes around what can be seen, from back to front; hardly visible objects are difficult."""
    found = []
    for index, layer in enumerate(layers):
        visible = layer.mask.copy()
        for front in layers[index + 1 :]:
            visible &= ~front.mask
        share = visible.sum() / layer.area
        if share < UNSEEN or not visible.any():
            continue
        rows, columns = np.nonzero(visible.any(axis=1))[0], np.nonzero(visible.any(axis=0))[0]
        box = Box(*(int(v) + 1 for v in (columns[0], rows[0], columns[-1], rows[-1])))
        found.append(
            Thing(
                layer.name,
                box,
                difficult=bool(layer.tiny or share < HARDLY_VISIBLE),
                truncated=bool(layer.mask.sum() < 0.95 * layer.area),
            )
        )
    return found
