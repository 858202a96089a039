"""Autoencoding: an image from its features."""

import torch
from torch import nn

from nat.network.front_ends import standardise
from nat.network.model import Trunk
from nat.pretext.decoders import decoder
from nat.pretext.training import Measures, Task


class Reconstruction(Task):
    """An image from the features of what is seen of it."""

    def __init__(self, trunk: Trunk, crop: int) -> None:
        """``crop`` is the side of the images, pixels."""
        super().__init__()
        self.trunk = trunk
        self.decoder = decoder(*trunk.map_of(crop), crop, trunk.channels)

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """What the trunk sees of images, uint8 (b, c, crop, crop): here all."""
        return images

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The mean squared error over pixels of the standardised image; see ``Task``."""
        made = self.decoder(self.trunk(self.seen(images))).float()
        error = nn.functional.mse_loss(made, standardise(images))
        return error, {"error": error}
