"""Which images and regions a training batch holds (Fast R-CNN, section 2.3).

2 images and 128 regions, 64 of each image, a quarter of them foreground: those that overlap an
object by at least 0.5. The others are background, which overlaps one by 0.1 to 0.5. An image that
has too few of either gives fewer regions.
"""

from collections.abc import Iterator, Sequence

import torch

from nat.data.seeds import generator
from nat.runtime.settings.params import Detect
from nat.voc.detection.targets import Example

BACKGROUND = 0  # the label of background; a class's is its row plus 1


def foreground(example: Example, settings: Detect) -> torch.Tensor:
    """Rows of the regions that show an object, int64."""
    return torch.nonzero(example.overlap >= settings.foreground_iou)[:, 0]


def background(example: Example, settings: Detect) -> torch.Tensor:
    """Rows of the regions that show none, int64."""
    low, high = settings.background_iou
    return torch.nonzero((example.overlap >= low) & (example.overlap < high))[:, 0]


def usable(examples: Sequence[Example], settings: Detect) -> list[int]:
    """Images that have a region to learn from: those with difficult objects only have none."""
    return [
        row
        for row, example in enumerate(examples)
        if len(foreground(example, settings)) + len(background(example, settings))
    ]


def sample_regions(
    example: Example, settings: Detect, draws: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw an image's part of a batch.

    Args:
        example: the image.
        settings: regions, images, foreground and the overlaps are used.
        draws: a CPU generator.

    Returns:
        Rows of the example's regions, int64 (r,), foreground first, and their labels, int64 (r,).
    """
    count = settings.regions // settings.images
    shows, none = foreground(example, settings), background(example, settings)
    shows = _some(shows, round(settings.foreground * count), draws)
    none = _some(none, count - len(shows), draws)
    labels = torch.full((len(shows) + len(none),), BACKGROUND)
    labels[: len(shows)] = example.labels[example.nearest[shows]] + 1
    return torch.cat([shows, none]), labels


def _some(rows: torch.Tensor, count: int, draws: torch.Generator) -> torch.Tensor:
    return rows[torch.randperm(len(rows), generator=draws)[:count]]


def image_batches(
    rows: Sequence[int], size: int, iterations: range, seed: int
) -> Iterator[list[tuple[int, bool]]]:
    """The images of iterations: every image once as it is and once flipped, then again.

    Each pass over the images has an order of its own and leaves out an incomplete last batch, so
    that any iteration's images follow from its number.

    Args:
        rows: the images to train on.
        size: of a batch, at most twice as many.
        iterations: counted from 0 over the whole training.
        seed: of the orders.

    Yields:
        Image and whether it is flipped, ``size`` times.
    """
    a_pass = 2 * len(rows) // size
    order, ordered = torch.empty(0), -1
    for iteration in iterations:
        number, index = divmod(iteration, a_pass)
        if number != ordered:
            order = torch.randperm(2 * len(rows), generator=generator(seed, "order", number))
            ordered = number
        chosen = order[index * size : (index + 1) * size].tolist()
        yield [(rows[entry % len(rows)], entry >= len(rows)) for entry in chosen]
