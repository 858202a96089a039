"""Context encoding: from an image with missing blocks to what is missing (Pathak et al., 2016).

Section 3: a trunk, a fully connected layer within each channel of its features, by which what is
on one side of the image comes to the other, and up-convolutions. Of the paper's masks these are the
random blocks of section 3.3.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.network.front_ends import standardise
from nat.network.model import Trunk
from nat.pretext.corruption import blocks, hide
from nat.pretext.decoders import first_side, upconvolutions
from nat.pretext.training import Measures, Task


class WithinChannels(nn.Module):
    """Each channel of a map to a new map, by a fully connected layer of its own, and ReLU."""

    def __init__(self, channels: int, side: int, new: int) -> None:
        """``side`` and ``new`` are the sides of the maps."""
        super().__init__()
        # a convolution as large as the map, whose outputs of a channel are its new map
        self.layer = nn.Conv2d(channels, channels * new * new, side, groups=channels)
        self.new = new

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, channels, side, side) to (b, channels, new, new)."""
        return F.relu(self.layer(x).reshape(*x.shape[:2], self.new, self.new))


class Inpainting(Task):
    """What is missing in an image, from the rest."""

    def __init__(self, trunk: Trunk, crop: int) -> None:
        """``crop`` is the side of the images, pixels."""
        super().__init__()
        self.trunk = trunk
        channels, side = trunk.map_of(crop)
        self.decoder = nn.Sequential(
            WithinChannels(channels, side, first_side(crop)),
            *upconvolutions(channels, crop, trunk.channels),
        )

    def complete(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hide blocks of images, and make images of the rest.

        Args:
            images: uint8 (b, c, crop, crop).

        Returns:
            what is made for the standardised images, float32, same shape; the error: its squared
            distance from these, averaged over the missing pixels (eq. 1).
        """
        mask = blocks(images)
        made = self.decoder(self.trunk(hide(images, mask))).float()
        squares = (made - standardise(images)).square() * mask
        return made, squares.sum() / (mask.sum() * images.shape[1])

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The error of ``complete``; see ``Task``."""
        _, error = self.complete(images)
        return error, {"error": error}
