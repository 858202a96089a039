"""Autoencoder: the trunk encodes an image from which a decoder is to make it again.

The paper's row is Donahue et al.'s (2016), who give no settings: an encoder of AlexNet's
convolutions and a decoder, trained on the squared error. Here the code is conv5 as the probe sees
it, and what is made again is the standardised image, not its gradients.
"""

import torch
from torch import nn

from nat.methods import TrunkSession
from nat.network.front_ends import standardise
from nat.network.model import Trunk, initialise
from nat.pretext.decoders import decoder
from nat.pretext.training import AdamTraining, Measures, Task, pretrain_on

LABEL = "Autoencoder"
REFERENCE = "Donahue et al., 2016"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error a pixel of standardised images"

Settings = AdamTraining


class Reconstruction(Task):
    """An image from its features."""

    def __init__(self, trunk: Trunk, crop: int) -> None:
        """``crop`` is the side of the images, pixels."""
        super().__init__()
        self.trunk = trunk
        self.decoder = decoder(*trunk.map_of(crop), crop, trunk.channels)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The mean squared error over pixels; see ``Task``."""
        made = self.decoder(self.trunk(images)).float()
        error = nn.functional.mse_loss(made, standardise(images))
        return error, {"error": error}


def train(session: TrunkSession, settings: AdamTraining) -> None:
    """Train the trunk to keep what an image is made of."""
    network = session.network(2)
    task = Reconstruction(network.trunk, session.crop)
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings)
