"""From a trunk's features, or from a short code, to images."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

NARROWEST = 16  # channels


class Enlarge(nn.Module):
    """Nearest neighbours at a larger size, then a convolution: no checkerboard of strides."""

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        """``size`` is the side of the result, pixels."""
        super().__init__()
        self.size = size
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, inputs, h, w) -> (b, outputs, size, size)."""
        x = F.interpolate(x, size=(self.size, self.size))
        return F.relu(self.norm(self.convolution(x)))


def decoder(
    channels: int, side: int, size: int, outputs: int, narrowest: int = NARROWEST
) -> nn.Sequential:
    """Doubles the side of a map of features, halving its channels, until it is an image.

    Args:
        channels: of the map.
        side: of the map.
        size: of the image, pixels.
        outputs: channels of the image, which are any numbers.
        narrowest: channels that are not halved any further.

    Returns:
        from float (b, channels, side, side) to (b, outputs, size, size).
    """
    sides = [size]
    while -(-sides[-1] // 2) > side:
        sides.append(-(-sides[-1] // 2))
    widths = [max(channels >> step, narrowest) for step in range(len(sides) + 1)]
    blocks = [
        Enlarge(*pair, each) for pair, each in zip(pairwise(widths), reversed(sides), strict=True)
    ]
    return nn.Sequential(*blocks, nn.Conv2d(widths[-1], outputs, 3, padding=1))


def first_side(size: int) -> int:
    """The side from which ``upconvolutions`` come to ``size`` pixels: 4 to 7, if not smaller."""
    return size if size < 8 else first_side(size // 2)


def upconvolutions(channels: int, size: int, outputs: int) -> nn.Sequential:
    """Transposed convolutions of stride 2, as Radford et al. (2016) make images of a small map.

    Each but the last halves the channels, with batch norm and ReLU. Much less work than ``decoder``
    is, as nothing is computed at the full size but the image.

    Args:
        channels: of the map.
        size: of the image, pixels; the map's is ``first_side`` of it.
        outputs: channels of the image, which are any numbers.

    Returns:
        from float (b, channels, first_side, first_side) to (b, outputs, size, size).
    """
    sides = [size]
    while sides[0] > first_side(size):
        sides.insert(0, sides[0] // 2)
    widths = [max(channels >> step, NARROWEST) for step in range(len(sides) - 1)]
    layers: list[nn.Module] = []
    for step, (width, wider) in enumerate(zip([*widths[1:], outputs], widths, strict=True)):
        odd = sides[step + 1] % 2
        layers.append(nn.ConvTranspose2d(wider, width, 4, 2, padding=1, output_padding=odd))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers[:-2])


def generator(code: int, channels: int, size: int, outputs: int) -> nn.Sequential:
    """An image of a code: a linear layer to a map of features, then ``upconvolutions``.

    Args:
        code: numbers of a code.
        channels: of the map.
        size: of the image, pixels.
        outputs: channels of the image, which are any numbers.

    Returns:
        from float (b, code) to (b, outputs, size, size).
    """
    side = first_side(size)
    return nn.Sequential(
        nn.Linear(code, channels * side * side),
        nn.Unflatten(1, (channels, side, side)),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        *upconvolutions(channels, size, outputs),
    )
