"""Variational autoencoder: a code's distribution, and an image's given the code.

Kingma & Welling (2014), sections 2.3 and 3 and appendix B: the encoder tells mean and variance of
a Gaussian code, one draw of it is decoded, and the variational bound on the images' likelihood is
raised. The images are standardised, and Gaussian given the code. Different here: the code follows
the trunk by a linear layer; all pixels have one variance, learnt too, which keeps the density of a
plain background from growing without bound, as a variance each would let it; Adam for Adagrad.
"""

import math

import torch
from torch import nn

from nat.methods import TrunkSession
from nat.network.front_ends import standardise
from nat.network.model import Trunk, initialise
from nat.pretext.decoders import generator
from nat.pretext.training import AdamTraining, Measures, Task, pretrain_on
from nat.runtime.settings.params import Units

LABEL = "Variational autoencoder"
REFERENCE = "Kingma & Welling, 2014"
WHEN = "cited"
MEASURE = "bound"
BETTER = "lower"
MEASURE_TEXT = "variational bound on -log p, nats a pixel of standardised images"


class Settings(AdamTraining):
    """Numbers of the code."""

    code: Units


class Variational(Task):
    """An image from a draw of its code's distribution."""

    def __init__(self, trunk: Trunk, crop: int, code: int) -> None:
        """``crop`` is the side of the images, pixels; ``code`` the numbers of a code."""
        super().__init__()
        self.trunk = trunk
        self.encoder = nn.Linear(trunk.features(crop), 2 * code)
        self.decoder = generator(code, trunk.map_of(crop)[0], crop, trunk.channels)
        self.log_variance = nn.Parameter(torch.zeros(()))  # of a pixel, given the code

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The negative of eq. 10, with one draw, divided by an image's numbers; see ``Task``."""
        mean, log_variance = self.encoder(self.trunk(images).flatten(1)).float().chunk(2, 1)
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        error = nn.functional.mse_loss(self.decoder(code).float(), standardise(images))
        misfit = error / self.log_variance.exp() + self.log_variance + math.log(2 * math.pi)
        # appendix B, of one image in the mean
        squares = mean.square() + log_variance.exp() - log_variance - 1
        divergence = squares.sum(1).mean() / 2
        bound = misfit / 2 + divergence / images[0].numel()
        return bound, {"bound": bound, "error": error, "divergence": divergence}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to encode images in few numbers."""
    network = session.network(2)
    task = Variational(network.trunk, session.crop, settings.code)
    initialise(task.encoder, session.generator("encoder"))
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings)
