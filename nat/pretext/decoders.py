"""From a trunk's features back to images."""

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
