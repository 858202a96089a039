"""Tiles of an image, as tasks of spatial context see them: cut out, one trunk for all of them."""

from itertools import count

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.augment import Cuts, cut_out
from nat.network.model import SHAPES, Trunk

GRID = 3  # tiles a side


def least_side(name: str) -> int:
    """The side from which on a trunk is trained as a whole, pixels.

    conv3 to conv5 then have 2 x 2 cells or more. Of a single cell, eight of a kernel's nine weights
    would meet nothing but padding and stay as they are drawn. 63 for AlexNet, 9 for the small
    trunk; 35 and 5 for the dense ones.
    """
    shape = SHAPES[name]
    for side in count(1):
        *_, cells, pooled = shape.sides(side)
        if cells >= 2 and pooled >= 1:
            return side
    raise AssertionError


def draw_jitter(like: torch.Tensor, most: int) -> torch.Tensor:
    """Whole pixels from 0 to ``most``, of the shape and on the device of ``like``."""
    return torch.randint(most + 1, like.shape, device=like.device)


def cut_tiles(
    images: torch.Tensor, top: torch.Tensor, left: torch.Tensor, side: int
) -> torch.Tensor:
    """Squares of images.

    Args:
        images: uint8 (b, c, h, w).
        top: int64 (b, t), rows of their upper left corners, on the images' device.
        left: int64 (b, t), columns.
        side: of a square, pixels.

    Returns:
        uint8 (b * t, c, side, side), an image's tiles side by side.
    """
    rows = torch.arange(len(images), device=images.device)[:, None].expand_as(top).flatten()
    cuts = Cuts(top.flatten(), left.flatten(), torch.zeros_like(rows, dtype=torch.bool))
    return cut_out(images, rows, cuts, side)


class Siamese(nn.Module):
    """The trunk and fc6, the same for every tile.

    A tile smaller than ``least_side`` is enlarged to it, bilinearly.
    """

    def __init__(self, trunk: Trunk, side: int, units: int) -> None:
        """``side`` is that of the tiles, pixels; ``units`` are fc6's."""
        super().__init__()
        self.trunk, self.side = trunk, max(side, least_side(trunk.name))
        self.fc6 = nn.Sequential(
            nn.Flatten(),
            nn.Linear(trunk.features(self.side), units),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
        )

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """uint8 or float (n, c, side, side) to float (n, units)."""
        if tiles.shape[-1] < self.side:
            tiles = F.interpolate(tiles.float(), (self.side, self.side), mode="bilinear")
        return self.fc6(self.trunk(tiles))


def share_right(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Percent of float (n, classes) that are largest where int64 (n,) says."""
    return 100 * (outputs.argmax(1) == labels).float().mean()
